/*
 * net.h - a built net: its nodes, its flat weights, and the table that says where each tensor lies.
 *
 * Weights, buffers and (in the trainer) gradients and optimizer state are flat vectors; a parameter is an offset into
 * them. Weights and gradients share offsets. Built by net.c from a spec through the ops of each layer (layers/layer.h).
 */
#ifndef BP_NET_NET_H
#define BP_NET_NET_H

#include "backprop.h"

struct bp_layer_ops; /* layers/layer.h */

/* How a tensor lies inside, against PyTorch's order outside. */
enum bp_order {
	BP_ORDER_SAME,
	BP_ORDER_HWIO,   /* outside OIHW, or OIW of sequences */
	BP_ORDER_IO,     /* outside (out, in) */
	BP_ORDER_PANELS, /* outside (out, in); inside as base/panels.h says */
	BP_ORDER_LAST    /* outside channels first, like samples; inside channels last */
};

struct bp_param {
	char name[31]; /* "weight", "running_mean" */
	int layer;
	bool trainable;       /* in weights; else in buffers */
	int64_t offset, size; /* elements */
	int ndim;
	int64_t dim[4]; /* PyTorch's order */
	enum bp_order order;
	int64_t channels; /* not 0: input features, inside, lie as a map of so many channels does, channels last */
	double init_value, init_bound; /* starts as init_value + U(-init_bound, init_bound) */
	double init_deviation;         /* when not 0: as init_value + N(0, init_deviation^2) */
	int64_t zeros_at, zeros;       /* but these elements start as 0 */
	const struct bp_item *init;    /* or, when it is not NULL, as that says */
};

struct bp_node {
	char name[BP_NAME_MAX + 1];
	struct bp_item item;
	struct bp_layer_options options;
	const struct bp_layer_ops *ops;
	int ninputs;
	int inputs[BP_MAX_INPUTS];
	struct bp_shape in[BP_MAX_INPUTS], out; /* CHW */
	int first_param, nparams;               /* trainable tensors, in net->params */
	int first_buffer, nbuffers;             /* buffers, in net->params */
	int64_t flops;                          /* forward, one sample */
	int64_t flops_backward;                 /* without what leads only to the net's input */
	bool learns;                            /* this node or one it feeds on has tensors that change */
	bool keeps_order;                       /* a Flatten whose features stay as they lie */
};

struct bp_net {
	struct bp_shape input;
	int64_t indices; /* see bp_net_input_indices */
	int nnodes;
	struct bp_node *nodes;
	int nparams;
	struct bp_param *params;    /* trainable ones first, each group in layer order */
	int64_t nweights, nbuffers; /* elements; both padded so that each tensor starts on 64 bytes */
	bp_real *weights, *buffers;
};

/* Where element i of PyTorch's order lies inside, from the tensor's offset. */
int64_t bp_param_at(const struct bp_param *p, int64_t i);
/* PyTorch's order <-> inside, for any flat vector laid out like weights (or buffers for non-trainable ones). */
void bp_param_get(const struct bp_param *p, const bp_real *flat, bp_real *ret_data);
void bp_param_set(const struct bp_param *p, bp_real *flat, const bp_real *data);
/* Whether a step changes the tensor. */
bool bp_param_learns(const struct bp_net *net, const struct bp_param *p);
/* Checks the options of a layer whose tensors are known, and points those at the initialisation they ask for. */
enum bp_status bp_node_options(struct bp_net *net, int layer, struct bp_error *err);
/* A hash of the net's description, for checkpoints: same layers, arguments, graph and shapes. */
uint64_t bp_net_fingerprint(const struct bp_net *net);

#endif
