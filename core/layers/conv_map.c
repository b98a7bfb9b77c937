/* conv_map.c - see conv_map.h. */
#include "layers/conv_map.h"

#include "base/shape.h"
#include "base/status.h"

enum bp_status bp_conv_args_check(const struct bp_node *node, const struct bp_conv_args *a, struct bp_error *err)
{
	const struct bp_shape *in = &node->in[0];
	const char *type = node->ops->info.name;
	if (in->ndim != 1 + a->axes)
		return bp_fail(err, BP_EINVAL, -1, "inputs", "%s needs %s of %d dimensions, not of %d", type,
			a->axes == 1 ? "a sequence" : "a map", 1 + a->axes, in->ndim);
	if (in->dim[0] % a->groups != 0 || a->out_channels % a->groups != 0)
		return bp_fail(err, BP_EINVAL, -1, "groups",
			"groups %lld must divide the %lld input and %lld output channels", (long long)a->groups,
			(long long)in->dim[0], (long long)a->out_channels);
	if (a->kernel[0] * a->kernel[1] > BP_CONV_MAX_TAPS)
		return bp_fail(err, BP_ELIMIT, -1, "kernel_size", "a kernel has at most %d places", BP_CONV_MAX_TAPS);
	return BP_OK;
}

enum bp_status bp_conv_stride_check(const struct bp_conv_args *a, int64_t rows, int64_t columns, struct bp_error *err)
{
	int64_t down = a->stride[0] < rows ? a->stride[0] : rows;
	int64_t across = a->stride[1] < columns ? a->stride[1] : columns;
	if (down * across > BP_CONV_MAX_PHASES)
		return bp_fail(err, BP_ELIMIT, -1, "stride",
			"a stride has at most %d places within the map; this one has %lld", BP_CONV_MAX_PHASES,
			(long long)(down * across));
	return BP_OK;
}

enum bp_status bp_conv_too_large(const struct bp_node *node, const char *by, struct bp_error *err)
{
	const struct bp_shape *in = &node->in[0], *out = &node->out;
	int64_t growth = bp_shape_h(out) * bp_shape_w(out) / (bp_shape_h(in) * bp_shape_w(in));
	char text[BP_SHAPE_TEXT];
	return bp_fail(err, BP_ELIMIT, -1, growth > bp_shape_c(out) ? by : "out_channels",
		"the output of %s is too large", bp_shape_text(out, text));
}

struct bp_shape bp_conv_out(const struct bp_conv_args *a, int64_t channels, int64_t rows, int64_t columns)
{
	if (a->axes == 1)
		return (struct bp_shape){2, {channels, columns}};
	return (struct bp_shape){3, {channels, rows, columns}};
}

struct bp_param bp_conv_weight(const struct bp_conv_args *a, int64_t out, int64_t in)
{
	if (a->axes == 1)
		return (struct bp_param){.ndim = 3, .dim = {out, in, a->kernel[1]}, .order = BP_ORDER_HWIO};
	return (struct bp_param){.ndim = 4, .dim = {out, in, a->kernel[0], a->kernel[1]}, .order = BP_ORDER_HWIO};
}

/* Padding before the first place. "same" puts the odd one behind, as PyTorch does. */
static int64_t padding_before(const struct bp_conv_args *a, int axis)
{
	return a->same ? (bp_conv_reach(a, axis) - 1) / 2 : a->padding[axis];
}

/* Places of the output along an axis. */
static enum bp_status axis_size(const struct bp_conv_args *a, int axis, int64_t in, int64_t *ret, struct bp_error *err)
{
	int64_t reach = bp_conv_reach(a, axis), padding = a->same ? reach - 1 : 2 * a->padding[axis];
	if (a->same && a->stride[axis] != 1)
		return bp_fail(err, BP_EINVAL, -1, "padding", "padding \"same\" needs a stride of 1");
	if (in + padding > INT32_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "padding", "the padded input has more than 2^31 - 1 places");
	if (reach > in + padding)
		return bp_fail(err, BP_EINVAL, -1, "kernel_size",
			"the kernel spans %lld %s, but the padded input has %lld", (long long)reach,
			a->axes == 1 ? "places"
			: axis       ? "columns"
				     : "rows",
			(long long)(in + padding));
	*ret = (in + padding - reach) / a->stride[axis] + 1;
	return BP_OK;
}

static struct bp_conv_shape conv_shape(const struct bp_node *node, const struct bp_conv_args *a)
{
	const struct bp_shape *in = &node->in[0], *out = &node->out;
	return (struct bp_conv_shape){
		.h = (int)bp_shape_h(in),
		.w = (int)bp_shape_w(in),
		.c = (int)bp_shape_c(in),
		.oh = (int)bp_shape_h(out),
		.ow = (int)bp_shape_w(out),
		.oc = (int)bp_shape_c(out),
		.kh = (int)a->kernel[0],
		.kw = (int)a->kernel[1],
		.sh = (int)a->stride[0],
		.sw = (int)a->stride[1],
		.pt = (int)padding_before(a, 0),
		.pl = (int)padding_before(a, 1),
		.dh = (int)a->dilation[0],
		.dw = (int)a->dilation[1],
		.groups = (int)a->groups,
		.algorithm = a->algorithm,
	};
}

enum bp_status bp_conv_map_shape(struct bp_node *node, const struct bp_conv_args *a, struct bp_error *err)
{
	const struct bp_shape *in = &node->in[0];
	int64_t rows = 1, columns = 1;
	enum bp_status st = bp_conv_args_check(node, a, err);
	if (!st)
		st = axis_size(a, 0, bp_shape_h(in), &rows, err);
	if (!st)
		st = axis_size(a, 1, bp_shape_w(in), &columns, err);
	if (!st)
		st = bp_conv_stride_check(a, bp_shape_h(in), bp_shape_w(in), err);
	if (st)
		return st;
	node->out = bp_conv_out(a, a->out_channels, rows, columns);
	int64_t size = bp_shape_size(&node->out), work = 2 * a->kernel[0] * a->kernel[1] * (in->dim[0] / a->groups);
	if (size < 0 || __builtin_mul_overflow(size, work, &node->flops))
		return bp_conv_too_large(node, "padding", err);
	struct bp_conv_shape cs = conv_shape(node, a);
	if (cs.algorithm == BP_CONV_WINOGRAD && !bp_conv_can_winograd(&cs))
		return bp_fail(err, BP_EINVAL, -1, "algorithm",
			"\"winograd\" does not serve this kernel with this stride, dilation, padding and groups; "
			"\"auto\" takes it wherever it is faster");
	return BP_OK;
}

int bp_conv_map_params(const struct bp_node *node, const struct bp_conv_args *a, struct bp_param ret[BP_LAYER_PARAMS])
{
	int64_t in = node->in[0].dim[0] / a->groups;
	struct bp_param weight = bp_conv_weight(a, a->out_channels, in);
	return bp_convolve_params(&weight, in * a->kernel[0] * a->kernel[1], a->bias ? a->out_channels : 0, ret);
}

enum bp_status bp_conv_map_plan(
	const struct bp_layer_setup *s, const struct bp_conv_args *a, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_conv_shape cs = conv_shape(s->node, a);
	return bp_convolve_plan(s, &cs, ret, err);
}
