/*
 * pointwise.c - the layers that apply one function to every element: each type says which function of
 * kernels/pointwise.def, with which constants, and from what its slope is computed; the passes are common. (ReLU has a
 * file of its own, as other layers absorb it.) Called by net.c and exec.c (layers/layer.h).
 */
#include "kernels/pointwise.h"

#include "base/status.h"
#include "layers/each.h"

static struct bp_function function_of(const struct bp_node *node)
{
	struct bp_function f = {.from_y = false};
	node->ops->function(&node->item, &f);
	return f;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	struct bp_function f = function_of(s->node);
	ret->inplace = f.from_y || !s->training;
	ret->keeps_y = f.from_y;
	ret->keeps_x = !f.from_y;
	ret->dx_inplace = true;
	return BP_OK;
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	struct bp_function f = function_of(c->node);
	c->ctx->k->pointwise(&f, n, c->x[0] + at, c->y + at);
}

static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	struct bp_function f = function_of(c->node);
	const bp_real *v = f.from_y ? c->y : c->x[0];
	c->ctx->k->pointwise_grad(&f, n, v + at, c->dy + at, c->accumulate[0], c->dx[0] + at);
}

static void forward(const struct bp_layer_call *c)
{
	bp_each_run(c, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	if (c->dx[0])
		bp_each_run(c, backward_block);
}

#define PASSES .plan = plan, .forward = forward, .backward = backward
#define POINTWISE(fn) .shape = bp_shape_keep, .function = fn, PASSES

enum { NEGATIVE_SLOPE };
static const struct bp_arg leaky_relu_args[] = {
	{"negative_slope", BP_ARG_REAL, false, {0.01}, -1e6, 1e6, NULL, "Factor of negative inputs."},
};
static void leaky_relu(const struct bp_item *item, struct bp_function *ret)
{
	double slope = bp_item_real(item, NEGATIVE_SLOPE);
	/* With a slope that is not negative, y is positive where x is. */
	*ret = (struct bp_function){.kind = BP_FN_leaky_relu, .from_y = slope >= 0, .a = (bp_real)slope};
}
const struct bp_layer_ops bp_layer_leaky_relu = {
	.info = {"LeakyReLU", "x, or x times negative_slope where x is negative.", leaky_relu_args,
		BP_ARG_COUNT(leaky_relu_args), 1, 1},
	POINTWISE(leaky_relu),
};

static void relu6(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_hardtanh, .from_y = true, .a = 0, .b = 6};
}
const struct bp_layer_ops bp_layer_relu6 = {
	.info = {.name = "ReLU6", .help = "max(x, 0), but at most 6.", .min_inputs = 1, .max_inputs = 1},
	.is_act = BP_ACT_RELU6,
	POINTWISE(relu6),
};

enum { MIN_VAL, MAX_VAL };
static const struct bp_arg hardtanh_args[] = {
	{"min_val", BP_ARG_REAL, false, {-1}, -1e6, 1e6, NULL, "The smallest output."},
	{"max_val", BP_ARG_REAL, false, {1}, -1e6, 1e6, NULL, "The largest output; above min_val."},
};
static void hardtanh(const struct bp_item *item, struct bp_function *ret)
{
	*ret = (struct bp_function){
		.kind = BP_FN_hardtanh,
		.from_y = true,
		.a = (bp_real)bp_item_real(item, MIN_VAL),
		.b = (bp_real)bp_item_real(item, MAX_VAL),
	};
}
static enum bp_status hardtanh_shape(struct bp_node *node, struct bp_error *err)
{
	double min = bp_item_real(&node->item, MIN_VAL), max = bp_item_real(&node->item, MAX_VAL);
	if (max <= min)
		return bp_fail(
			err, BP_EINVAL, -1, "max_val", "max_val must be above min_val, %.10g, not %.10g", min, max);
	return bp_shape_keep(node, err);
}
const struct bp_layer_ops bp_layer_hardtanh = {
	.info = {"Hardtanh", "x, but at least min_val and at most max_val.", hardtanh_args, BP_ARG_COUNT(hardtanh_args),
		1, 1},
	.shape = hardtanh_shape,
	.function = hardtanh,
	PASSES,
};

static void sigmoid(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_sigmoid, .from_y = true};
}
const struct bp_layer_ops bp_layer_sigmoid = {
	.info = {.name = "Sigmoid", .help = "1 / (1 + exp(-x)).", .min_inputs = 1, .max_inputs = 1},
	POINTWISE(sigmoid),
};

static void hardsigmoid(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_hardsigmoid, .from_y = true};
}
const struct bp_layer_ops bp_layer_hardsigmoid = {
	.info = {.name = "Hardsigmoid",
		.help = "(x + 3) / 6, but at least 0 and at most 1.",
		.min_inputs = 1,
		.max_inputs = 1},
	POINTWISE(hardsigmoid),
};

