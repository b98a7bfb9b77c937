/*
 * layer_norm.c - the LayerNorm layer (Ba, Kiros and Hinton, 2016), as PyTorch defines it: over the trailing dimensions,
 * with a weight and a bias for each place of theirs. Called by net.c and exec.c (layers/layer.h).
 *
 * Over all of a sample, its elements lie together, in channels-last order like the weights. Over fewer dimensions the
 * channels stay out of it but lie between the elements: pixels that are normalised together are lines of a matrix whose
 * columns are the channels. The gradients of the weights are sums over parts of the batch, added in order; how many
 * parts there are follows from the shapes.
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
enum { MAX_PARTS = 16 }; /* of a batch, each with sums of its own for the weights */

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

/* How a sample is cut into matrices: one of rows that are normalised, or several of columns. */
struct cut {
	int64_t size; /* elements of a sample */
	int64_t n;    /* of a row or column */
	int64_t rows; /* of a sample, or columns */
	bool columns;
	int64_t matrices; /* of a sample */
};

static struct cut cut_of(const struct bp_node *node)
{
	const struct bp_value *dims = &node->item.args[NORMALIZED_SHAPE];
	const struct bp_shape *in = &node->in[0];
	struct cut c = {.size = bp_shape_size(in), .n = 1, .matrices = 1};
	const int64_t pixels = bp_shape_h(in) * bp_shape_w(in);
	for (int i = 0; i < dims->n; i++)
		c.n *= (int64_t)dims->v[i];
	c.rows = c.size / c.n;
	c.columns = dims->n < in->ndim && pixels > 1 && pixels < c.size;
	if (c.columns)
		c.matrices = pixels / c.n;
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
	ret->workspace = s->training ? parts * 2 * c.n * real : 0; /* weight and bias sums */
	return BP_OK;
}

struct work {
	const struct bp_layer_call *call;
	struct cut cut;
	struct bp_norm_rows norm; /* of the whole batch */
	int64_t per_block, blocks;
	bp_real *sums; /* of each block: weight's, then bias's */
};

static struct work start(const struct bp_layer_call *c)
{
	struct work w = {.call = c, .cut = cut_of(c->node)};
	w.per_block = block_samples(&w.cut, c->pass->n);
	w.blocks = bp_blocks_count(c->pass->n, w.per_block);
	w.sums = c->workspace;
	w.norm = (struct bp_norm_rows){
		.n = (size_t)w.cut.n,
		.eps = bp_item_real(&c->node->item, EPS),
		.weight = c->node->nparams > WEIGHT ? c->param[WEIGHT] : NULL,
		.bias = c->node->nparams > BIAS ? c->param[BIAS] : NULL,
		.mean = c->saved,
	};
	return w;
}

/* The part of w->norm that belongs to some rows or columns. */
static struct bp_norm_rows part(const struct work *w, int64_t first, int64_t rows)
{
	struct bp_norm_rows p = w->norm;
	p.rows = (size_t)rows;
	if (p.mean) {
		p.mean += first;
		p.invstd = p.mean + w->call->pass->n * w->cut.rows;
	}
	return p;
}

/* The rows of a block's samples at once, or matrix by matrix of columns. */
struct steps {
	int64_t first, count, rows; /* row, or column, of the first step; how many steps, of so many of them */
};

static struct steps steps_of(const struct work *w, int64_t block)
{
	const struct cut *c = &w->cut;
	const int64_t first = block * w->per_block, n = bp_block_length(w->call->pass->n, w->per_block, block);
	return (struct steps){.first = first * c->rows,
		.count = c->columns ? n * c->matrices : 1,
		.rows = c->columns ? c->rows / c->matrices : n * c->rows};
}

static void forward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	const struct steps st = steps_of(w, block);
	for (int64_t i = 0; i < st.count; i++) {
		const int64_t row = st.first + i * st.rows, at = row * w->cut.n;
		const struct bp_norm_rows p = part(w, row, st.rows);
		(w->cut.columns ? c->ctx->k->norm_columns : c->ctx->k->norm_rows)(&p, c->x[0] + at, c->y + at);
	}
}

/* That of the weights is added to the block's sums. */
static void backward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	const struct bp_kernels *k = c->ctx->k;
	const struct steps st = steps_of(w, block);
	bp_real *sums = w->sums + block * 2 * w->cut.n;
	memset(sums, 0, 2 * w->norm.n * sizeof(*sums));
	for (int64_t i = 0; i < st.count; i++) {
		const int64_t row = st.first + i * st.rows, at = row * w->cut.n;
		struct bp_norm_rows p = part(w, row, st.rows);
		if (p.weight) {
			p.dweight = sums;
			p.dbias = sums + p.n;
		}
		(w->cut.columns ? k->norm_columns_grad : k->norm_rows_grad)(
			&p, c->x[0] + at, c->dy + at, c->accumulate[0], c->dx[0] ? c->dx[0] + at : NULL);
	}
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
