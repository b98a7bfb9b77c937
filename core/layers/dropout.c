/*
 * dropout.c - the Dropout layer. Called by net.c and exec.c (layers/layer.h).
 *
 * What is dropped is a function of the pass's seed and step, the layer and the element's place in the batch: backward
 * draws the same numbers again, and a resumed training too.
 */
#include "layers/dropout.h"

#include "base/rng.h"
#include "base/shape.h"
#include "layers/each.h"

#include <string.h>

const struct bp_arg bp_dropout_args[BP_DROPOUT_ARGS] = {
	{"p", BP_ARG_REAL, false, {0.5}, 0, 1, NULL, "Probability of an element, or of a whole channel, to be zeroed."},
};

struct bp_dropout bp_dropout_of(const struct bp_layer_call *c)
{
	double p = bp_item_real(&c->node->item, BP_DROPOUT_P);
	uint32_t key[4];
	bp_rng_block(c->pass->seed, BP_RNG_DROPOUT, (uint32_t)c->index, c->pass->step, key);
	return (struct bp_dropout){
		.seed = (uint64_t)key[1] << 32 | key[0],
		.drop = (uint64_t)(p * 4294967296.0),
		.scale = p < 1 ? (bp_real)(1 / (1 - p)) : 0,
	};
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->inplace = ret->dx_inplace = true;
	return BP_OK;
}

static void drop(const struct bp_layer_call *c, const bp_real *x, bool acc, bp_real *y, size_t n, int64_t at)
{
	struct bp_dropout d = bp_dropout_of(c);
	d.n = n;
	d.first = (uint64_t)at;
	d.x = x + at;
	d.acc = acc;
	d.y = y + at;
	c->ctx->k->dropout(&d);
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	if (c->pass->training)
		drop(c, c->x[0], false, c->y, n, at);
	else
		memcpy(c->y + at, c->x[0] + at, n * sizeof(bp_real));
}

static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	drop(c, c->dy, c->accumulate[0], c->dx[0], n, at);
}

static void forward(const struct bp_layer_call *c)
{
	if (c->pass->training || c->y != c->x[0])
		bp_each_run(c, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	if (c->dx[0])
		bp_each_run(c, backward_block);
}

const struct bp_layer_ops bp_layer_dropout = {
	.info = {"Dropout", "In training, zeroes elements at random and scales the others by 1 / (1 - p).",
		bp_dropout_args, BP_DROPOUT_ARGS, 1, 1},
	.shape = bp_shape_keep,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
