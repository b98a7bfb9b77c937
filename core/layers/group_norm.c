/*
 * group_norm.c - the GroupNorm layer (Wu and He, 2018), as PyTorch defines it: each sample's channels are cut into
 * groups, and a group is normalised by its own mean and variance. Called by net.c and exec.c (layers/layer.h).
 *
 * The loops over memory are batch normalisation's, on the rows (pixels) of one sample: its kernels give the sums of
 * each channel, which are put together by groups in double precision, in order, and its other kernels take scale and
 * shift of each channel. The ReLU is fused as there. A block is a few samples; each sample is summed chunk by chunk.
 */
#include "base/shape.h"
#include "base/status.h"
#include "kernels/norm.h"
#include "layers/blocks.h"
#include "layers/layer.h"

#include <math.h>
#include <string.h>

enum { NUM_GROUPS, EPS, AFFINE };
static const struct bp_arg args[] = {
	{"num_groups", BP_ARG_INT, true, {0}, 1, 65536, NULL, "Parts of the channels that are normalised apart."},
	{"eps", BP_ARG_REAL, false, {1e-5}, 0, 1, NULL, "Added to the variance."},
	{"affine", BP_ARG_BOOL, false, {1}, 0, 1, NULL, "Whether scale and shift of each channel are learned."},
};

enum { WEIGHT, BIAS };
enum {
	CHUNK_ELEMENTS = 2 * BP_BLOCK_ELEMENTS, /* of a sum in single precision; it stays in cache between its passes */
	CHUNK_ROWS = 16
};
/* A sample's vectors in the workspace, c values each: sums of a chunk, then what the kernels read. */
enum { SUMS, SCALE = SUMS + BP_NORM_STATS, SHIFT, MEAN, SLOPE, OFFSET, VECTORS };
/* And in double precision, c values each: backward's sums, or forward's struct moments of each group. */
enum { DOUBLES = 3 };

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t groups = bp_item_int(&node->item, NUM_GROUPS), channels = node->in[0].dim[0];
	if (channels % groups != 0)
		return bp_fail(err, BP_EINVAL, -1, "num_groups", "num_groups %lld must divide the %lld channels",
			(long long)groups, (long long)channels);
	node->out = node->in[0];
	return BP_OK;
}

static int params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS])
{
	static const struct bp_param all[] = {
		{.name = "weight", .trainable = true, .init_value = 1}, {.name = "bias", .trainable = true}};
	if (!bp_item_bool(&node->item, AFFINE))
		return 0;
	for (int i = WEIGHT; i <= BIAS; i++) {
		ret[i] = all[i];
		ret[i].ndim = 1;
		ret[i].dim[0] = node->in[0].dim[0];
	}
	return BIAS + 1;
}

static int64_t block_samples(int64_t size)
{
	int64_t n = BP_BLOCK_ELEMENTS / size;
	return n < 1 ? 1 : n;
}

static int64_t groups_of(const struct bp_node *node)
{
	return bp_item_int(&node->item, NUM_GROUPS);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	const int64_t c = bp_shape_c(&s->node->in[0]), n = s->max_batch, real = sizeof(bp_real);
	ret->inplace = !s->training;
	ret->dx_inplace = ret->keeps_x = true;
	ret->saved = 2 * groups_of(s->node) * n * real;
	ret->workspace = n * c * (VECTORS * real + DOUBLES * (int64_t)sizeof(double));
	return BP_OK;
}

struct work {
	const struct bp_layer_call *call;
	int64_t rows, c, groups; /* of a sample */
	int64_t chunk, per_block;
	double *doubles;
	bp_real *vectors;
	bp_real *saved; /* mean and invstd of each group of each sample; NULL when not training */
};

static struct work start(const struct bp_layer_call *c)
{
	const struct bp_shape *in = &c->node->in[0];
	struct work w = {.call = c,
		.rows = bp_shape_h(in) * bp_shape_w(in),
		.c = bp_shape_c(in),
		.groups = groups_of(c->node),
		.per_block = block_samples(bp_shape_size(in)),
		.doubles = c->workspace,
		.saved = c->saved};
	w.chunk = CHUNK_ELEMENTS / w.c < CHUNK_ROWS ? CHUNK_ROWS : CHUNK_ELEMENTS / w.c;
	w.vectors = (bp_real *)(w.doubles + DOUBLES * w.c * c->pass->n);
	return w;
}

