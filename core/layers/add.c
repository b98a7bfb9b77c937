/* add.c - the Add layer: the sum of its inputs. Called by net.c and exec.c (layers/layer.h). */
#include "base/shape.h"
#include "base/status.h"
#include "layers/each.h"

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	char a[BP_SHAPE_TEXT], b[BP_SHAPE_TEXT];
	for (int i = 1; i < node->ninputs; i++)
		if (!bp_shape_equal(&node->in[0], &node->in[i]))
			return bp_fail(err, BP_EINVAL, -1, "inputs", "Add needs inputs of one shape, not %s and %s",
				bp_shape_text(&node->in[0], a), bp_shape_text(&node->in[i], b));
	return bp_shape_keep(node, err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	ret->inplace = ret->dx_inplace = ret->passes_dy = true;
	ret->keeps_y = ret->writes_dy = s->act == BP_ACT_RELU;
	return BP_OK;
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	const bp_real *x[BP_MAX_INPUTS];
	for (int i = 0; i < c->node->ninputs; i++)
		x[i] = c->x[i] + at;
	c->ctx->k->sum(n, c->node->ninputs, x, c->act == BP_ACT_RELU, c->y + at);
}

static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	bp_real *dy = c->dy + at;
	if (c->act == BP_ACT_RELU)
		c->ctx->k->relu_grad(n, c->y + at, dy, false, dy);
	for (int i = 0; i < c->node->ninputs; i++) {
		if (!c->dx[i] || (c->dx[i] == c->dy && !c->accumulate[i]))
			continue;
		const bp_real *x[2] = {dy, c->dx[i] + at};
		c->ctx->k->sum(n, c->accumulate[i] ? 2 : 1, x, false, c->dx[i] + at);
	}
}

static void forward(const struct bp_layer_call *c)
{
	bp_each_run(c, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	bool work = c->act == BP_ACT_RELU;
	for (int i = 0; i < c->node->ninputs; i++)
		work |= c->dx[i] && (c->dx[i] != c->dy || c->accumulate[i]);
	if (work)
		bp_each_run(c, backward_block);
}

const struct bp_layer_ops bp_layer_add = {
	.info = {.name = "Add", .help = "The sum of its inputs.", .min_inputs = 2, .max_inputs = BP_MAX_INPUTS},
	.fuses_relu = true,
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
