/* adaptive_max_pool1d.c - the AdaptiveMaxPool1d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/max_pool.h"

enum { OUTPUT_SIZE };
static const struct bp_arg args[] = {
	{"output_size", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Length of the output."},
};

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	node->out = (struct bp_shape){2, {node->in[0].dim[0], bp_item_int(&node->item, OUTPUT_SIZE)}};
	enum bp_status st = bp_pool_axes(node, 1, err);
	if (st)
		return st;
	struct bp_window w[2] = {bp_window_row, bp_window_even(node->in[0].dim[1], node->out.dim[1])};
	return bp_max_pool_check(w, "output_size", err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2] = {bp_window_row, bp_window_even(s->node->in[0].dim[1], s->node->out.dim[1])};
	return bp_max_pool_plan(s, w, ret, err);
}

const struct bp_layer_ops bp_layer_adaptive_max_pool1d = {
	.info = {"AdaptiveMaxPool1d", "The maxima of windows that cover the sequence evenly.", args, BP_ARG_COUNT(args),
		1, 1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = bp_max_pool_forward,
	.backward = bp_max_pool_backward,
};
