/* convolve.c - see convolve.h. */
#include "layers/convolve.h"

#include "base/status.h"
#include "layers/each.h"

#include <math.h>
#include <string.h>

enum { WEIGHT, BIAS };

int bp_convolve_params(
	const struct bp_param *weight, int64_t fan_in, int64_t bias, struct bp_param ret[BP_LAYER_PARAMS])
{
	ret[WEIGHT] = *weight;
	ret[BIAS] = (struct bp_param){.name = "bias", .ndim = 1, .dim = {bias}};
	memcpy(ret[WEIGHT].name, "weight", sizeof("weight"));
	for (int i = WEIGHT; i <= BIAS; i++) {
		ret[i].trainable = true;
		ret[i].init_bound = 1 / sqrt((double)fan_in);
	}
	return bias ? 2 : 1;
}

enum bp_status bp_convolve_plan_alone(const struct bp_layer_setup *s, const struct bp_conv_shape *shape,
	struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_conv *cv = bp_conv_new(shape, s->k, s->max_batch);
	if (!cv)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	ret->own = cv;
	ret->keeps_x = !s->node->options.frozen;
	ret->keeps_y = ret->writes_dy = ret->undoes_relu = s->act == BP_ACT_RELU;
	ret->workspace = (int64_t)bp_conv_workspace(cv, s->max_threads);
	return BP_OK;
}

enum bp_status bp_convolve_plan(const struct bp_layer_setup *s, const struct bp_conv_shape *shape,
	struct bp_layer_plan *ret, struct bp_error *err)
{
	enum bp_status st = bp_convolve_plan_alone(s, shape, ret, err);
	if (st)
		return st;
	const struct bp_conv *cv = ret->own;
	ret->takes_relu = ret->keeps_x && bp_conv_takes_relu(cv);
	ret->norms = s->node->options.frozen ? 0 : bp_conv_norms(cv);
	ret->parts = ret->norms ? (int64_t)bp_conv_max_parts(cv) : 0;
	return BP_OK;
}

void bp_convolve_free(void *own)
{
	bp_conv_free(own);
}

void bp_convolve_forward(const struct bp_layer_call *c)
{
	const struct bp_conv_call call = {.n = c->pass->n,
		.x = c->x[0],
		.w = c->param[WEIGHT],
		.bias = c->param[BIAS],
		.act = c->act,
		.y = c->y,
		.before = c->before.on && !c->before.x ? &c->before.norm : NULL,
		.parts = c->after.on && c->pass->training ? c->after.parts : NULL};
	bp_conv_forward_call(c->own, c->ctx, &call, c->workspace);
}

void bp_convolve_backward(const struct bp_layer_call *c)
{
	if (c->act == BP_ACT_RELU && !c->relu_taken)
		bp_relu_undo(c);
	if (c->node->options.frozen) {
		if (c->dx[0])
			bp_conv_backward_data(c->own, c->ctx, c->pass->n, c->dy, c->param[WEIGHT], c->accumulate[0],
				c->dx[0], c->workspace);
		return;
	}
	const struct bp_conv_call call = {.n = c->pass->n,
		.x = c->x[0],
		.w = c->param[WEIGHT],
		.y = c->y,
		.dy = c->dy,
		.dx = c->dx[0],
		.dw = c->grad[WEIGHT],
		.db = c->grad[BIAS],
		.accumulate = c->accumulate[0],
		.takes_relu = c->takes_relu,
		.mover = c->pass->mover,
		.before = c->before.on ? &c->before.norm : NULL,
		.before_x = c->before.x ? *c->before.x : NULL,
		.after = c->after.grad ? &c->after.norm : NULL,
		.parts = c->before.on && c->dx[0] ? c->before.parts : NULL};
	bp_conv_backward_call(c->own, c->ctx, &call, c->workspace);
}
