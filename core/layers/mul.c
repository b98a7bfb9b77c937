/*
 * mul.c - the Mul layer: the product of its inputs. A map of one pixel multiplies each pixel of larger ones with as
 * many channels, as PyTorch's broadcasting does: the gate of a squeeze-and-excitation block (Hu et al., 2018). Called
 * by net.c and exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/each.h"

static bool is_pixel(const struct bp_shape *s)
{
	return s->ndim > 1 && bp_shape_size(s) == s->dim[0];
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	char a[BP_SHAPE_TEXT], b[BP_SHAPE_TEXT];
	node->out = node->in[0];
	for (int i = 1; i < node->ninputs; i++)
		if (is_pixel(&node->out) && node->in[i].ndim == node->out.ndim)
			node->out = node->in[i];
	for (int i = 0; i < node->ninputs; i++) {
		const struct bp_shape *in = &node->in[i];
		bool pixel = is_pixel(in) && in->ndim == node->out.ndim && in->dim[0] == node->out.dim[0];
		if (!pixel && !bp_shape_equal(in, &node->out))
			return bp_fail(err, BP_EINVAL, -1, "inputs",
				"Mul needs inputs of one shape, or of one pixel with as many channels, not %s and %s",
				bp_shape_text(&node->out, a), bp_shape_text(in, b));
	}
	return BP_OK;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->keeps_x = ret->dx_inplace = true;
	return BP_OK;
}

/* The input is as large as the output. */
static bool is_whole(const struct bp_node *node, int in)
{
	return bp_shape_equal(&node->in[in], &node->out);
}

/* Factors of one stretch of the output: it starts at element `at`, its sample's pixel inputs at `pixel`. Input `skip`
 * (-1: none) is left out. Returns how many. */
static int list_factors(
	const struct bp_layer_call *c, int skip, int64_t at, int64_t pixel, const bp_real *ret[BP_MAX_INPUTS])
{
	int n = 0;
	for (int i = 0; i < c->node->ninputs; i++)
		if (i != skip)
			ret[n++] = c->x[i] + (is_whole(c->node, i) ? at : pixel);
	return n;
}

static void forward_stretch(const struct bp_layer_call *c, int64_t at, int64_t pixel, size_t n)
{
	const bp_real *x[BP_MAX_INPUTS];
	c->ctx->k->product(n, list_factors(c, -1, at, pixel, x), x, false, c->y + at);
}

/* d(in) = dy times the other factors; more: to what earlier pixels gave a pixel input, too. */
static void backward_stretch(const struct bp_layer_call *c, int in, int64_t at, int64_t pixel, size_t n, bool more)
{
	const bp_real *x[BP_MAX_INPUTS];
	int others = list_factors(c, in, at, pixel, x);
	x[others] = c->dy + at;
	bp_real *dx = c->dx[in] + (is_whole(c->node, in) ? at : pixel);
	c->ctx->k->product(n, others + 1, x, c->accumulate[in] || more, dx);
}

static void forward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	forward_stretch(c, at, 0, n);
}

static void forward_sample(const void *arg, int64_t sample)
{
	const struct bp_layer_call *c = arg;
	int64_t size = bp_shape_size(&c->node->out), channels = c->node->out.dim[0];
	for (int64_t at = 0; at < size; at += channels)
		forward_stretch(c, sample * size + at, sample * channels, (size_t)channels);
}

/* Of all inputs but the one whose gradient takes the place of dy, and of that one last. */
static void backward_block(const struct bp_layer_call *c, int64_t at, size_t n)
{
	for (int last = 0; last < 2; last++)
		for (int in = 0; in < c->node->ninputs; in++)
			if (c->dx[in] && (c->dx[in] == c->dy) == last)
				backward_stretch(c, in, at, 0, n, false);
}

static void backward_sample(const void *arg, int64_t sample)
{
	const struct bp_layer_call *c = arg;
	int64_t size = bp_shape_size(&c->node->out), channels = c->node->out.dim[0];
	for (int last = 0; last < 2; last++)
		for (int in = 0; in < c->node->ninputs; in++) {
			if (!c->dx[in] || (c->dx[in] == c->dy) != last)
				continue;
			bool whole = is_whole(c->node, in);
			for (int64_t at = 0; at < size; at += channels)
				backward_stretch(c, in, sample * size + at, sample * channels, (size_t)channels,
					!whole && at > 0);
		}
}

static void run(const struct bp_layer_call *c, bp_each_fn each, bp_block_fn sample)
{
	bool whole = true;
	for (int in = 0; in < c->node->ninputs; in++)
		whole &= is_whole(c->node, in);
	if (whole)
		bp_each_run(c, each);
	else
		bp_blocks_run(c->ctx, c->pass->n, bp_shape_size(&c->node->out) * c->pass->n, sample, c);
}

static void forward(const struct bp_layer_call *c)
{
	run(c, forward_block, forward_sample);
}

static void backward(const struct bp_layer_call *c)
{
	run(c, backward_block, backward_sample);
}

const struct bp_layer_ops bp_layer_mul = {
	.info = {.name = "Mul",
		.help = "The product of its inputs; a map of one pixel multiplies all pixels of the others.",
		.min_inputs = 2,
		.max_inputs = BP_MAX_INPUTS},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
