/*
 * layer_norm.c - the LayerNorm layer (Ba, Kiros and Hinton, 2016), as PyTorch defines it: over the trailing dimensions,
 * with a weight and a bias for each place of theirs. Called by net.c and exec.c (layers/layer.h).
 *
 * Over all of a sample, its elements lie together, in channels-last order like the weights. Over fewer dimensions the
 * channels stay out of it but lie between the elements, so a sample is turned to channels first, normalised row by row,
 * and turned back. The gradients of the weights are sums over parts of the batch, added in order; how many parts there
 * are follows from the shapes.
 */
#include "base/shape.h"
#include "base/status.h"
#include "kernels/norm_rows.h"
#include "layers/blocks.h"
#include "layers/layer.h"

#include <string.h>

enum { NORMALIZED_SHAPE, EPS, ELEMENTWISE_AFFINE, BIAS_ARG };
static const struct bp_arg args[] = {
	{"normalized_shape", BP_ARG_INTS, true, .min = 1, .max = INT32_MAX,
		.help = "The trailing dimensions of the input that are normalised together."},
	{"eps", BP_ARG_REAL, false, {1e-5}, 0, 1, NULL, "Added to the variance."},
	{"elementwise_affine", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether weights are learned."},
	{"bias", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether a bias is learned too."},
};

enum { WEIGHT, BIAS };
enum { MAX_PARTS = 16 }; /* of a batch, each with sums of its own for the weights, and room for a turned sample */

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	const struct bp_value *dims = &node->item.args[NORMALIZED_SHAPE];
	const struct bp_shape *in = &node->in[0];
	char text[BP_SHAPE_TEXT];
	bool fits = dims->n >= 1 && dims->n <= in->ndim;
	for (int i = 0; fits && i < dims->n; i++)
		fits = (int64_t)dims->v[i] == in->dim[in->ndim - dims->n + i];
	if (!fits)
		return bp_fail(err, BP_EINVAL, -1, "normalized_shape",
			"normalized_shape must be the last dimensions of the input, which is %s",
			bp_shape_text(in, text));
	node->out = *in;
	return BP_OK;
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	const struct bp_value *dims = &node->item.args[NORMALIZED_SHAPE];
	int n = bp_item_bool(&node->item, ELEMENTWISE_AFFINE) ? 1 + bp_item_bool(&node->item, BIAS_ARG) : 0;
	static const struct bp_param all[] = {
		{.name = "weight", .trainable = true, .init_value = 1}, {.name = "bias", .trainable = true}};
	for (int i = 0; i < n; i++) {
		ret[i] = all[i];
		ret[i].ndim = dims->n;
		for (int d = 0; d < dims->n; d++)
			ret[i].dim[d] = (int64_t)dims->v[d];
		ret[i].order = dims->n == node->in[0].ndim && dims->n > 1 ? BP_ORDER_LAST : BP_ORDER_SAME;
	}
	return n;
}

/* How a sample is cut. */
struct cut {
	int64_t size;   /* elements of a sample */
	int64_t n;      /* of a row that is normalised */
	int64_t rows;   /* of a sample */
	bool turned;    /* channels come first while it is normalised */
	int64_t pixels; /* of a sample, each with size / pixels channels */
};

static struct cut cut_of(const struct bp_node *node)
{
	const struct bp_value *dims = &node->item.args[NORMALIZED_SHAPE];
	const struct bp_shape *in = &node->in[0];
	struct cut c = {.size = bp_shape_size(in), .n = 1, .pixels = bp_shape_h(in) * bp_shape_w(in)};
	for (int i = 0; i < dims->n; i++)
		c.n *= (int64_t)dims->v[i];
	c.rows = c.size / c.n;
	c.turned = dims->n < in->ndim && c.pixels > 1 && c.pixels < c.size;
	return c;
}

/* Samples of a block, so that there are at most MAX_PARTS. */
static int64_t block_samples(const struct cut *c, int64_t n)
{
	int64_t few = BP_BLOCK_ELEMENTS / c->size, least = bp_blocks_count(n, MAX_PARTS);
	few = few < 1 ? 1 : few;
	return few < least ? least : few;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	struct cut c = cut_of(s->node);
	const int64_t real = sizeof(bp_real), parts = s->max_batch < MAX_PARTS ? s->max_batch : MAX_PARTS;
	ret->inplace = !s->training;
	ret->dx_inplace = ret->keeps_x = true;
	ret->saved = 2 * c.rows * s->max_batch * real;
	/* x and dy turned; weight and bias sums. */
	ret->workspace = parts * ((c.turned ? 2 * c.size : 0) + (s->training ? 2 * c.n : 0)) * real;
	return BP_OK;
}

struct work {
	const struct bp_layer_call *call;
	struct cut cut;
	struct bp_norm_rows norm; /* of the whole batch */
	int64_t per_block, blocks;
	bp_real *turned; /* of each block: x, then dy of a sample */
	bp_real *sums;   /* of each block: weight's, then bias's */
};

static struct work start(const struct bp_layer_call *c)
{
	struct work w = {.call = c, .cut = cut_of(c->node)};
	w.per_block = block_samples(&w.cut, c->pass->n);
	w.blocks = bp_blocks_count(c->pass->n, w.per_block);
	w.turned = c->workspace;
	w.sums = w.turned + (w.cut.turned ? w.blocks * 2 * w.cut.size : 0);
	w.norm = (struct bp_norm_rows){
		.n = (size_t)w.cut.n,
		.eps = bp_item_real(&c->node->item, EPS),
		.weight = c->node->nparams > WEIGHT ? c->param[WEIGHT] : NULL,
		.bias = c->node->nparams > BIAS ? c->param[BIAS] : NULL,
		.mean = c->saved,
	};
	return w;
}

/* The part of w->norm that belongs to some samples. */
static struct bp_norm_rows part(const struct work *w, int64_t first, int64_t samples)
{
	struct bp_norm_rows p = w->norm;
	p.rows = (size_t)(samples * w->cut.rows);
	if (p.mean) {
		p.mean += first * w->cut.rows;
		p.invstd = p.mean + w->call->pass->n * w->cut.rows;
	}
	return p;
}

/* A sample from channels last to channels first, or back. */
static void turn(const struct work *w, bool back, const bp_real *from, bool acc, bp_real *to)
{
	const size_t pixels = (size_t)w->cut.pixels, channels = (size_t)(w->cut.size / w->cut.pixels);
	w->call->ctx->k->transpose(back ? channels : pixels, back ? pixels : channels, from, acc, to);
}

static void forward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	const int64_t first = block * w->per_block, n = bp_block_length(c->pass->n, w->per_block, block);
	const int64_t size = w->cut.size;
	bp_real *turned = w->turned + block * 2 * size;
	if (!w->cut.turned) {
		struct bp_norm_rows p = part(w, first, n);
		c->ctx->k->norm_rows(&p, c->x[0] + first * size, c->y + first * size);
		return;
	}
	for (int64_t i = first; i < first + n; i++) {
		struct bp_norm_rows p = part(w, i, 1);
		turn(w, false, c->x[0] + i * size, false, turned);
		c->ctx->k->norm_rows(&p, turned, turned);
		turn(w, true, turned, false, c->y + i * size);
	}
}

