/* leaky_relu.c - the LeakyReLU layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/each.h"

enum { NEGATIVE_SLOPE };
static const struct bp_arg args[] = {
	{"negative_slope", BP_ARG_REAL, false, {0.01}, -1e6, 1e6, NULL, "Factor of negative inputs."},
};

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	/* With a slope that is not negative, y is positive where x is, and can take its place. */
	ret->inplace = ret->keeps_y = bp_item_real(&s->node->item, NEGATIVE_SLOPE) >= 0;
	ret->keeps_x = !ret->inplace;
	ret->dx_inplace = true;
	return BP_OK;
}

static bp_real slope(const struct bp_layer_call *c)
{
	return (bp_real)bp_item_real(&c->node->item, NEGATIVE_SLOPE);
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	c->ctx->k->leaky_relu(n, slope(c), c->x[0] + at, c->y + at);
}

static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	const bp_real *sign = slope(c) >= 0 ? c->y : c->x[0];
	c->ctx->k->leaky_relu_grad(n, slope(c), sign + at, c->dy + at, c->accumulate[0], c->dx[0] + at);
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

const struct bp_layer_ops bp_layer_leaky_relu = {
	.info = {"LeakyReLU", "x, or x times negative_slope where x is negative.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = bp_shape_keep,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
