/*
 * glu.c - the layer GLU, as torch.nn.GLU: the first half of the features, or of the channels at each place, times the
 * sigmoid of the second. Channels-last, both halves of a place are one row as it lies in memory. Called by net.c and
 * exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

enum { DIM };
static const struct bp_arg args[] = {
	{"dim", BP_ARG_INT, false, {-1}, -4, 3, NULL,
		"What is halved, counting the batch as 0: features or channels, which is 1."},
};

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t dim = bp_item_int(&node->item, DIM), channels = node->in[0].dim[0];
	const char *what = node->in[0].ndim == 1 ? "features" : "channels";
	int from_end = -node->in[0].ndim;
	if (dim != 1 && dim != from_end)
		return bp_fail(err, BP_EINVAL, -1, "dim", "GLU halves the %s: dim must be 1 or %d here, not %d", what,
			from_end, (int)dim);
	if (channels % 2 != 0)
		return bp_fail(
			err, BP_EINVAL, -1, "inputs", "GLU halves the %s, and %lld is odd", what, (long long)channels);
	node->out = node->in[0];
	node->out.dim[0] = channels / 2;
	return BP_OK;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->keeps_x = true;
	return BP_OK;
}

static int64_t rows(const struct bp_layer_call *c)
{
	return bp_shape_h(&c->node->out) * bp_shape_w(&c->node->out) * c->pass->n;
}

static int64_t rows_of_block(const struct bp_layer_call *c)
{
	int64_t channels = bp_shape_c(&c->node->out);
	return channels < BP_BLOCK_ELEMENTS ? BP_BLOCK_ELEMENTS / channels : 1;
}

static void forward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t n = bp_shape_c(&c->node->out), per = rows_of_block(c), first = block * per;
	size_t count = (size_t)bp_block_length(rows(c), per, block);
	c->ctx->k->glu(count, (size_t)n, c->x[0] + first * 2 * n, c->y + first * n);
}

static void backward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t n = bp_shape_c(&c->node->out), per = rows_of_block(c), first = block * per;
	size_t count = (size_t)bp_block_length(rows(c), per, block);
	c->ctx->k->glu_grad(count, (size_t)n, c->x[0] + first * 2 * n, c->dy + first * n, c->accumulate[0],
		c->dx[0] + first * 2 * n);
}

static void run(const struct bp_layer_call *c, bp_block_fn fn)
{
	int64_t work = rows(c) * bp_shape_c(&c->node->out);
	bp_blocks_run(c->ctx, bp_blocks_count(rows(c), rows_of_block(c)), work, fn, c);
}

static void forward(const struct bp_layer_call *c)
{
	run(c, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	if (c->dx[0])
		run(c, backward_block);
}

const struct bp_layer_ops bp_layer_glu = {
	.info = {"GLU", "The first half of the features or channels, times the sigmoid of the second.", args,
		BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
