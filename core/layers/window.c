/* window.c - see window.h. */
#include "layers/window.h"

#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"

#include <stdlib.h>

/* Entries of an axis's tables, so that shapes from outside cannot ask for more memory than a large image needs. */
enum { MAX_TAPS = 1 << 22 };

/*
 * Number of outputs along an axis as PyTorch defines it: with ceil_mode the last window may hang over the end, but it
 * starts inside the input or the padding before it. 0 when the window does not fit.
 */
static int64_t window_count(const struct bp_window *w, bool ceil_mode)
{
	int64_t room = w->in + 2 * w->padding - (w->dilation * (w->kernel - 1) + 1) + (ceil_mode ? w->stride - 1 : 0);
	if (room < 0)
		return 0;
	int64_t count = room / w->stride + 1;
	if (ceil_mode && (count - 1) * w->stride >= w->in + w->padding)
		count--;
	return count;
}

const struct bp_window bp_window_row = {.in = 1, .out = 1, .kernel = 1, .stride = 1, .dilation = 1};

struct bp_window bp_window_even(int64_t in, int64_t out)
{
	return (struct bp_window){
		.in = in, .out = out, .kernel = in % out == 0 ? in / out : in / out + 2, .dilation = 1};
}

enum bp_status bp_pool_axes(const struct bp_node *node, int axes, struct bp_error *err)
{
	if (node->in[0].ndim == 1 + axes)
		return BP_OK;
	return bp_fail(err, BP_EINVAL, -1, "inputs", "%s needs a %s of %d dimensions, not of %d", node->ops->info.name,
		axes == 1 ? "sequence" : "map", 1 + axes, node->in[0].ndim);
}

enum bp_status bp_pool_shape(
	struct bp_node *node, const struct bp_window w[2], int axes, bool ceil_mode, struct bp_error *err)
{
	enum bp_status st = bp_pool_axes(node, axes, err);
	if (st)
		return st;
	node->out = (struct bp_shape){1 + axes, {node->in[0].dim[0]}};
	for (int i = 2 - axes; i < 2; i++) {
		if (2 * w[i].padding > w[i].kernel)
			return bp_fail(err, BP_EINVAL, -1, "padding", "padding may be at most half of kernel_size");
		int64_t count = window_count(&w[i], ceil_mode);
		if (count < 1)
			return bp_fail(err, BP_EINVAL, -1, "kernel_size",
				"the window spans %lld %s, but the padded input has %lld",
				(long long)(w[i].dilation * (w[i].kernel - 1) + 1),
				axes == 1 ? "places"
				: i       ? "columns"
					  : "rows",
				(long long)(w[i].in + 2 * w[i].padding));
		node->out.dim[i + axes - 1] = count;
	}
	return BP_OK;
}

/* Fills output o's entries. */
static void set_output(const struct bp_window *w, struct bp_pool_axis *a, int64_t o)
{
	if (w->stride == 0) {
		int64_t first = o * w->in / w->out, end = ((o + 1) * w->in + w->out - 1) / w->out;
		a->first[o] = (int32_t)first;
		a->taps[o] = a->span[o] = (int32_t)(end - first);
		return;
	}
	int64_t start = o * w->stride - w->padding, end = start + w->kernel;
	int64_t tap = start < 0 ? (-start + w->dilation - 1) / w->dilation : 0, first = start + tap * w->dilation;
	int64_t inside = first < w->in ? (w->in - 1 - first) / w->dilation + 1 : 0;
	int64_t left = w->kernel > tap ? w->kernel - tap : 0;
	a->first[o] = (int32_t)(inside > 0 ? first : 0);
	a->tap0[o] = (int32_t)tap;
	a->taps[o] = (int32_t)(inside < left ? inside : left);
	if (end > w->in + w->padding)
		end = w->in + w->padding;
	a->span[o] = w->counts_padding ? (int32_t)(end - start) : a->taps[o];
}

/* Turns the lists of inputs by output into lists of outputs by input, in ascending order of outputs, and looks whether
 * windows lie apart. */
static void set_back(struct bp_pool_axis *a)
{
	for (int o = 0; o < a->out_count; o++)
		for (int t = 0; t < a->taps[o]; t++)
			a->back[a->first[o] + t * a->step + 1]++;
	for (int i = 0; i < a->in; i++)
		a->back[i + 1] += a->back[i];
	for (int o = 0; o < a->out_count; o++) {
		for (int t = 0; t < a->taps[o]; t++) {
			int32_t at = a->back[a->first[o] + t * a->step]++;
			a->back_out[at] = o;
			a->back_tap[at] = a->tap0[o] + t;
		}
	}
	for (int i = a->in; i > 0; i--)
		a->back[i] = a->back[i - 1];
	a->back[0] = 0;
	a->apart = true;
	for (int i = 0; i < a->in; i++)
		a->apart &= a->back[i + 1] - a->back[i] <= 1;
}

