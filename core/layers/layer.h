/*
 * layer.h - what a layer type is: one const struct bp_layer_ops in its own file and one line of layers.def.
 *
 * net.c asks a type for shapes and parameters; exec.c asks for a plan, gives it memory, and calls its passes. Types
 * hold no state of their own: what a pass needs is in struct bp_layer_call. Maps are channels-last, weights lie as
 * their struct bp_param says. Calls come from the thread that runs the net, outside parallel regions; a pass opens its
 * own (layers/blocks.h) and gives the same bits for any ctx->threads.
 */
#ifndef BP_LAYERS_LAYER_H
#define BP_LAYERS_LAYER_H

#include "base/item.h"
#include "conv/conv.h"
#include "kernels/norm.h"
#include "net/exec.h"
#include "net/net.h"

enum { BP_LAYER_PARAMS = 5 }; /* tensors of one layer */

/* A node as a plan sees it. */
struct bp_layer_setup {
	const struct bp_node *node;
	const struct bp_kernels *k;
	int max_batch, max_threads;
	bool training;   /* backward will be called */
	enum bp_act act; /* what the pass applies to its output; only what ops fuses */
};

/* What a node asks of the executor. All zero on entry to ops->plan. */
struct bp_layer_plan {
	void *own;         /* handed to the passes and to ops->plan_free; NULL when there is nothing to keep */
	bool alias;        /* the output is input 0 as it lies in memory: the passes are never called */
	bool inplace;      /* y may be any one of x, which backward does not read then */
	bool dx_inplace;   /* any one of dx may be dy */
	bool passes_dy;    /* every dx is dy as backward leaves it; only with dx_inplace */
	bool keeps_x;      /* backward reads x (when y is none of them) */
	bool keeps_y;      /* backward reads y */
	bool writes_dy;    /* backward changes dy */
	bool undoes_relu;  /* keeps_y and writes_dy are for the gradient through act, which the layer after may take */
	bool takes_relu;   /* dx can go through the ReLU that made x too, where nothing else reads x */
	int64_t saved;     /* bytes that forward leaves for backward (training) */
	int64_t workspace; /* bytes of scratch in any one pass, shared by all nodes */
	unsigned norms;    /* of a convolution: what it can do for batch norms beside it (conv.h) */
	int64_t parts;     /* and of their partial sums, how many at most */
};

/* A batch norm as the convolution before or after it sees it. Its values are set by its own passes. */
struct bp_norm_side {
	bool on;
	bool grad;               /* after: backward takes dy through it */
	const bp_real *const *x; /* before: its input, when it makes its output itself; or NULL */
	struct bp_norm norm;
	bp_real *parts; /* where the partial sums go */
};

/* What the convolutions beside a batch norm do for it. */
struct bp_norm_help {
	const struct bp_conv *stats; /* gives the statistics of x in forward; NULL: none does */
	bool grad;                   /* and takes dy through the norm: dx is not made */
	const struct bp_conv *sums;  /* gives the sums in backward; NULL: none does */
	bool applied;                /* and applies the norm to its own x: y is not made */
};

/* One call of a pass. Pointers a layer has no use for may be NULL. */
struct bp_layer_call {
	const struct bp_ctx *ctx;
	const struct bp_pass *pass;
	const struct bp_node *node;
	int index; /* of the node in its net: separates random streams */
	void *own;
	enum bp_act act;
	bool relu_taken, takes_relu; /* dy comes through act; dx goes through the ReLU that made x */
	const bp_real *x[BP_MAX_INPUTS];
	bp_real *y;
	bp_real *dy;
	bp_real *dx[BP_MAX_INPUTS];        /* NULL: not wanted */
	bool accumulate[BP_MAX_INPUTS];    /* dx += instead of dx = */
	bp_real *param[BP_LAYER_PARAMS];   /* in the order of ops->params; NULL past the end */
	bp_real *grad[BP_LAYER_PARAMS];    /* backward: overwritten (a frozen layer may leave them); NULL for buffers */
	void *saved, *workspace;           /* 64-byte aligned */
	struct bp_norm_side before, after; /* of a convolution */
	struct bp_norm_help help;          /* of a batch norm */
};

struct bp_layer_ops {
	struct bp_item_info info;
	bool fuses_relu, fuses_acts; /* a pass can apply that, or any, and undo it in backward */
	enum bp_act is_act;          /* what a layer that fuses it may do in its place */
	bool flattens;               /* its output may lie as its input does ... */
	bool any_order;              /* ... to such, whose weight of two dimensions then lies for it (net.c) */
	void (*function)(const struct bp_item *item, struct bp_function *ret); /* layers/pointwise.c alone */
	/* Sets out and flops of a node whose item has been checked and whose in[] are set. The error's layer is filled
	 * in by the caller. */
	enum bp_status (*shape)(struct bp_node *node, struct bp_error *err);
	/* Describes the tensors (name, trainable, dims, order, initial values; dims up to 4) in PyTorch's order,
	 * returns how many. NULL: none. */
	int (*params)(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS]);
	/* Of a layer that reads whole numbers from the net's input: how many different ones. NULL: it reads numbers. */
	int64_t (*indices)(const struct bp_node *node);
	/* BP_OK, BP_ENOMEM or BP_ELIMIT. NULL: all zero. */
	enum bp_status (*plan)(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err);
	void (*plan_free)(void *own); /* NULL when own always is */
	/* Of a batch norm that lets convolutions do its work: where in saved its values are, and behind which they put
	 * their parts. NULL: it does not. */
	void (*norm_side)(const struct bp_node *node, enum bp_act act, void *saved, struct bp_norm_side *ret);
	void (*forward)(const struct bp_layer_call *c);
	void (*backward)(const struct bp_layer_call *c);
};

extern const struct bp_layer_ops *const bp_layers[]; /* by type */
#define LAYER(name) extern const struct bp_layer_ops bp_layer_##name;
#include "layers/layers.def"

#endif
