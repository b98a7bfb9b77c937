/* max_pool1d.c - the MaxPool1d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/max_pool.h"

enum { KERNEL_SIZE, STRIDE, PADDING, DILATION, CEIL_MODE };
static const struct bp_arg args[] = {
	{"kernel_size", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Length of the window."},
	{"stride", BP_ARG_INT, false, {BP_UNSET}, 1, 65536, NULL, "Step of the window; kernel_size when not given."},
	{"padding", BP_ARG_INT, false, {0}, 0, 32768, NULL, "Places on each side that never are the maximum."},
	{"dilation", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Distance between the places of a window."},
	{"ceil_mode", BP_ARG_BOOL, false, {0}, 0, 1, NULL, "Whether windows may hang over the end."},
};

static void windows(const struct bp_node *node, struct bp_window ret[2])
{
	const struct bp_item *item = &node->item;
	int64_t stride = bp_item_int(item, STRIDE), kernel = bp_item_int(item, KERNEL_SIZE);
	ret[0] = bp_window_row;
	ret[1] = (struct bp_window){.in = node->in[0].dim[1],
		.out = node->out.dim[1],
		.kernel = kernel,
		.stride = stride == (int64_t)BP_UNSET ? kernel : stride,
		.padding = bp_item_int(item, PADDING),
		.dilation = bp_item_int(item, DILATION)};
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_window w[2];
	windows(node, w);
	enum bp_status st = bp_max_pool_check(w, "kernel_size", err);
	return st ? st : bp_pool_shape(node, w, 1, bp_item_bool(&node->item, CEIL_MODE), err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2];
	windows(s->node, w);
	return bp_max_pool_plan(s, w, ret, err);
}

const struct bp_layer_ops bp_layer_max_pool1d = {
	.info = {"MaxPool1d", "The maximum of each window.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = bp_max_pool_forward,
	.backward = bp_max_pool_backward,
};
