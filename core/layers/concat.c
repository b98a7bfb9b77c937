/*
 * concat.c - the Concat layer: its inputs one after the other along the channels (or features), torch.cat(x, dim=1).
 * Channels lie last, so a pixel of the output is its inputs' pixels in a row. Called by net.c and exec.c
 * (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

#include <string.h>

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	char a[BP_SHAPE_TEXT], b[BP_SHAPE_TEXT];
	node->out = node->in[0];
	for (int i = 1; i < node->ninputs; i++) {
		struct bp_shape in = node->in[i];
		in.dim[0] = node->in[0].dim[0];
		if (!bp_shape_equal(&in, &node->in[0]))
			return bp_fail(err, BP_EINVAL, -1, "inputs",
				"Concat needs inputs that differ in their channels alone, not %s and %s",
				bp_shape_text(&node->in[0], a), bp_shape_text(&node->in[i], b));
		node->out.dim[0] += node->in[i].dim[0];
	}
	return BP_OK;
}

static int64_t block_rows(const struct bp_node *node)
{
	int64_t channels = node->out.dim[0];
	return channels < BP_BLOCK_ELEMENTS ? BP_BLOCK_ELEMENTS / channels : 1;
}

static int64_t all_rows(const struct bp_layer_call *c)
{
	return bp_shape_size(&c->node->out) / c->node->out.dim[0] * c->pass->n;
}

static void forward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t size = block_rows(c->node), first = block * size, rows = bp_block_length(all_rows(c), size, block);
	int64_t channels = c->node->out.dim[0];
	bp_real *y = c->y + first * channels;
	for (int in = 0; in < c->node->ninputs; in++) {
		int64_t part = c->node->in[in].dim[0];
		const bp_real *x = c->x[in] + first * part;
		for (int64_t r = 0; r < rows; r++)
			memcpy(y + r * channels, x + r * part, (size_t)part * sizeof(bp_real));
		y += part;
	}
}

static void backward_block(const void *arg, int64_t block)
{
	const struct bp_layer_call *c = arg;
	int64_t size = block_rows(c->node), first = block * size, rows = bp_block_length(all_rows(c), size, block);
	int64_t channels = c->node->out.dim[0];
	const bp_real *dy = c->dy + first * channels;
	for (int in = 0; in < c->node->ninputs; in++) {
		int64_t part = c->node->in[in].dim[0];
		bp_real *dx = c->dx[in] ? c->dx[in] + first * part : NULL;
		for (int64_t r = 0; dx && r < rows; r++) {
			const bp_real *x[2] = {dy + r * channels, dx + r * part};
			c->ctx->k->sum((size_t)part, c->accumulate[in] ? 2 : 1, x, false, dx + r * part);
		}
		dy += part;
	}
}

static void run(const struct bp_layer_call *c, bp_block_fn fn)
{
	int64_t rows = all_rows(c);
	bp_blocks_run(c->ctx, bp_blocks_count(rows, block_rows(c->node)), rows * c->node->out.dim[0], fn, c);
}

static void forward(const struct bp_layer_call *c)
{
	run(c, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	run(c, backward_block);
}

const struct bp_layer_ops bp_layer_concat = {
	.info = {.name = "Concat",
		.help = "Its inputs one after the other along the channels (or features).",
		.min_inputs = 2,
		.max_inputs = BP_MAX_INPUTS},
	.shape = shape,
	.forward = forward,
	.backward = backward,
};