static void hyperbolic_tangent(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_tanh, .from_y = true};
}
const struct bp_layer_ops bp_layer_tanh = {
	.info = {.name = "Tanh", .help = "The hyperbolic tangent.", .min_inputs = 1, .max_inputs = 1},
	POINTWISE(hyperbolic_tangent),
};

enum { ALPHA };
static const struct bp_arg elu_args[] = {
	{"alpha", BP_ARG_REAL, false, {1}, 0, 1e6, NULL, "What very negative inputs come down to, with a minus."},
};
static void elu(const struct bp_item *item, struct bp_function *ret)
{
	bp_real alpha = (bp_real)bp_item_real(item, ALPHA);
	*ret = (struct bp_function){.kind = BP_FN_elu, .from_y = true, .a = alpha, .b = 1};
}
const struct bp_layer_ops bp_layer_elu = {
	.info = {"ELU", "x, or alpha (exp(x) - 1) where x is negative.", elu_args, BP_ARG_COUNT(elu_args), 1, 1},
	POINTWISE(elu),
};

/* The constants keep mean 0 and variance 1 (Klambauer et al., "Self-Normalizing Neural Networks", 2017). */
#define SELU_ALPHA 1.6732632423543772848170429916717
#define SELU_SCALE 1.0507009873554804934193349852946
static void selu(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){
		.kind = BP_FN_elu,
		.from_y = true,
		.a = (bp_real)(SELU_SCALE * SELU_ALPHA),
		.b = (bp_real)SELU_SCALE,
	};
}
const struct bp_layer_ops bp_layer_selu = {
	.info = {.name = "SELU",
		.help = "ELU with the two constants that keep mean 0 and variance 1.",
		.min_inputs = 1,
		.max_inputs = 1},
	POINTWISE(selu),
};

enum { BETA, THRESHOLD };
static const struct bp_arg softplus_args[] = {
	{"beta", BP_ARG_REAL, false, {1}, 1e-6, 1e6, NULL, "The larger, the closer to a ReLU."},
	{"threshold", BP_ARG_REAL, false, {20}, 0, 1e6, NULL, "Where beta x is above it, the output is x."},
};
/* From y the slope is known to exp(-threshold), which is 2e-9 at the usual 20. */
static void softplus(const struct bp_item *item, struct bp_function *ret)
{
	double threshold = bp_item_real(item, THRESHOLD);
	bool high = threshold >= 20;
	*ret = (struct bp_function){
		.kind = high ? BP_FN_softplus : BP_FN_softplus_low,
		.from_y = high,
		.a = (bp_real)bp_item_real(item, BETA),
		.b = (bp_real)threshold,
	};
}
const struct bp_layer_ops bp_layer_softplus = {
	.info = {"Softplus", "log(1 + exp(beta x)) / beta, a smooth ReLU.", softplus_args, BP_ARG_COUNT(softplus_args),
		1, 1},
	POINTWISE(softplus),
};

enum { APPROXIMATE };
static const struct bp_arg gelu_args[] = {
	{"approximate", BP_ARG_CHOICE, false, {0}, 0, 1, "none|tanh", "Exact, or by a hyperbolic tangent."},
};
static void gelu(const struct bp_item *item, struct bp_function *ret)
{
	*ret = (struct bp_function){.kind = bp_item_int(item, APPROXIMATE) ? BP_FN_gelu_tanh : BP_FN_gelu};
}
const struct bp_layer_ops bp_layer_gelu = {
	.info = {"GELU", "x times the normal distribution's probability below x.", gelu_args, BP_ARG_COUNT(gelu_args),
		1, 1},
	POINTWISE(gelu),
};

static void silu(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_silu};
}
const struct bp_layer_ops bp_layer_silu = {
	.info = {.name = "SiLU", .help = "x / (1 + exp(-x)).", .min_inputs = 1, .max_inputs = 1},
	.is_act = BP_ACT_SILU,
	POINTWISE(silu),
};

static void mish(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_mish};
}
const struct bp_layer_ops bp_layer_mish = {
	.info = {.name = "Mish", .help = "x tanh(log(1 + exp(x))).", .min_inputs = 1, .max_inputs = 1},
	POINTWISE(mish),
};

static void hardswish(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_hardswish};
}
const struct bp_layer_ops bp_layer_hardswish = {
	.info = {.name = "Hardswish", .help = "x times Hardsigmoid of x.", .min_inputs = 1, .max_inputs = 1},
	.is_act = BP_ACT_HARDSWISH,
	POINTWISE(hardswish),
};
