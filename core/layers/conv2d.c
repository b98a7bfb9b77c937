/* conv2d.c - the Conv2d layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/conv_map.h"

enum { OUT_CHANNELS, KERNEL_SIZE, STRIDE, PADDING, DILATION, GROUPS, BIAS, ALGORITHM };
static const struct bp_arg args[] = {
	{"out_channels", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Number of output maps."},
	{"kernel_size", BP_ARG_PAIR, true, {0}, 1, 4096, NULL, "Height and width of the kernel."},
	{"stride", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Step of the kernel."},
	{"padding", BP_ARG_PADDING, false, {0, 0}, 0, 65536, NULL,
		"Zeros on each side, or \"same\" (an output as large as the input) or \"valid\" (none)."},
	{"dilation", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Distance between the places a kernel reads."},
	{"groups", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Parts of the channels that are convolved apart."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a learned bias is added to each map."},
	BP_CONV_ALGORITHM_ARG,
};

static struct bp_conv_args read_args(const struct bp_node *node)
{
	const struct bp_value *v = node->item.args;
	struct bp_conv_args a = {
		.axes = 2,
		.same = v[PADDING].v[0] == BP_SAME,
		.out_channels = bp_item_int(&node->item, OUT_CHANNELS),
		.groups = bp_item_int(&node->item, GROUPS),
		.bias = bp_item_bool(&node->item, BIAS),
		.algorithm = (enum bp_conv_algorithm)bp_item_int(&node->item, ALGORITHM),
	};
	for (int i = 0; i < 2; i++) {
		a.kernel[i] = (int64_t)v[KERNEL_SIZE].v[i];
		a.stride[i] = (int64_t)v[STRIDE].v[i];
		a.padding[i] = (int64_t)v[PADDING].v[i];
		a.dilation[i] = (int64_t)v[DILATION].v[i];
	}
	return a;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_conv_args a = read_args(node);
	return bp_conv_map_shape(node, &a, err);
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	struct bp_conv_args a = read_args(node);
	return bp_conv_map_params(node, &a, ret);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_conv_args a = read_args(s->node);
	return bp_conv_map_plan(s, &a, ret, err);
}

const struct bp_layer_ops bp_layer_conv2d = {
	.info = {"Conv2d", "Convolution of maps with learned kernels.", args, BP_ARG_COUNT(args), 1, 1},
	.fuses_relu = true,
	.shape = shape,
	.params = params,
	.plan = plan,
	.plan_free = bp_convolve_free,
	.forward = bp_convolve_forward,
	.backward = bp_convolve_backward,
};
