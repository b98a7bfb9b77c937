/*
 * dropout_channels.c - the layers Dropout1d and Dropout2d: whole channels of a sequence or a map are zeroed (Tompson et
 * al., "Efficient Object Localization Using Convolutional Networks", 2015). Called by net.c and exec.c
 * (layers/layer.h).
 *
 * A channel of a sample has one number of the generator, drawn again in backward; see dropout.c.
 */
#include "layers/dropout.h"

#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/each.h"

#include <string.h>

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	bool maps = node->ops == &bp_layer_dropout2d;
	if (node->in[0].ndim != (maps ? 3 : 2))
		return bp_fail(err, BP_EINVAL, -1, "inputs", "%s needs %s; Dropout takes any shape",
			node->ops->info.name,
			maps ? "maps: (channels, height, width)" : "sequences: (channels, length)");
	return bp_shape_keep(node, err);
}

/* Numbers of a sample: the kernel draws in groups. */
static int64_t stride_of(const struct bp_node *node)
{
	return bp_blocks_count(bp_shape_c(&node->out), BP_DROPOUT_GROUP) * BP_DROPOUT_GROUP;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	ret->inplace = ret->dx_inplace = true;
	ret->workspace = s->max_batch * stride_of(s->node) * (int64_t)sizeof(bp_real);
	return BP_OK;
}

struct work {
	const struct bp_layer_call *call;
	int64_t c, pixels, per_block, chunks; /* a sample's pixels are cut into chunks */
	const bp_real *x;
	bool acc;
	bp_real *y;
	bp_real *factor; /* of each sample and channel: 0 or the scale */
};

static void draw_sample(const void *arg, int64_t sample)
{
	const struct work *w = arg;
	int64_t stride = stride_of(w->call->node);
	struct bp_dropout d = bp_dropout_of(w->call);
	d.n = (size_t)w->c;
	d.first = (uint64_t)(sample * stride);
	d.x = d.y = w->factor + sample * stride;
	for (int64_t j = 0; j < w->c; j++)
		d.y[j] = 1;
	w->call->ctx->k->dropout(&d);
}

static void scale_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	int64_t sample = block / w->chunks, chunk = block % w->chunks;
	int64_t at = (sample * w->pixels + chunk * w->per_block) * w->c;
	const bp_real *factor = w->factor + sample * stride_of(w->call->node);
	size_t rows = (size_t)bp_block_length(w->pixels, w->per_block, chunk);
	w->call->ctx->k->scale_channels(rows, (size_t)w->c, factor, w->x + at, w->acc, w->y + at);
}

static void drop(const struct bp_layer_call *c, const bp_real *x, bool acc, bp_real *y)
{
	const struct bp_shape *s = &c->node->out;
	struct work w = {
		.call = c,
		.c = bp_shape_c(s),
		.pixels = bp_shape_h(s) * bp_shape_w(s),
		.x = x,
		.acc = acc,
		.y = y,
		.factor = c->workspace,
	};
	w.per_block = w.c < BP_BLOCK_ELEMENTS ? BP_BLOCK_ELEMENTS / w.c : 1;
	w.chunks = bp_blocks_count(w.pixels, w.per_block);
	int64_t n = c->pass->n;
	bp_blocks_run(c->ctx, n, n * w.c, draw_sample, &w);
	bp_blocks_run(c->ctx, n * w.chunks, n * w.pixels * w.c, scale_block, &w);
}

static void copy_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	memcpy(c->y + at, c->x[0] + at, n * sizeof(bp_real));
}

static void forward(const struct bp_layer_call *c)
{
	if (c->pass->training)
		drop(c, c->x[0], false, c->y);
	else if (c->y != c->x[0])
		bp_each_run(c, copy_block);
}

static void backward(const struct bp_layer_call *c)
{
	if (c->dx[0])
		drop(c, c->dy, c->accumulate[0], c->dx[0]);
}

const struct bp_layer_ops bp_layer_dropout1d = {
	.info = {"Dropout1d", "In training, zeroes channels at random and scales the others by 1 / (1 - p).",
		bp_dropout_args, BP_DROPOUT_ARGS, 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};

const struct bp_layer_ops bp_layer_dropout2d = {
	.info = {"Dropout2d", "In training, zeroes channels at random and scales the others by 1 / (1 - p).",
		bp_dropout_args, BP_DROPOUT_ARGS, 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