static bp_real *vector(const struct work *w, int64_t sample, int which)
{
	return w->vectors + (sample * VECTORS + which) * w->c;
}

/* Mean and sum of squared deviations of elements seen so far (Chan, Golub and LeVeque, 1979). */
struct moments {
	double n, mean, m2;
};

static void moments_add(struct moments *m, double n, double mean, double m2)
{
	double all = m->n + n, d = mean - m->mean;
	m->m2 += m2 + d * d * m->n * n / all;
	m->mean += d * n / all;
	m->n = all;
}

/* The group's mean and variance, from the sums of its channels in each chunk, which norm_stats left. */
static void add_chunk(const struct work *w, int64_t sample, int64_t rows, struct moments *all)
{
	const bp_real *sums = vector(w, sample, SUMS);
	const int64_t per_group = w->c / w->groups;
	for (int64_t j = 0; j < w->c; j++) {
		const bp_real column[BP_NORM_STATS] = {sums[BP_NORM_MIDDLE * w->c + j], sums[BP_NORM_SUM * w->c + j],
			sums[BP_NORM_SQUARES * w->c + j]};
		double mean, m2;
		bp_norm_moments(column, (double)rows, &mean, &m2);
		moments_add(&all[j / per_group], (double)rows, mean, m2);
	}
}

/* Scale, shift and mean of each channel from mean and invstd of the groups. The same bits in forward and backward. */
static void set_vectors(const struct work *w, int64_t sample, const bp_real *mean, const bp_real *invstd)
{
	const struct bp_layer_call *c = w->call;
	const int64_t per_group = w->c / w->groups;
	bp_real *scale = vector(w, sample, SCALE), *shift = vector(w, sample, SHIFT), *m = vector(w, sample, MEAN);
	for (int64_t j = 0; j < w->c; j++) {
		m[j] = mean[j / per_group];
		scale[j] = invstd[j / per_group] * (c->node->nparams ? c->param[WEIGHT][j] : 1);
		shift[j] = c->node->nparams ? c->param[BIAS][j] : 0;
	}
}

static struct bp_norm norm_of(const struct work *w, int64_t sample)
{
	return (struct bp_norm){
		.rows = (size_t)w->rows,
		.c = (size_t)w->c,
		.act = w->call->act,
		.scale = vector(w, sample, SCALE),
		.shift = vector(w, sample, SHIFT),
		.mean = vector(w, sample, MEAN),
		.slope = vector(w, sample, SLOPE),
		.offset = vector(w, sample, OFFSET),
	};
}

/* Into moments of each group, which are all zero. */
static void sample_moments(const struct work *w, int64_t sample, struct moments *all)
{
	const struct bp_layer_call *c = w->call;
	bp_real *sums[BP_NORM_STATS];
	for (int i = 0; i < BP_NORM_STATS; i++)
		sums[i] = vector(w, sample, SUMS + i);
	for (int64_t at = 0; at < w->rows; at += w->chunk) {
		int64_t rows = w->rows - at < w->chunk ? w->rows - at : w->chunk;
		const bp_real *x = c->x[0] + (sample * w->rows + at) * w->c;
		c->ctx->k->norm_stats((size_t)rows, (size_t)w->c, x, false, sums);
		add_chunk(w, sample, rows, all);
	}
}

static void forward_sample(const struct work *w, int64_t sample)
{
	const struct bp_layer_call *c = w->call;
	const double eps = bp_item_real(&c->node->item, EPS);
	struct moments *all = (struct moments *)(w->doubles + sample * DOUBLES * w->c);
	/* Without backward there is nowhere to keep them but where its vectors would be. */
	bp_real *mean = w->saved ? w->saved + 2 * sample * w->groups : vector(w, sample, SLOPE);
	bp_real *invstd = mean + w->groups;
	memset(all, 0, (size_t)w->groups * sizeof(*all));
	sample_moments(w, sample, all);
	for (int64_t g = 0; g < w->groups; g++) {
		mean[g] = (bp_real)all[g].mean;
		invstd[g] = (bp_real)(1 / sqrt(all[g].m2 / all[g].n + eps));
	}
	set_vectors(w, sample, mean, invstd);
	const struct bp_norm p = norm_of(w, sample);
	const int64_t at = sample * w->rows * w->c;
	c->ctx->k->norm_apply(&p, c->x[0] + at, c->y + at);
}

