/*
 * linear.c - the Linear layer: y = x A^T + b, a 1x1 convolution of a 1x1 map. Called by net.c and exec.c
 * (layers/layer.h).
 */
#include "base/panels.h"
#include "base/shape.h"
#include "base/status.h"
#include "layers/convolve.h"

enum { OUT_FEATURES, BIAS };
static const struct bp_arg args[] = {
	{"out_features", BP_ARG_INT, true, {0}, 1, 1 << 24, NULL, "Number of outputs."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a learned bias is added."},
};

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	if (node->in[0].ndim != 1)
		return bp_fail(err, BP_EINVAL, -1, "inputs", "Linear needs a flat input; put a Flatten before it");
	node->out = (struct bp_shape){1, {bp_item_int(&node->item, OUT_FEATURES)}};
	node->flops = 2 * node->in[0].dim[0] * node->out.dim[0];
	return BP_OK;
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	int64_t in = node->in[0].dim[0], out = node->out.dim[0];
	struct bp_param weight = {
		.ndim = 2, .dim = {out, in}, .order = bp_in_panels(in, out) ? BP_ORDER_PANELS : BP_ORDER_IO};
	return bp_convolve_params(&weight, in, bp_item_bool(&node->item, BIAS) ? out : 0, ret);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	const int64_t in = s->node->in[0].dim[0], out = s->node->out.dim[0];
	struct bp_conv_shape cs = bp_conv_pointwise(1, 1, (int)in, (int)out);
	cs.panels = bp_in_panels(in, out);
	return bp_convolve_plan(s, &cs, ret, err);
}

const struct bp_layer_ops bp_layer_linear = {
	.info = {"Linear", "Every output is a weighted sum of all inputs.", args, BP_ARG_COUNT(args), 1, 1},
	.fuses_relu = true,
	.any_order = true,
	.shape = shape,
	.params = params,
	.plan = plan,
	.plan_free = bp_convolve_free,
	.forward = bp_convolve_forward,
	.backward = bp_convolve_backward,
};
