/*
 * prelu.c - the PReLU layer (He et al., "Delving Deep into Rectifiers", 2015): a learned slope for negative inputs, one
 * for all channels or one for each. Called by net.c and exec.c (layers/layer.h).
 *
 * The slopes may be negative, so x is kept for backward. Rows are cut into blocks by shape alone; each sums its part of
 * the slopes' gradients, and the parts are added in order, in double precision.
 */
#include "kernels/channels.h"

#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/each.h"

enum { NUM_PARAMETERS, INIT };
static const struct bp_arg args[] = {
	{"num_parameters", BP_ARG_INT, false, {1}, 1, 1 << 24, NULL, "Slopes: 1, or one for each channel."},
	{"init", BP_ARG_REAL, false, {0.25}, -1e6, 1e6, NULL, "The slopes to start with."},
};

enum { PRELU_ROWS = 16 /* of a block, at least, so that partial sums stay small against the data */ };

static int64_t channels(const struct bp_node *node)
{
	return bp_shape_c(&node->out);
}

static int64_t rows_of(const struct bp_node *node, int64_t n)
{
	return n * bp_shape_h(&node->out) * bp_shape_w(&node->out);
}

static int64_t block_rows(const struct bp_node *node)
{
	int64_t rows = BP_BLOCK_ELEMENTS / channels(node);
	return rows < PRELU_ROWS ? PRELU_ROWS : rows;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t n = bp_item_int(&node->item, NUM_PARAMETERS), c = bp_shape_c(&node->in[0]);
	if (n != 1 && n != c)
		return bp_fail(err, BP_EINVAL, -1, "num_parameters",
			"num_parameters must be 1 or the number of channels, %lld, not %lld", (long long)c,
			(long long)n);
	return bp_shape_keep(node, err);
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	ret[0] = (struct bp_param){
		.name = "weight",
		.trainable = true,
		.ndim = 1,
		.dim = {bp_item_int(&node->item, NUM_PARAMETERS)},
		.init_value = bp_item_real(&node->item, INIT),
	};
	return 1;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	int64_t blocks = bp_blocks_count(rows_of(s->node, s->max_batch), block_rows(s->node));
	ret->inplace = !s->training;
	ret->dx_inplace = ret->keeps_x = true;
	/* The slopes, one for each channel; then each block's sums. */
	ret->workspace = (1 + (s->training ? blocks : 0)) * channels(s->node) * (int64_t)sizeof(bp_real);
	return BP_OK;
}

struct work {
	const struct bp_layer_call *call;
	int64_t c, rows, per_block, blocks;
	bp_real *slope, *sums;
};

static struct work start(const struct bp_layer_call *call)
{
	struct work w = {
		.call = call,
		.c = channels(call->node),
		.rows = rows_of(call->node, call->pass->n),
		.per_block = block_rows(call->node),
		.slope = call->workspace,
	};
	w.blocks = bp_blocks_count(w.rows, w.per_block);
	w.sums = w.slope + w.c;
	bool shared = bp_item_int(&call->node->item, NUM_PARAMETERS) == 1;
	for (int64_t j = 0; j < w.c; j++)
		w.slope[j] = call->param[0][shared ? 0 : j];
	return w;
}

static void forward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	int64_t at = block * w->per_block * w->c;
	size_t rows = (size_t)bp_block_length(w->rows, w->per_block, block);
	c->ctx->k->prelu(rows, (size_t)w->c, w->slope, c->x[0] + at, c->y + at);
}

static void backward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	int64_t at = block * w->per_block * w->c;
	struct bp_prelu_grad p = {
		.rows = (size_t)bp_block_length(w->rows, w->per_block, block),
		.c = (size_t)w->c,
		.slope = w->slope,
		.x = c->x[0] + at,
		.dy = c->dy + at,
		.acc = c->accumulate[0],
		.dx = c->dx[0] ? c->dx[0] + at : NULL,
		.ret_slope = w->sums + block * w->c,
	};
	c->ctx->k->prelu_grad(&p);
}

static void forward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	bp_blocks_run(c->ctx, w.blocks, w.rows * w.c, forward_block, &w);
}

static void backward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	bool shared = bp_item_int(&c->node->item, NUM_PARAMETERS) == 1;
	double all = 0;
	bp_blocks_run(c->ctx, w.blocks, w.rows * w.c, backward_block, &w);
	for (int64_t j = 0; j < w.c; j++) {
		double sum = 0;
		for (int64_t b = 0; b < w.blocks; b++)
			sum += (double)w.sums[b * w.c + j];
		all += sum;
		if (!shared)
			c->grad[0][j] = (bp_real)sum;
	}
	if (shared)
		c->grad[0][0] = (bp_real)all;
}

const struct bp_layer_ops bp_layer_prelu = {
	.info = {"PReLU", "x, or x times a learned slope where x is negative.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.params = params,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
