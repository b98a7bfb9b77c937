/* conv1d.c - the Conv1d layer: a convolution of maps of one row. Called by net.c and exec.c (layers/layer.h). */
#include "base/status.h"
#include "layers/conv_map.h"

enum { OUT_CHANNELS, KERNEL_SIZE, STRIDE, PADDING, DILATION, GROUPS, BIAS, ALGORITHM };
static const struct bp_arg args[] = {
	{"out_channels", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Number of output channels."},
	{"kernel_size", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Length of the kernel."},
	{"stride", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Step of the kernel."},
	{"padding", BP_ARG_PADDING, false, {0, 0}, 0, 65536, NULL,
		"Zeros on each side, or \"same\" (an output as large as the input) or \"valid\" (none)."},
	{"dilation", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Distance between the places a kernel reads."},
	{"groups", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Parts of the channels that are convolved apart."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a learned bias is added to each channel."},
	BP_CONV_ALGORITHM_ARG,
};

static struct bp_conv_args read_args(const struct bp_node *node)
{
	return (struct bp_conv_args){
		.axes = 1,
		.kernel = {1, bp_item_int(&node->item, KERNEL_SIZE)},
		.stride = {1, bp_item_int(&node->item, STRIDE)},
		.padding = {0, (int64_t)node->item.args[PADDING].v[0]},
		.dilation = {1, bp_item_int(&node->item, DILATION)},
		.same = node->item.args[PADDING].v[0] == BP_SAME,
		.out_channels = bp_item_int(&node->item, OUT_CHANNELS),
		.groups = bp_item_int(&node->item, GROUPS),
		.bias = bp_item_bool(&node->item, BIAS),
		.algorithm = (enum bp_conv_algorithm)bp_item_int(&node->item, ALGORITHM),
	};
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_conv_args a = read_args(node);
	const double *padding = node->item.args[PADDING].v;
	if (padding[0] != padding[1])
		return bp_fail(err, BP_EINVAL, -1, "padding", "a sequence is padded by one number on both sides");
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

const struct bp_layer_ops bp_layer_conv1d = {
	.info = {"Conv1d", "Convolution of sequences with learned kernels.", args, BP_ARG_COUNT(args), 1, 1},
	.fuses_relu = true,
	.shape = shape,
	.params = params,
	.plan = plan,
	.plan_free = bp_convolve_free,
	.forward = bp_convolve_forward,
	.backward = bp_convolve_backward,
};