/* The gradient of some samples, that of the weights added to sums. */
static void backward_samples(const struct work *w, int64_t first, int64_t n, bp_real *turned, bp_real *sums)
{
	const struct bp_layer_call *c = w->call;
	const int64_t at = first * w->cut.size;
	bp_real *dx = c->dx[0] ? c->dx[0] + at : NULL, *turned_dy = turned ? turned + w->cut.size : NULL;
	struct bp_norm_rows p = part(w, first, n);
	if (p.weight) {
		p.dweight = sums;
		p.dbias = sums + p.n;
	}
	if (!w->cut.turned) {
		c->ctx->k->norm_rows_grad(&p, c->x[0] + at, c->dy + at, c->accumulate[0], dx);
		return;
	}
	turn(w, false, c->x[0] + at, false, turned);
	turn(w, false, c->dy + at, false, turned_dy);
	c->ctx->k->norm_rows_grad(&p, turned, turned_dy, false, dx ? turned_dy : NULL);
	if (dx)
		turn(w, true, turned_dy, c->accumulate[0], dx);
}

static void backward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const int64_t first = block * w->per_block, n = bp_block_length(w->call->pass->n, w->per_block, block);
	bp_real *turned = w->turned + block * 2 * w->cut.size, *sums = w->sums + block * 2 * w->cut.n;
	memset(sums, 0, 2 * w->norm.n * sizeof(*sums));
	if (!w->cut.turned) {
		backward_samples(w, first, n, NULL, sums);
		return;
	}
	for (int64_t i = first; i < first + n; i++)
		backward_samples(w, i, 1, turned, sums);
}

static void run(const struct work *w, bp_block_fn fn)
{
	bp_blocks_run(w->call->ctx, w->blocks, w->call->pass->n * w->cut.size, fn, w);
}

static void forward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	run(&w, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	const size_t n = w.norm.n;
	run(&w, backward_block);
	for (int i = 0; i < c->node->nparams; i++)
		c->ctx->k->column_sums((size_t)w.blocks, n, w.sums + (i == BIAS ? n : 0), 2 * n, false, c->grad[i]);
}

const struct bp_layer_ops bp_layer_layer_norm = {
	.info = {"LayerNorm", "Normalises each sample over its last dimensions.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.params = params,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
