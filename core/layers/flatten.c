/*
 * flatten.c - the Flatten layer: a map becomes a vector in PyTorch's order (channel, row, column), so that the weights
 * of a layer after it match PyTorch's. Called by net.c and exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t size = bp_shape_size(&node->in[0]);
	if (size > INT32_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "inputs", "Flatten would make more than 2^31 - 1 features");
	node->out = (struct bp_shape){1, {size}};
	return BP_OK;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	const struct bp_shape *in = &s->node->in[0];
	ret->alias = bp_shape_h(in) * bp_shape_w(in) == 1 || bp_shape_c(in) == 1;
	return BP_OK;
}

struct turn {
	const struct bp_layer_call *call;
	size_t rows, cols;
	const bp_real *from;
	bool acc;
	bp_real *to;
};

static void turn_sample(const void *arg, int64_t sample)
{
	const struct turn *t = arg;
	size_t at = (size_t)sample * t->rows * t->cols;
	t->call->ctx->k->transpose(t->rows, t->cols, t->from + at, t->acc, t->to + at);
}

static void run(const struct turn *t)
{
	int64_t n = t->call->pass->n;
	bp_blocks_run(t->call->ctx, n, n * (int64_t)(t->rows * t->cols), turn_sample, t);
}

static void forward(const struct bp_layer_call *c)
{
	const struct bp_shape *in = &c->node->in[0];
	run(&(struct turn){c, (size_t)(bp_shape_h(in) * bp_shape_w(in)), (size_t)bp_shape_c(in), c->x[0], false, c->y});
}

static void backward(const struct bp_layer_call *c)
{
	const struct bp_shape *in = &c->node->in[0];
	size_t pixels = (size_t)(bp_shape_h(in) * bp_shape_w(in));
	if (c->dx[0])
		run(&(struct turn){c, (size_t)bp_shape_c(in), pixels, c->dy, c->accumulate[0], c->dx[0]});
}

const struct bp_layer_ops bp_layer_flatten = {
	.info = {.name = "Flatten", .help = "All of a sample as one vector.", .min_inputs = 1, .max_inputs = 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
