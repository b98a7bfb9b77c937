/*
 * softmax.c - the layers Softmax and LogSoftmax: over the features of a flat input, or over the channels at each place
 * of a map or sequence; channels-last, both are rows as they lie in memory. Called by net.c and exec.c
 * (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/each.h"

enum { DIM };
static const struct bp_arg args[] = {
	{"dim", BP_ARG_INT, false, {1}, -4, 3, NULL,
		"What sums to 1, counting the batch as 0: features or channels, which is 1."},
};

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t dim = bp_item_int(&node->item, DIM);
	int from_end = -node->in[0].ndim;
	if (dim != 1 && dim != from_end)
		return bp_fail(err, BP_EINVAL, -1, "dim", "%s goes over %s: dim must be 1 or %d here, not %d",
			node->ops->info.name, node->in[0].ndim == 1 ? "features" : "channels", from_end, (int)dim);
	return bp_shape_keep(node, err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->inplace = ret->dx_inplace = ret->keeps_y = true;
	return BP_OK;
}

static int64_t length(const struct bp_layer_call *c)
{
	return bp_shape_c(&c->node->out);
}

static int64_t rows(const struct bp_layer_call *c)
{
	return bp_shape_h(&c->node->out) * bp_shape_w(&c->node->out) * c->pass->n;
}

static int64_t rows_of_block(const struct bp_layer_call *c)
{
	return length(c) < BP_BLOCK_ELEMENTS ? BP_BLOCK_ELEMENTS / length(c) : 1;
}

static bool is_log(const struct bp_layer_call *c)
{
	return c->node->ops == &bp_layer_log_softmax;
}

static void forward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t n = length(c), per = rows_of_block(c), first = block * per;
	for (int64_t r = first; r < first + bp_block_length(rows(c), per, block); r++)
		c->ctx->k->softmax(n, is_log(c), c->x[0] + r * n, c->y + r * n);
}

static void backward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t n = length(c), per = rows_of_block(c), first = block * per;
	for (int64_t r = first; r < first + bp_block_length(rows(c), per, block); r++)
		c->ctx->k->softmax_grad(n, is_log(c), c->y + r * n, c->dy + r * n, c->accumulate[0], c->dx[0] + r * n);
}

static void run(const struct bp_layer_call *c, bp_block_fn fn)
{
	bp_blocks_run(c->ctx, bp_blocks_count(rows(c), rows_of_block(c)), rows(c) * length(c), fn, c);
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

const struct bp_layer_ops bp_layer_softmax = {
	.info = {"Softmax", "exp(x) / sum exp(x), over features or channels.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};

const struct bp_layer_ops bp_layer_log_softmax = {
	.info = {"LogSoftmax", "The logarithm of Softmax, for NLLLoss.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
