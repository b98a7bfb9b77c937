/* adaptive_avg_pool2d.c - the AdaptiveAvgPool2d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/window.h"

enum { OUTPUT_SIZE };
static const struct bp_arg args[] = {
	{"output_size", BP_ARG_PAIR, true, {0}, 1, 65536, NULL, "Height and width of the output."},
};

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	const double *size = node->item.args[OUTPUT_SIZE].v;
	node->out = (struct bp_shape){3, {node->in[0].dim[0], (int64_t)size[0], (int64_t)size[1]}};
	return bp_pool_axes(node, 2, err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2];
	for (int i = 0; i < 2; i++)
		w[i] = bp_window_even(s->node->in[0].dim[1 + i], s->node->out.dim[1 + i]);
	return bp_avg_pool_plan(s, w, ret, err);
}

const struct bp_layer_ops bp_layer_adaptive_avg_pool2d = {
	.info = {"AdaptiveAvgPool2d", "Averages of windows that cover the map evenly.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = bp_avg_pool_forward,
	.backward = bp_avg_pool_backward,
};
