/*
 * pointwise.c - the layers that apply one function to every element: each type says which function of
 * kernels/pointwise.def, with which constants, and from what its slope is computed; the passes are common. (ReLU has a
 * file of its own, as other layers absorb it.) Called by net.c and exec.c (layers/layer.h).
 */
#include "kernels/pointwise.h"

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

#define POINTWISE(label, text, fn, arguments, count)                                                                   \
	{                                                                                                              \
		.info = {label, text, arguments, count, 1, 1}, .function = fn, .shape = bp_shape_keep, .plan = plan,   \
		.forward = forward, .backward = backward,                                                              \
	}

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
const struct bp_layer_ops bp_layer_leaky_relu =
	POINTWISE("LeakyReLU", "x, or x times negative_slope where x is negative.", leaky_relu, leaky_relu_args,
		BP_ARG_COUNT(leaky_relu_args));

static void sigmoid(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_sigmoid, .from_y = true};
}
const struct bp_layer_ops bp_layer_sigmoid = POINTWISE("Sigmoid", "1 / (1 + exp(-x)).", sigmoid, NULL, 0);

static void hyperbolic_tangent(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_tanh, .from_y = true};
}
const struct bp_layer_ops bp_layer_tanh = POINTWISE("Tanh", "The hyperbolic tangent.", hyperbolic_tangent, NULL, 0);

enum { APPROXIMATE };
static const struct bp_arg gelu_args[] = {
	{"approximate", BP_ARG_CHOICE, false, {0}, 0, 1, "none|tanh", "Exact, or by a hyperbolic tangent."},
};
static void gelu(const struct bp_item *item, struct bp_function *ret)
{
	*ret = (struct bp_function){.kind = bp_item_int(item, APPROXIMATE) ? BP_FN_gelu_tanh : BP_FN_gelu};
}
const struct bp_layer_ops bp_layer_gelu = POINTWISE(
	"GELU", "x times the normal distribution's probability below x.", gelu, gelu_args, BP_ARG_COUNT(gelu_args));

static void silu(const struct bp_item *item, struct bp_function *ret)
{
	(void)item;
	*ret = (struct bp_function){.kind = BP_FN_silu};
}
const struct bp_layer_ops bp_layer_silu = POINTWISE("SiLU", "x / (1 + exp(-x)).", silu, NULL, 0);
