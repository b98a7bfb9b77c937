/* relu.c - the ReLU layer. Called by net.c and exec.c (layers/layer.h). */
#include "layers/each.h"

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->inplace = ret->dx_inplace = ret->keeps_y = true;
	return BP_OK;
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	c->ctx->k->relu(n, c->x[0] + at, c->y + at);
}

static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	c->ctx->k->relu_grad(n, c->y + at, c->dy + at, c->accumulate[0], c->dx[0] + at);
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

const struct bp_layer_ops bp_layer_relu = {
	.info = {.name = "ReLU", .help = "max(x, 0).", .min_inputs = 1, .max_inputs = 1},
	.is_act = BP_ACT_RELU,
	.shape = bp_shape_keep,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
