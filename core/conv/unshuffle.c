/*
 * unshuffle.c - convolutions with a stride from few channels, as first layers are: the pixels of each square of stride
 * x stride are taken as the channels of one cell (PyTorch's PixelUnshuffle), the first square beginning where the first
 * target reads. What is left is a convolution without stride or padding by a stride'th of the taps along each axis,
 * which Winograd's way takes: 7x7 on 3 channels with a stride of 2 becomes 4x4 on 12, 48 multiplications instead of
 * 147. Called by conv.c on the trainer's thread; its tasks run on any. Backward-data, which a first layer does not do,
 * goes other ways.
 *
 * Taken apart by Winograd's way itself (winograd_tiles.c), a vector would hold 3 channels, and its transforms would
 * cost what its products save.
 *
 * build/bench_conv 1 [direct|auto] [avx2] N H C OC K S 1, GFLOP/s of forward and dW, direct -> now:
 *	3 -> 64, 7x7, stride 2 on 97x97		AVX-512 108 92 -> 166 156	AVX2 105 87 -> 136 134
 *	3 -> 64, 5x5, stride 2 on 64x64		AVX-512 102 93 -> 140 122	AVX2 102 76 -> 133 109
 *	3 -> 64, 4x4, stride 2 on 30x30		AVX-512 108 84 -> 126 121	AVX2 96 73 -> 110 112
 *	3 -> 64, 11x11, stride 4 on 97x97	AVX-512 113 87 -> 207 189	AVX2 106 78 -> 186 157
 *	12 -> 16, 5x5, stride 2 on 28x28	AVX-512 104 77 -> 125 116	AVX2 109 79 -> 120 110
 */
#include "conv/winograd.h"

#include "base/mem.h"
#include "kernels/patch.h"

#include <string.h>

enum {
	MOST_CHANNELS = 16,      /* more go Winograd's way as they are */
	FEW_CELL_CHANNELS = 6,   /* of a cell, at least */
	MANY_CELL_CHANNELS = 64, /* and at most, hence no more lines than BP_PATCH_LINES */
	TARGETS = 12,            /* channels, at least */
	PERCENT = 185,           /* of the multiplications, at least, that direct has to do */
	LINE = 1 << 24           /* targets along an axis, at most: the cells of a line can be counted */
};

/* The convolution over the cells. */
static struct bp_conv_shape cells_of(const struct bp_conv_shape *s)
{
	struct bp_conv_shape c = *s;
	c.c = s->c * s->sh * s->sw;
	c.kh = (int)divide_up((size_t)s->kh, (size_t)s->sh);
	c.kw = (int)divide_up((size_t)s->kw, (size_t)s->sw);
	c.h = s->oh + c.kh - 1;
	c.w = s->ow + c.kw - 1;
	c.sh = c.sw = 1;
	c.pt = c.pl = 0;
	c.algorithm = BP_CONV_WINOGRAD;
	return c;
}

static bool is_candidate(const struct bp_conv_shape *s)
{
	const int64_t cell = (int64_t)s->sh * s->sw * s->c;
	const bool strides = s->sh > 1 || s->sw > 1, plain = s->groups == 1 && s->dh == 1 && s->dw == 1;
	return s->algorithm == BP_CONV_AUTO && plain && strides && s->c <= MOST_CHANNELS && s->oc >= TARGETS &&
	       cell >= FEW_CELL_CHANNELS && cell <= MANY_CELL_CHANNELS && most(s->oh, s->ow) <= LINE;
}

bool bp_unshuffle_new(struct bp_conv *cv)
{
	if (!is_candidate(&cv->s))
		return true;
	const struct bp_conv_shape s = cells_of(&cv->s);
	if (s.kh == 1 || s.kw == 1 || !bp_conv_can_winograd(&s)) /* along one axis it was slower */
		return true;
	cv->cells = bp_conv_new(&s, cv->k, (int)cv->max_batch);
	if (!cv->cells)
		return false;
	const size_t products = bp_winograd_products(&cv->cells->forward) * (size_t)s.c;
	if (cv->forward.inside * (size_t)cv->s.c * 100 < products * PERCENT) {
		bp_conv_free(cv->cells);
		cv->cells = NULL;
	}
	return true;
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	return cv->cells && pass != PASS_DATA;
}