/* For each channel the sums of g and of g (x - mean), g being dy after the ReLU. */
static void sample_sums(const struct work *w, int64_t sample, double *sum, double *dot)
{
	const struct bp_layer_call *c = w->call;
	bp_real *s = vector(w, sample, SUMS), *d = s + w->c;
	struct bp_norm p = norm_of(w, sample);
	memset(sum, 0, 2 * (size_t)w->c * sizeof(*sum));
	for (int64_t row = 0; row < w->rows; row += w->chunk) {
		const int64_t at = (sample * w->rows + row) * w->c;
		p.rows = (size_t)(w->rows - row < w->chunk ? w->rows - row : w->chunk);
		c->ctx->k->norm_grad_sums(&p, c->x[0] + at, c->dy + at, false, s, d);
		for (int64_t j = 0; j < w->c; j++) {
			sum[j] += s[j];
			dot[j] += d[j];
		}
	}
}

/*
 * With v the weight, xm = x - mean, and N elements in a group; sums go over the group's channels j:
 *	dbias_j = sum_j g, dweight_j = invstd sum_j(g xm)
 *	dx = v invstd g - (xm slope + offset), slope = invstd^3 sum(v_j dot_j) / N, offset = invstd sum(v_j sum_j) / N
 */
static void backward_sample(const struct work *w, int64_t sample)
{
	const struct bp_layer_call *c = w->call;
	const bp_real *mean = w->saved + 2 * sample * w->groups, *invstd = mean + w->groups;
	const int64_t per_group = w->c / w->groups, at = sample * w->rows * w->c;
	const double n = (double)per_group * (double)w->rows;
	double *sum = w->doubles + sample * DOUBLES * w->c, *dot = sum + w->c;
	set_vectors(w, sample, mean, invstd);
	sample_sums(w, sample, sum, dot);
	for (int64_t g = 0; g < w->groups; g++) {
		double sums = 0, dots = 0, s = invstd[g];
		for (int64_t j = g * per_group; j < (g + 1) * per_group; j++) {
			double v = c->node->nparams ? c->param[WEIGHT][j] : 1;
			sums += v * sum[j];
			dots += v * dot[j];
			dot[j] *= s;
		}
		for (int64_t j = g * per_group; j < (g + 1) * per_group; j++) {
			vector(w, sample, SLOPE)[j] = (bp_real)(s * s * s * dots / n);
			vector(w, sample, OFFSET)[j] = (bp_real)(s * sums / n);
		}
	}
	const struct bp_norm p = norm_of(w, sample);
	if (c->dx[0])
		c->ctx->k->norm_grad(&p, c->x[0] + at, c->dy + at, c->accumulate[0], c->dx[0] + at);
}

static void forward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	int64_t first = block * w->per_block, n = bp_block_length(w->call->pass->n, w->per_block, block);
	for (int64_t i = first; i < first + n; i++)
		forward_sample(w, i);
}

static void backward_block(const void *arg, int64_t block)
{
	const struct work *w = arg;
	int64_t first = block * w->per_block, n = bp_block_length(w->call->pass->n, w->per_block, block);
	for (int64_t i = first; i < first + n; i++)
		backward_sample(w, i);
}

static void run(const struct work *w, bp_block_fn fn)
{
	const int64_t n = w->call->pass->n;
	bp_blocks_run(w->call->ctx, bp_blocks_count(n, w->per_block), n * w->rows * w->c, fn, w);
}

static void forward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	run(&w, forward_block);
}

static void backward(const struct bp_layer_call *c)
{
	struct work w = start(c);
	run(&w, backward_block);
	for (int64_t j = 0; j < w.c && c->node->nparams; j++) {
		double weight = 0, bias = 0;
		for (int64_t i = 0; i < c->pass->n; i++) {
			const double *sum = w.doubles + i * DOUBLES * w.c;
			bias += sum[j];
			weight += sum[w.c + j];
		}
		c->grad[WEIGHT][j] = (bp_real)weight;
		c->grad[BIAS][j] = (bp_real)bias;
	}
}

const struct bp_layer_ops bp_layer_group_norm = {
	.info = {"GroupNorm", "Normalises each sample over groups of its channels.", args, BP_ARG_COUNT(args), 1, 1},
	.fuses_relu = true,
	.shape = shape,
	.params = params,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
