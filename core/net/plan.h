/*
 * plan.h - where every value, gradient and saved array of a net lies in memory, and which layers are fused; decided
 * once from shapes, before anything is allocated. Called by exec.c alone.
 *
 * Time runs 0 for the input, i + 1 for node i's forward, n + 1 for the loss, 2n + 1 - i for node i's backward. Each
 * block of memory is in use over an interval of it; blocks whose intervals do not meet may share bytes.
 */
#ifndef BP_NET_PLAN_H
#define BP_NET_PLAN_H

#include "layers/layer.h"

enum { BP_BLOCK_NONE = -1, BP_BLOCK_INPUT_GRADIENT = -2 /* the caller's ret_dx */ };

struct bp_block {
	int64_t bytes, offset; /* both multiples of 64 */
	int first, last;       /* interval of use */
};

struct bp_step {
	struct bp_layer_plan layer;
	enum bp_act act;
	bool absorbed;             /* done by the layer before it, or nothing to do */
	bool relu_taken;           /* the layer after it takes the gradient through act */
	bool takes_relu;           /* and this is that layer */
	int x[BP_MAX_INPUTS], y;   /* blocks */
	int dy, dx[BP_MAX_INPUTS]; /* blocks, or the above */
	bool accumulate[BP_MAX_INPUTS];
	int saved; /* block or BP_BLOCK_NONE */
	/* Of a batch norm: the convolutions before and after it that do its work, node or -1; whether the one before
	 * takes its gradient too, and the one after applies it. Of a convolution: the norms that it does. */
	int before, after;
	bool grad, applied;
};

struct bp_plan {
	const struct bp_net *net;
	struct bp_step *steps; /* one for each node */
	struct bp_block *blocks;
	int nblocks;
	int input, output;    /* blocks */
	int output_gradient;  /* block, when training */
	bool copies_gradient; /* the net changes nothing: ret_dx is the output's gradient */
	int64_t bytes, workspace;
};

enum bp_status bp_plan_init(
	struct bp_plan *plan, const struct bp_net *net, const struct bp_layer_setup *setup, struct bp_error *err);
void bp_plan_done(struct bp_plan *plan);

/* Gives every block its offset and returns the bytes of all, or -1 when out of memory. */
int64_t bp_blocks_place(struct bp_block *blocks, int n);

#endif