static size_t cells_size(const struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->cells->s;
	return (size_t)s->h * s->w * s->c;
}

/* Pixels of a line of a cell that lie side by side, elements. */
static size_t run_length(const struct bp_conv_shape *s)
{
	return (size_t)s->sw * s->c;
}

/* Where in a workspace things are, bytes: from its beginning the cells of all samples, then their weights or the
 * gradient of these, zeros, and the workspace of the convolution over them. */
struct layout {
	size_t w, zeros, ws;
};
static struct layout layout_of(const struct bp_conv *cv)
{
	struct layout l;
	l.w = round_up(cv->max_batch * cells_size(cv) * sizeof(bp_real), BP_ALIGN);
	l.zeros = l.w + round_up(kernel_elements(&cv->cells->s) * sizeof(bp_real), BP_ALIGN);
	l.ws = l.zeros + round_up((run_length(&cv->s) + cv->k->vlen) * sizeof(bp_real), BP_ALIGN);
	return l;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	return layout_of(cv).ws + bp_conv_pass_workspace(cv->cells, pass, threads);
}

struct room {
	const struct bp_conv *cv;
	size_t n;
	const bp_real *x;
	bp_real *cells, *w, *zeros;
	void *ws;
};

static struct room room_in(const struct bp_conv *cv, const struct bp_conv_call *call, void *ws)
{
	const struct layout l = layout_of(cv);
	char *at = ws;
	struct room r = {.cv = cv, .n = (size_t)call->n, .x = call->x, .cells = ws};
	r.w = (bp_real *)(at + l.w);
	r.zeros = (bp_real *)(at + l.zeros);
	r.ws = at + l.ws;
	memset(r.zeros, 0, l.ws - l.zeros);
	return r;
}

/* A cell of which not all columns lie inside the map, or which is the last but few of it. */
static void copy_cell(const struct bp_conv_shape *s, const bp_real *image, int y, int x, bp_real *ret)
{
	for (int i = 0; i < s->sh; i++)
		for (int j = 0; j < s->sw; j++, ret += s->c) {
			const int row = y * s->sh - s->pt + i, col = x * s->sw - s->pl + j;
			const bool inside = row >= 0 && row < s->h && col >= 0 && col < s->w;
			for (int c = 0; c < s->c; c++)
				ret[c] = inside ? image[((size_t)row * s->w + col) * s->c + c] : 0;
		}
}

/* Line y of a map of cells. The kernel copies in whole vectors, past the last of the cells that it is given: into the
 * next line, which is made after this one, but not into the next map. */
static void copy_line(const struct room *r, const bp_real *image, int y, bp_real *ret)
{
	const struct bp_conv_shape *s = &r->cv->s, *cells = &r->cv->cells->s;
	const int beside = y + 1 < cells->h ? 0 : (int)divide_up(r->cv->k->vlen, (size_t)cells->c);
	const int lo = least((int)divide_up((size_t)s->pl, (size_t)s->sw), cells->w);
	const int hi = most(least((s->w + s->pl) / s->sw, cells->w - beside), lo);
	struct bp_patch p = {.count = hi - lo,
		.lines = s->sh,
		.run = run_length(s),
		.end = r->x + r->n * s->h * s->w * s->c,
		.dst = ret + (size_t)lo * cells->c};
	for (int i = 0; i < s->sh; i++) {
		const int row = y * s->sh - s->pt + i;
		const bool inside = row >= 0 && row < s->h;
		p.src[i] = inside ? image + ((size_t)row * s->w + (size_t)(lo * s->sw - s->pl)) * s->c : r->zeros;
		p.step[i] = inside ? p.run : 0;
	}
	for (int x = 0; x < lo; x++)
		copy_cell(s, image, y, x, ret + (size_t)x * cells->c);
	if (hi > lo)
		r->cv->k->patch(&p);
	for (int x = hi; x < cells->w; x++)
		copy_cell(s, image, y, x, ret + (size_t)x * cells->c);
}

