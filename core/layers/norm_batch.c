/*
 * norm_batch.c - batch normalisation (Ioffe and Szegedy, 2015), as PyTorch defines it. See norm_batch.h.
 *
 * In training, rows are cut into blocks by shape alone. Forward: each block gives mean and squared deviations of its
 * own, which are combined in double precision, in order (Chan, Golub and LeVeque, 1979); then one pass normalises and
 * applies the ReLU. Backward: one pass for the two sums, one for dx; the mask of the ReLU is made again from x, so y is
 * not kept.
 *
 * The convolutions beside a norm may do parts of this as its maps pass through them (net/plan.c): the one before gives
 * the statistics, and takes the gradient through the norm as it reads it; the one after applies the norm as it reads,
 * and gives the two sums; or the statistics and the sums alone. Then their blocks are the parts that are combined here.
 *
 * A batch of one row (one sample of a 1x1 map) has no variance: PyTorch refuses it in training. Such a batch can only
 * be the last, short one of an epoch here, so it is taken with variance 0: y is the bias, running_mean moves,
 * running_var does not, and no gradient passes.
 */
#include "layers/norm_batch.h"

#include "base/shape.h"
#include "kernels/norm.h"
#include "layers/blocks.h"

#include <math.h>
#include <string.h>

const struct bp_arg bp_norm_args[BP_NORM_ARGS] = {
	[BP_NORM_EPS] = {"eps", BP_ARG_REAL, false, {1e-5}, 0, 1, NULL, "Added to the variance."},
	[BP_NORM_MOMENTUM] = {"momentum", BP_ARG_REAL, false, {0.1}, 0, 1, NULL,
		"Share of a batch in the running statistics."},
	[BP_NORM_AFFINE] = {"affine", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether scale and shift are learned."},
};

enum {
	NORM_ELEMENTS = 2 * BP_BLOCK_ELEMENTS, /* of a block: more would not stay in cache between its two passes */
	NORM_ROWS = 16,                        /* at least, so that partial sums stay small against the data */
};

/* Where the tensors are in a call's param and grad, and what is kept for backward (c values each). */
enum { RUNNING_MEAN, RUNNING_VAR, NUM_BATCHES, BUFFERS };
enum { KEPT_MEAN, KEPT_SCALE, KEPT_SHIFT, KEPT_INVSTD, KEPT_SLOPE, KEPT_OFFSET, KEPT };
/* Per block: BP_NORM_STATS sums in forward, two in backward. */
enum { SUMS = BP_NORM_STATS };

static int64_t channels(const struct bp_node *node)
{
	return bp_shape_c(&node->out);
}

static int64_t rows_of(const struct bp_node *node, int64_t n)
{
	return n * bp_shape_h(&node->out) * bp_shape_w(&node->out);
}

static int64_t block_rows(const struct bp_node *node)
{
	int64_t rows = NORM_ELEMENTS / channels(node);
	return rows < NORM_ROWS ? NORM_ROWS : rows;
}

int bp_norm_params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	static const struct bp_param all[BP_LAYER_PARAMS] = {
		{.name = "weight", .trainable = true, .init_value = 1},
		{.name = "bias", .trainable = true},
		{.name = "running_mean"},
		{.name = "running_var", .init_value = 1},
		{.name = "num_batches_tracked"},
	};
	int affine = bp_item_bool(&node->item, BP_NORM_AFFINE) ? BP_LAYER_PARAMS - BUFFERS : 0, n = affine + BUFFERS;
	memcpy(ret, all + BP_LAYER_PARAMS - n, (size_t)n * sizeof(*ret));
	for (int i = 0; i < n - 1; i++) {
		ret[i].ndim = 1;
		ret[i].dim[0] = channels(node);
	}
	return n;
}

enum bp_status bp_norm_plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	int64_t blocks = bp_blocks_count(rows_of(s->node, s->max_batch), block_rows(s->node));
	int64_t c = channels(s->node) * (int64_t)sizeof(bp_real);
	ret->inplace = !s->training;
	ret->dx_inplace = ret->keeps_x = true;
	ret->saved = KEPT * c;
	/* Scale and shift when nothing is kept; sums of each block; two totals in double. */
	ret->workspace = (KEPT + blocks * SUMS) * c + 2 * channels(s->node) * (int64_t)sizeof(double);
	return BP_OK;
}

