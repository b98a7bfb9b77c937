/* conv2d.c - the Conv2d layer. Called by net.c and exec.c (layers/layer.h). */
#include "base/shape.h"
#include "base/status.h"
#include "layers/convolve.h"

enum { OUT_CHANNELS, KERNEL_SIZE, STRIDE, PADDING, DILATION, GROUPS, BIAS };
static const struct bp_arg args[] = {
	{"out_channels", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Number of output maps."},
	{"kernel_size", BP_ARG_PAIR, true, {0}, 1, 4096, NULL, "Height and width of the kernel."},
	{"stride", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Step of the kernel."},
	{"padding", BP_ARG_PADDING, false, {0, 0}, 0, 65536, NULL,
		"Zeros on each side, or \"same\" (an output as large as the input) or \"valid\" (none)."},
	{"dilation", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Distance between the places a kernel reads."},
	{"groups", BP_ARG_INT, false, {1}, 1, 65536, NULL, "Parts of the channels that are convolved apart."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a learned bias is added to each map."},
};
enum { MAX_TAPS = 65536 };

static int64_t pair(const struct bp_node *node, int arg, int axis)
{
	return (int64_t)node->item.args[arg].v[axis];
}

static bool is_same(const struct bp_node *node)
{
	return node->item.args[PADDING].v[0] == BP_SAME;
}

/* Places a dilated kernel spans along an axis (0: rows, 1: columns). */
static int64_t reach(const struct bp_node *node, int axis)
{
	return (pair(node, KERNEL_SIZE, axis) - 1) * pair(node, DILATION, axis) + 1;
}

/* Padding before the first place. "same" puts the odd one behind, as PyTorch does. */
static int64_t padding_before(const struct bp_node *node, int axis)
{
	return is_same(node) ? (reach(node, axis) - 1) / 2 : pair(node, PADDING, axis);
}

static enum bp_status axis_shape(struct bp_node *node, int axis, struct bp_error *err)
{
	int64_t in = node->in[0].dim[1 + axis], stride = pair(node, STRIDE, axis);
	int64_t padding = is_same(node) ? reach(node, axis) - 1 : 2 * pair(node, PADDING, axis);
	if (is_same(node) && stride != 1)
		return bp_fail(err, BP_EINVAL, -1, "padding", "padding \"same\" needs a stride of 1");
	if (reach(node, axis) > in + padding)
		return bp_fail(err, BP_EINVAL, -1, "kernel_size",
			"the kernel spans %lld %s, but the padded input has %lld", (long long)reach(node, axis),
			axis ? "columns" : "rows", (long long)(in + padding));
	node->out.dim[1 + axis] = (in + padding - reach(node, axis)) / stride + 1;
	return BP_OK;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t groups = bp_item_int(&node->item, GROUPS), out = bp_item_int(&node->item, OUT_CHANNELS);
	if (node->in[0].ndim != 3)
		return bp_fail(err, BP_EINVAL, -1, "inputs", "Conv2d needs a map of 3 dimensions, not of %d",
			node->in[0].ndim);
	int64_t in = node->in[0].dim[0], taps = pair(node, KERNEL_SIZE, 0) * pair(node, KERNEL_SIZE, 1);
	if (in % groups != 0 || out % groups != 0)
		return bp_fail(err, BP_EINVAL, -1, "groups",
			"groups %lld must divide the %lld input and %lld output channels", (long long)groups,
			(long long)in, (long long)out);
	if (taps > MAX_TAPS)
		return bp_fail(err, BP_ELIMIT, -1, "kernel_size", "a kernel has at most %d places", MAX_TAPS);
	node->out = (struct bp_shape){3, {out, 1, 1}};
	for (int axis = 0; axis < 2; axis++) {
		enum bp_status st = axis_shape(node, axis, err);
		if (st)
			return st;
	}
	int64_t size = bp_shape_size(&node->out);
	if (size < 0 || __builtin_mul_overflow(size, 2 * taps * (in / groups), &node->flops))
		return bp_fail(err, BP_ELIMIT, -1, "out_channels", "the output is too large");
	return BP_OK;
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	int64_t in = node->in[0].dim[0] / bp_item_int(&node->item, GROUPS);
	int64_t kh = pair(node, KERNEL_SIZE, 0), kw = pair(node, KERNEL_SIZE, 1);
	struct bp_param weight = {.ndim = 4, .dim = {node->out.dim[0], in, kh, kw}, .order = BP_ORDER_HWIO};
	return bp_convolve_params(&weight, in * kh * kw, bp_item_bool(&node->item, BIAS), ret);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	const struct bp_node *node = s->node;
	struct bp_conv_shape cs = {
		.h = (int)node->in[0].dim[1],
		.w = (int)node->in[0].dim[2],
		.c = (int)node->in[0].dim[0],
		.oh = (int)node->out.dim[1],
		.ow = (int)node->out.dim[2],
		.oc = (int)node->out.dim[0],
		.kh = (int)pair(node, KERNEL_SIZE, 0),
		.kw = (int)pair(node, KERNEL_SIZE, 1),
		.sh = (int)pair(node, STRIDE, 0),
		.sw = (int)pair(node, STRIDE, 1),
		.pt = (int)padding_before(node, 0),
		.pl = (int)padding_before(node, 1),
		.dh = (int)pair(node, DILATION, 0),
		.dw = (int)pair(node, DILATION, 1),
		.groups = (int)bp_item_int(&node->item, GROUPS),
	};
	return bp_convolve_plan(s, &cs, ret, err);
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
