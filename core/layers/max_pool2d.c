/* max_pool2d.c - the MaxPool2d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/max_pool.h"

enum { KERNEL_SIZE, STRIDE, PADDING, DILATION, CEIL_MODE };
static const struct bp_arg args[] = {
	{"kernel_size", BP_ARG_PAIR, true, {0}, 1, 4096, NULL, "Height and width of the window."},
	{"stride", BP_ARG_PAIR, false, {BP_UNSET, BP_UNSET}, 1, 65536, NULL,
		"Step of the window; kernel_size when not given."},
	{"padding", BP_ARG_PAIR, false, {0, 0}, 0, 2048, NULL, "Places on each side that never are the maximum."},
	{"dilation", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Distance between the places of a window."},
	{"ceil_mode", BP_ARG_BOOL, false, {0}, 0, 1, NULL, "Whether windows may hang over the end."},
};

static void windows(const struct bp_node *node, struct bp_window ret[2])
{
	const struct bp_value *a = node->item.args;
	for (int i = 0; i < 2; i++) {
		double stride = a[STRIDE].v[0] == BP_UNSET ? a[KERNEL_SIZE].v[i] : a[STRIDE].v[i];
		ret[i] = (struct bp_window){.in = node->in[0].dim[1 + i],
			.out = node->out.dim[1 + i],
			.kernel = (int64_t)a[KERNEL_SIZE].v[i],
			.stride = (int64_t)stride,
			.padding = (int64_t)a[PADDING].v[i],
			.dilation = (int64_t)a[DILATION].v[i]};
	}
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_window w[2];
	windows(node, w);
	enum bp_status st = bp_max_pool_check(w, "kernel_size", err);
	return st ? st : bp_pool_shape(node, w, 2, bp_item_bool(&node->item, CEIL_MODE), err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2];
	windows(s->node, w);
	return bp_max_pool_plan(s, w, ret, err);
}

const struct bp_layer_ops bp_layer_max_pool2d = {
	.info = {"MaxPool2d", "The maximum of each window.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = bp_max_pool_forward,
	.backward = bp_max_pool_backward,
};