void bp_norm_side(const struct bp_node *node, enum bp_act act, void *saved, struct bp_norm_side *ret)
{
	bp_real *kept = saved;
	const size_t n = (size_t)channels(node);
	ret->parts = kept + KEPT * n;
	ret->norm = (struct bp_norm){
		.c = n,
		.act = act,
		.scale = kept + KEPT_SCALE * n,
		.shift = kept + KEPT_SHIFT * n,
		.mean = kept + KEPT_MEAN * n,
		.slope = kept + KEPT_SLOPE * n,
		.offset = kept + KEPT_OFFSET * n,
	};
}

struct work {
	const struct bp_layer_call *call;
	const struct bp_conv *helper; /* whose parts the sums are, or NULL */
	struct bp_norm norm;
	int64_t rows, per_block, blocks, parts;
	bp_real *sums;       /* of each part, a block or the helper's: SUMS x c */
	double *total[SUMS]; /* c values each */
	bp_real *kept;
};

static struct work start(const struct bp_layer_call *c, const struct bp_conv *helper, bool backward)
{
	struct work w = {
		.call = c, .helper = helper, .rows = rows_of(c->node, c->pass->n), .per_block = block_rows(c->node)};
	size_t n = (size_t)channels(c->node);
	w.blocks = bp_blocks_count(w.rows, w.per_block);
	w.total[0] = c->workspace;
	w.total[1] = w.total[0] + n;
	bp_real *rest = (bp_real *)(w.total[1] + n);
	w.kept = c->saved ? c->saved : rest;
	struct bp_norm_side side;
	bp_norm_side(c->node, c->act, w.kept, &side);
	w.norm = side.norm;
	w.sums = rest + KEPT * n;
	w.parts = w.blocks;
	if (helper) {
		w.sums = side.parts;
		w.parts = (int64_t)bp_conv_parts(helper, c->pass->n, backward);
	}
	return w;
}

static void run(const struct work *w, bp_block_fn fn)
{
	bp_blocks_run(w->call->ctx, w->blocks, w->rows * (int64_t)w->norm.c, fn, w);
}

/* A block's part of w->norm; *ret_at is its first element. */
static struct bp_norm part(const struct work *w, int64_t block, int64_t *ret_at)
{
	struct bp_norm p = w->norm;
	p.rows = (size_t)bp_block_length(w->rows, w->per_block, block);
	*ret_at = block * w->per_block * (int64_t)p.c;
	return p;
}

/* Rows of a part in forward. */
static int64_t part_rows(const struct work *w, int64_t part)
{
	return w->helper ? (int64_t)bp_conv_part_rows(w->helper, w->call->pass->n, (size_t)part)
			 : bp_block_length(w->rows, w->per_block, part);
}

static bp_real *sums_of(const struct work *w, int64_t part, int which)
{
	return w->sums + (part * SUMS + which) * (int64_t)w->norm.c;
}

static void stats_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	int64_t at;
	struct bp_norm p = part(w, block, &at);
	bp_real *sums[SUMS];
	for (int i = 0; i < SUMS; i++)
		sums[i] = sums_of(w, block, i);
	w->call->ctx->k->norm_stats(p.rows, p.c, w->call->x[0] + at, false, sums);
}

static void apply_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	int64_t at;
	struct bp_norm p = part(w, block, &at);
	w->call->ctx->k->norm_apply(&p, w->call->x[0] + at, w->call->y + at);
}

static void sums_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	int64_t at;
	struct bp_norm p = part(w, block, &at);
	c->ctx->k->norm_grad_sums(&p, c->x[0] + at, c->dy + at, false, sums_of(w, block, 0), sums_of(w, block, 1));
}

static void grad_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	const struct bp_layer_call *c = w->call;
	int64_t at;
	struct bp_norm p = part(w, block, &at);
	c->ctx->k->norm_grad(&p, c->x[0] + at, c->dy + at, c->accumulate[0], c->dx[0] + at);
}

/* Mean and variance (biased) of the batch into total[0] and total[1]. */
static void combine_stats(const struct work *w)
{
	size_t n = w->norm.c;
	double *restrict mean = w->total[0], *restrict var = w->total[1];
	memset(mean, 0, 2 * n * sizeof(*mean));
	for (int64_t b = 0; b < w->parts; b++) {
		const bp_real *middle = sums_of(w, b, BP_NORM_MIDDLE), *sum = sums_of(w, b, BP_NORM_SUM);
		double share = (double)part_rows(w, b) / (double)w->rows;
		for (size_t j = 0; j < n; j++)
			mean[j] += share * middle[j] + sum[j] / (double)w->rows;
	}
	for (int64_t b = 0; b < w->parts; b++) {
		const bp_real *middle = sums_of(w, b, BP_NORM_MIDDLE), *sum = sums_of(w, b, BP_NORM_SUM);
		const bp_real *squares = sums_of(w, b, BP_NORM_SQUARES);
		double rows = (double)part_rows(w, b);
		for (size_t j = 0; j < n; j++) {
			/* Around the mean: squares of (x - middle) + d. */
			double d = middle[j] - mean[j];
			var[j] += squares[j] + d * (2 * sum[j] + rows * d);
		}
	}
	for (size_t j = 0; j < n; j++)
		var[j] = var[j] < 0 ? 0 : var[j] / (double)w->rows;
}