static void copy_task(const void *job, size_t image, void *scratch)
{
	(void)scratch;
	const struct room *r = job;
	const struct bp_conv_shape *s = &r->cv->s, *cells = &r->cv->cells->s;
	for (int y = 0; y < cells->h; y++)
		copy_line(r, r->x + image * s->h * s->w * s->c, y,
			r->cells + image * cells_size(r->cv) + (size_t)y * cells->w * cells->c);
}

static void unshuffle(const struct room *r, const struct bp_ctx *ctx)
{
	const struct phase phase = {r->n, copy_task};
	bp_work_run(ctx, r->n * cells_size(r->cv), &(struct work){r, &phase, 1, NULL, 0});
}

/* Pixels that the cells' kernel reads. */
static size_t kernel_pixels(const struct bp_conv *cv)
{
	return (size_t)cv->cells->s.kh * cv->cells->s.kw * cv->s.sh * cv->s.sw;
}

/* Where the i-th of them has its weights in the kernel's, elements; -1: nowhere, and they are zeros. */
static ptrdiff_t kernel_at(const struct bp_conv *cv, size_t i)
{
	const struct bp_conv_shape *s = &cv->s;
	const int tap = (int)(i / (s->sh * s->sw)), at = (int)(i % (s->sh * s->sw)), across = cv->cells->s.kw;
	const int y = tap / across * s->sh + at / s->sw, x = tap % across * s->sw + at % s->sw;
	return y < s->kh && x < s->kw ? ((ptrdiff_t)y * s->kw + x) * s->c * s->oc : -1;
}

static void turn_weights(const struct bp_conv *cv, const bp_real *w, bp_real *cells)
{
	const size_t pixel = (size_t)cv->s.c * cv->s.oc;
	for (size_t i = 0; i < kernel_pixels(cv); i++, cells += pixel) {
		const ptrdiff_t from = kernel_at(cv, i);
		if (from >= 0)
			memcpy(cells, w + from, pixel * sizeof *cells);
		else
			memset(cells, 0, pixel * sizeof *cells);
	}
}

static void turn_gradient(const struct bp_conv *cv, const bp_real *cells, bp_real *dw)
{
	const size_t pixel = (size_t)cv->s.c * cv->s.oc;
	for (size_t i = 0; i < kernel_pixels(cv); i++, cells += pixel) {
		const ptrdiff_t to = kernel_at(cv, i);
		if (to >= 0)
			memcpy(dw + to, cells, pixel * sizeof *cells);
	}
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct room r = room_in(cv, call, ws);
	struct bp_conv_call own = *call;
	unshuffle(&r, ctx);
	turn_weights(cv, call->w, r.w);
	own.x = r.cells;
	own.w = r.w;
	bp_conv_forward_call(cv->cells, ctx, &own, r.ws);
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct room r = room_in(cv, call, ws);
	unshuffle(&r, ctx);
	const struct bp_conv_call own = {.n = call->n, .x = r.cells, .dy = call->dy, .dw = r.w, .db = call->db};
	bp_conv_backward_call(cv->cells, ctx, &own, r.ws);
	turn_gradient(cv, r.w, call->dw);
}

/* Of forward, whose targets are the cells' own. */
static size_t max_parts(const struct bp_conv *cv, bool backward)
{
	return bp_winograd_norms.max_parts(cv->cells, backward);
}
static size_t parts(const struct bp_conv *cv, size_t n, bool backward)
{
	return bp_winograd_norms.parts(cv->cells, n, backward);
}
static size_t part_rows(const struct bp_conv *cv, size_t n, size_t part)
{
	return bp_winograd_norms.part_rows(cv->cells, n, part);
}
static const struct way_norms norms = {false, max_parts, parts, part_rows};

const struct way bp_way_unshuffle = {
	.fits = fits,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = weights,
	.norms = &norms,
};
