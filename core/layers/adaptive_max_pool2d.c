/* adaptive_max_pool2d.c - the AdaptiveMaxPool2d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/max_pool.h"

enum { OUTPUT_SIZE };
static const struct bp_arg args[] = {
	{"output_size", BP_ARG_PAIR, true, {0}, 1, 65536, NULL, "Height and width of the output."},
};

static void windows(const struct bp_node *node, struct bp_window ret[2])
{
	for (int i = 0; i < 2; i++)
		ret[i] = bp_window_even(node->in[0].dim[1 + i], node->out.dim[1 + i]);
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	const double *size = node->item.args[OUTPUT_SIZE].v;
	node->out = (struct bp_shape){3, {node->in[0].dim[0], (int64_t)size[0], (int64_t)size[1]}};
	struct bp_window w[2];
	enum bp_status st = bp_pool_axes(node, 2, err);
	if (st)
		return st;
	windows(node, w);
	return bp_max_pool_check(w, "output_size", err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2];
	windows(s->node, w);
	return bp_max_pool_plan(s, w, ret, err);
}

const struct bp_layer_ops bp_layer_adaptive_max_pool2d = {
	.info = {"AdaptiveMaxPool2d", "The maxima of windows that cover the map evenly.", args, BP_ARG_COUNT(args), 1,
		1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = bp_max_pool_forward,
	.backward = bp_max_pool_backward,
};