/* The last three tensors are the buffers. */
static bp_real *buffer(const struct bp_layer_call *c, int which)
{
	return c->param[c->node->nparams + which];
}

static void move_buffers(const struct work *w)
{
	const struct bp_layer_call *c = w->call;
	double momentum = bp_item_real(&c->node->item, BP_NORM_MOMENTUM);
	double unbiased = w->rows > 1 ? (double)w->rows / (double)(w->rows - 1) : 0;
	bp_real *mean = buffer(c, RUNNING_MEAN), *var = buffer(c, RUNNING_VAR);
	for (size_t j = 0; j < w->norm.c; j++) {
		mean[j] = (bp_real)((1 - momentum) * mean[j] + momentum * w->total[0][j]);
		if (w->rows > 1)
			var[j] = (bp_real)((1 - momentum) * var[j] + momentum * unbiased * w->total[1][j]);
	}
	buffer(c, NUM_BATCHES)[0] += 1;
}

/* Scale and shift from mean and variance, kept for backward. */
static void set_scale(const struct work *w)
{
	const struct bp_layer_call *c = w->call;
	size_t n = w->norm.c;
	double eps = bp_item_real(&c->node->item, BP_NORM_EPS);
	for (size_t j = 0; j < n; j++) {
		double invstd = 1 / sqrt(w->total[1][j] + eps);
		double weight = c->node->nparams ? c->param[0][j] : 1, shift = c->node->nparams ? c->param[1][j] : 0;
		w->kept[KEPT_MEAN * n + j] = (bp_real)w->total[0][j];
		w->kept[KEPT_INVSTD * n + j] = (bp_real)invstd;
		w->kept[KEPT_SCALE * n + j] = (bp_real)(weight * invstd);
		w->kept[KEPT_SHIFT * n + j] = (bp_real)shift;
	}
}

void bp_norm_forward(const struct bp_layer_call *c)
{
	struct work w = start(c, c->pass->training ? c->help.stats : NULL, false);
	if (c->pass->training) {
		if (!w.helper)
			run(&w, stats_block);
		combine_stats(&w);
		move_buffers(&w);
	} else {
		for (size_t j = 0; j < w.norm.c; j++) {
			w.total[0][j] = buffer(c, RUNNING_MEAN)[j];
			w.total[1][j] = buffer(c, RUNNING_VAR)[j];
		}
	}
	set_scale(&w);
	if (!c->help.applied)
		run(&w, apply_block);
}

/*
 * With g the gradient through y before the ReLU, xm = x - mean and N rows:
 *	dbias = sum g, dweight = invstd sum(g xm)
 *	dx = scale (g - sum g / N - xm invstd^2 sum(g xm) / N) = scale g - (xm slope + offset)
 */
void bp_norm_backward(const struct bp_layer_call *c)
{
	struct work w = start(c, c->help.sums, true);
	size_t n = w.norm.c;
	if (!w.helper)
		run(&w, sums_block);
	double *restrict sum = w.total[0], *restrict dot = w.total[1];
	memset(sum, 0, 2 * n * sizeof(*sum));
	for (int64_t b = 0; b < w.parts; b++) {
		const bp_real *s = sums_of(&w, b, 0), *d = sums_of(&w, b, 1);
		for (size_t j = 0; j < n; j++) {
			sum[j] += s[j];
			dot[j] += d[j];
		}
	}
	bp_real *slope = w.kept + KEPT_SLOPE * n, *offset = w.kept + KEPT_OFFSET * n;
	for (size_t j = 0; j < n; j++) {
		double invstd = w.kept[KEPT_INVSTD * n + j], scale = w.kept[KEPT_SCALE * n + j];
		slope[j] = (bp_real)(scale * invstd * invstd * dot[j] / (double)w.rows);
		offset[j] = (bp_real)(scale * sum[j] / (double)w.rows);
		if (c->node->nparams) {
			c->grad[0][j] = (bp_real)(dot[j] * invstd);
			c->grad[1][j] = (bp_real)sum[j];
		}
	}
	if (c->dx[0] && !c->help.grad)
		run(&w, grad_block);
}
