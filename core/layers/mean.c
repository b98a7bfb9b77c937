/*
 * mean.c - the Mean layer: torch.mean(x, dim, keepdim), its dimensions counted with the batch as number 0. Called by
 * net.c and exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

enum { DIM, KEEPDIM };
static const struct bp_arg args[] = {
	{"dim", BP_ARG_INTS, true, {0}, -BP_MAX_DIMS, BP_MAX_DIMS, NULL,
		"The dimensions the mean is taken over: 1 is the channels, 2 and 3 are rows and columns, -1 is the "
		"last."},
	{"keepdim", BP_ARG_BOOL, false, {0}, 0, 1, NULL, "Whether these dimensions stay, with size 1."},
};

/* Sets ret_gone of each dimension (without the batch) that the mean is taken over. */
static enum bp_status read_dims(const struct bp_node *node, bool ret_gone[BP_MAX_DIMS], struct bp_error *err)
{
	const struct bp_value *v = &node->item.args[DIM];
	int ndim = node->in[0].ndim;
	for (int i = 0; i < BP_MAX_DIMS; i++)
		ret_gone[i] = false;
	for (int i = 0; i < v->n; i++) {
		int dim = (int)v->v[i], at = dim < 0 ? ndim + dim : dim - 1;
		if (dim == 0)
			return bp_fail(err, BP_EINVAL, -1, "dim", "Mean cannot go over dimension 0, the batch");
		if (at < 0 || at >= ndim)
			return bp_fail(err, BP_EINVAL, -1, "dim", "Mean cannot go over dimension %d of %d", dim, ndim);
		if (ret_gone[at])
			return bp_fail(err, BP_EINVAL, -1, "dim", "Mean has dimension %d twice", dim);
		ret_gone[at] = true;
	}
	return BP_OK;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	bool gone[BP_MAX_DIMS];
	enum bp_status st = read_dims(node, gone, err);
	if (st)
		return st;
	struct bp_shape *out = &node->out;
	for (int i = 0; i < node->in[0].ndim; i++)
		if (!gone[i] || bp_item_bool(&node->item, KEEPDIM))
			out->dim[out->ndim++] = gone[i] ? 1 : node->in[0].dim[i];
	if (out->ndim == 0) /* PyTorch's mean is a number then; a net's output has a feature */
		out->dim[out->ndim++] = 1;
	node->flops = bp_shape_size(&node->in[0]);
	return BP_OK;
}

/* The input as rows x columns x channels, and how far a step along each moves in the output: 0 where the mean goes. The
 * channels, when they stay, are the output's channels: a step is 1. */
struct walk {
	const struct bp_layer_call *call;
	int64_t rows, columns, channels, row_step, column_step, channel_step;
	int64_t in, out; /* elements of a sample */
	bp_real scale;
};

static struct walk walk_of(const struct bp_layer_call *c)
{
	const struct bp_node *node = c->node;
	const struct bp_shape *in = &node->in[0], *out = &node->out;
	struct walk w = {.call = c, .rows = bp_shape_h(in), .columns = bp_shape_w(in), .channels = bp_shape_c(in)};
	bool gone[BP_MAX_DIMS];
	int64_t step[BP_MAX_DIMS] = {0};
	int at = out->ndim - 1;
	read_dims(node, gone, NULL);
	/* From the last dimension up, those that stay; the first dimension of the output lies innermost. */
	int64_t size = out->dim[0];
	for (int i = in->ndim - 1; i >= 0; i--) {
		bool stays = !gone[i] || bp_item_bool(&node->item, KEEPDIM);
		if (!stays)
			continue;
		step[i] = gone[i] ? 0 : at == 0 ? 1 : size;
		size *= at == 0 ? 1 : out->dim[at];
		at--;
	}
	w.channel_step = step[0];
	w.row_step = in->ndim == 3 ? step[1] : 0;
	w.column_step = in->ndim > 1 ? step[in->ndim - 1] : 0;
	w.in = bp_shape_size(in);
	w.out = bp_shape_size(out);
	w.scale = (bp_real)w.out / (bp_real)w.in;
	return w;
}

static bp_real sum_of(const bp_real *x, int64_t n)
{
	double sum = 0;
	for (int64_t i = 0; i < n; i++)
		sum += (double)x[i];
	return (bp_real)sum;
}

/* Sums over rows, over columns, or both; the channels stay. */
static void sum_pixels(const struct walk *w, const bp_real *x, bp_real *y)
{
	const struct bp_kernels *k = w->call->ctx->k;
	size_t columns = (size_t)w->columns, channels = (size_t)w->channels, row = columns * channels;
	if (w->column_step) {
		k->column_sums((size_t)w->rows, row, x, row, false, y);
		return;
	}
	for (int64_t h = 0; h < w->rows; h++)
		k->column_sums(
			columns, channels, x + h * (int64_t)row, channels, h > 0 && !w->row_step, y + h * w->row_step);
}

static void sum_channels(const struct walk *w, const bp_real *x, bp_real *y)
{
	for (int64_t i = 0; i < w->out; i++)
		y[i] = 0;
	for (int64_t h = 0; h < w->rows; h++)
		for (int64_t i = 0; i < w->columns; i++, x += w->channels)
			y[h * w->row_step + i * w->column_step] += sum_of(x, w->channels);
}

static void forward_sample(const void *arg, int64_t sample)
{
	const struct walk *w = arg;
	const bp_real *x = w->call->x[0] + sample * w->in;
	bp_real *y = w->call->y + sample * w->out;
	if (w->channel_step)
		sum_pixels(w, x, y);
	else
		sum_channels(w, x, y);
	for (int64_t i = 0; i < w->out; i++)
		y[i] *= w->scale;
}

static void backward_sample(const void *arg, int64_t sample)
{
	const struct walk *w = arg;
	const bp_real *dy = w->call->dy + sample * w->out;
	bp_real *dx = w->call->dx[0] + sample * w->in;
	bool acc = w->call->accumulate[0];
	for (int64_t h = 0; h < w->rows; h++)
		for (int64_t i = 0; i < w->columns; i++, dx += w->channels) {
			const bp_real *from = dy + h * w->row_step + i * w->column_step;
			for (int64_t c = 0; c < w->channels; c++)
				dx[c] = from[c * w->channel_step] * w->scale + (acc ? dx[c] : 0);
		}
}

static void forward(const struct bp_layer_call *c)
{
	struct walk w = walk_of(c);
	bp_blocks_run(c->ctx, c->pass->n, w.in * c->pass->n, forward_sample, &w);
}

static void backward(const struct bp_layer_call *c)
{
	struct walk w = walk_of(c);
	if (c->dx[0])
		bp_blocks_run(c->ctx, c->pass->n, w.in * c->pass->n, backward_sample, &w);
}

const struct bp_layer_ops bp_layer_mean = {
	.info = {"Mean", "The mean over dimensions; without keepdim they are gone.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.forward = forward,
	.backward = backward,
};