static void axis_done(struct bp_pool_axis *a)
{
	free(a->first);
	free(a->back);
}

static enum bp_status axis_init(const struct bp_window *w, struct bp_pool_axis *a, struct bp_error *err)
{
	/* Windows that cover the axis evenly overlap by at most one place each. */
	int64_t entries = w->stride ? bp_elements_mul(w->out, w->kernel) : w->in + 2 * w->out;
	if (entries < 0 || entries > MAX_TAPS || w->in > MAX_TAPS)
		return bp_fail(err, BP_ELIMIT, -1, "inputs", "the map is too large to pool");
	size_t out = (size_t)w->out;
	*a = (struct bp_pool_axis){
		.in = (int)w->in, .out_count = (int)w->out, .step = (int)w->dilation, .kernel = (int)w->kernel};
	a->first = calloc(4 * out, sizeof(int32_t));
	a->back = calloc((size_t)w->in + 1 + 2 * (size_t)entries, sizeof(int32_t));
	if (!a->first || !a->back)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	a->taps = a->first + out;
	a->tap0 = a->taps + out;
	a->span = a->tap0 + out;
	a->back_out = a->back + w->in + 1;
	a->back_tap = a->back_out + entries;
	for (int64_t o = 0; o < w->out; o++)
		set_output(w, a, o);
	set_back(a);
	return BP_OK;
}

enum bp_status bp_pool_new(const struct bp_window w[2], int64_t c, struct bp_pool **ret, struct bp_error *err)
{
	struct bp_pool *pool = calloc(1, sizeof(*pool));
	if (!pool)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	pool->c = (int)c;
	enum bp_status st = axis_init(&w[0], &pool->v, err);
	if (!st)
		st = axis_init(&w[1], &pool->h, err);
	if (st)
		bp_pool_free(pool);
	else
		*ret = pool;
	return st;
}

void bp_pool_free(void *pool)
{
	struct bp_pool *p = pool;
	if (!p)
		return;
	axis_done(&p->v);
	axis_done(&p->h);
	free(p);
}

struct rows {
	const struct bp_layer_call *call;
	int64_t total, rows, size; /* rows of all samples, of one, of a block */
	bp_row_fn fn;
};

static void run_block(const void *arg, int64_t block)
{
	const struct rows *r = arg;
	int64_t n = bp_block_length(r->total, r->size, block);
	for (int64_t i = block * r->size; i < block * r->size + n; i++)
		r->fn(r->call, i / r->rows, (int)(i % r->rows));
}

void bp_rows_run(const struct bp_layer_call *c, int rows, int64_t row_elements, bp_row_fn fn)
{
	int64_t size = row_elements >= BP_BLOCK_ELEMENTS ? 1 : BP_BLOCK_ELEMENTS / row_elements;
	struct rows r = {c, (int64_t)rows * c->pass->n, rows, size, fn};
	bp_blocks_run(c->ctx, bp_blocks_count(r.total, size), r.total * row_elements, run_block, &r);
}

int64_t bp_pool_row_work(const struct bp_pool *p)
{
	return (int64_t)p->c * p->h.out_count * (1 + (int64_t)p->v.taps[0] * p->h.taps[0]);
}

enum bp_status bp_avg_pool_plan(
	const struct bp_layer_setup *s, const struct bp_window w[2], struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_pool *pool = NULL;
	enum bp_status st = bp_pool_new(w, s->node->out.dim[0], &pool, err);
	ret->own = pool;
	return st;
}

static void forward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	const bp_real *x = c->x[0] + sample * bp_shape_size(&c->node->in[0]);
	c->ctx->k->avg_pool(p, row, x, c->y + (sample * p->v.out_count + row) * p->h.out_count * p->c);
}

static void backward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	bp_real *dx = c->dx[0] + (sample * p->v.in + row) * p->h.in * p->c;
	c->ctx->k->avg_pool_grad(p, row, c->dy + sample * bp_shape_size(&c->node->out), c->accumulate[0], dx);
}

void bp_avg_pool_forward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	bp_rows_run(c, p->v.out_count, bp_pool_row_work(p), forward_row);
}

void bp_avg_pool_backward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	if (c->dx[0])
		bp_rows_run(c, p->v.in, (int64_t)p->h.in * p->c, backward_row);
}
