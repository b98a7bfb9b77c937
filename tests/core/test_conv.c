/*
 * test_conv.c - the convolution drivers against the plain C oracle, on random shapes, every instruction set, and for
 * any number of threads. Built in single and in double precision.
 */
#include "base/panels.h"
#include "conv/conv.h"

#include "guard.h"
#include "kernel_cases.h"
#include "runner.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* One convolution with its operands, and results of the oracle and of the drivers. */
struct trial {
	struct bp_conv_shape s;
	int n;
	size_t x_size, w_size, y_size;
	bp_real *x, *w, *bias, *dy, *dx0; /* inputs; dx0 is what dx holds before accumulation */
	bp_real *y, *dx, *dw, *db;
	bp_real *ref_y, *ref_dx, *ref_dw, *ref_db;
	bool relu, with_bias, accumulate;
};

/* The output's extent: what the padding below (after) gives at least one of. */
static int extent(int in, int before, int after, int k, int stride, int dilation)
{
	int span = (k - 1) * dilation + 1;
	return in + before + after < span ? 0 : (in + before + after - span) / stride + 1;
}

static struct bp_conv_shape draw_shape(struct draw *d)
{
	static const int kernels[] = {1, 1, 2, 3, 3, 3, 5, 7}, strides[] = {1, 1, 1, 2, 2, 3};
	struct bp_conv_shape s;
	do {
		int kind = draw_int(d, 0, 7), wide = draw_bool(d) ? 12 : 40;
		s = (struct bp_conv_shape){
			.h = draw_int(d, 1, 14),
			.w = draw_int(d, 1, 14),
			.groups = 1,
			.kh = kernels[draw_int(d, 0, 7)],
			.kw = kernels[draw_int(d, 0, 7)],
			.sh = strides[draw_int(d, 0, 5)],
			.sw = strides[draw_int(d, 0, 5)],
			.dh = draw_int(d, 0, 3) ? 1 : draw_int(d, 2, 3),
			.dw = draw_int(d, 0, 3) ? 1 : draw_int(d, 2, 3),
			.c = draw_int(d, 1, wide),
			.oc = draw_int(d, 1, wide),
		};
		if (kind == 0)
			s.c = draw_int(d, 1, 4);
		if (kind == 5) /* few targets, also of many channels */
			s.oc = draw_int(d, 1, 4);
		if (kind == 1 || kind == 2) { /* depthwise, and with a channel multiplier */
			s.groups = s.c;
			s.oc = s.c * (kind == 1 ? 1 : draw_int(d, 1, 5));
		}
		if (kind == 3) {
			s.groups = draw_int(d, 2, 4);
			s.c = s.groups * draw_int(d, 1, 12);
			s.oc = s.groups * draw_int(d, 1, 12);
		}
		if (kind == 7) { /* groups narrower than a vector */
			s.groups = draw_int(d, 2, 12);
			s.c = s.oc = s.groups << draw_int(d, 1, 3);
		}
		if (kind == 4) { /* Linear, on both sides of what is little work */
			s.h = s.w = s.kh = s.kw = s.sh = s.sw = 1;
			s.c = draw_int(d, 1, draw_bool(d) ? 200 : 600);
			s.oc = draw_int(d, 1, draw_bool(d) ? 200 : 400);
			s.panels = bp_in_panels(s.c, s.oc);
		}
		s.pt = draw_int(d, 0, (s.kh - 1) * s.dh);
		s.pl = draw_int(d, 0, (s.kw - 1) * s.dw);
		s.oh = extent(s.h, s.pt, draw_int(d, 0, (s.kh - 1) * s.dh), s.kh, s.sh, s.dh);
		s.ow = extent(s.w, s.pl, draw_int(d, 0, (s.kw - 1) * s.dw), s.kw, s.sw, s.dw);
	} while (s.oh < 1 || s.ow < 1);
	if (bp_conv_can_winograd(&s))
		s.algorithm = draw_int(d, BP_CONV_AUTO, BP_CONV_WINOGRAD);
	return s;
}

static bp_real *drawn(struct draw *d, size_t n)
{
	bp_real *p = guard_new(n);
	draw_reals(d, p, n);
	return p;
}

static void trial_oracle(struct trial *t)
{
	const struct bp_conv_shape *s = &t->s;
	t->ref_y = guard_new(t->y_size);
	t->ref_dx = guard_new(t->x_size);
	t->ref_dw = guard_new(t->w_size);
	t->ref_db = guard_new(s->oc);
	if (t->accumulate)
		memcpy(t->ref_dx, t->dx0, t->x_size * sizeof(bp_real));
	bp_conv_ref_forward(
		s, t->n, t->x, t->w, t->with_bias ? t->bias : NULL, t->relu ? BP_ACT_RELU : BP_ACT_NONE, t->ref_y);
	bp_conv_ref_backward_data(s, t->n, t->dy, t->w, t->accumulate, t->ref_dx);
	bp_conv_ref_backward_weights(s, t->n, t->x, t->dy, t->ref_dw, t->ref_db);
}

static void trial_start(struct trial *t, struct draw *d)
{
	const struct bp_conv_shape *s = &t->s;
	t->x_size = (size_t)t->n * s->h * s->w * s->c;
	t->y_size = (size_t)t->n * s->oh * s->ow * s->oc;
	t->w_size = (size_t)s->kh * s->kw * (s->c / s->groups) * s->oc;
	t->x = drawn(d, t->x_size);
	t->w = drawn(d, t->w_size);
	t->bias = drawn(d, s->oc);
	t->dy = drawn(d, t->y_size);
	t->dx0 = drawn(d, t->x_size);
	guard_freeze(t->x, t->x_size);
	guard_freeze(t->w, t->w_size);
	guard_freeze(t->bias, s->oc);
	guard_freeze(t->dy, t->y_size);
	t->relu = draw_bool(d);
	t->with_bias = draw_bool(d);
	t->accumulate = draw_bool(d);
	t->y = guard_new(t->y_size);
	t->dx = guard_new(t->x_size);
	t->dw = guard_new(t->w_size);
	t->db = guard_new(s->oc);
}

static void trial_end(struct trial *t)
{
	const int oc = t->s.oc;
	bp_real *by_size[][3] = {
		{t->x, t->dx0, t->dx}, {t->y, t->dy, NULL}, {t->w, t->dw, NULL}, {t->bias, t->db, NULL}};
	const size_t sizes[] = {t->x_size, t->y_size, t->w_size, oc};
	for (int i = 0; i < 4; i++)
		for (int j = 0; j < 3 && by_size[i][j]; j++)
			guard_free(by_size[i][j], sizes[i]);
	if (!t->ref_y)
		return;
	guard_free(t->ref_y, t->y_size);
	guard_free(t->ref_dx, t->x_size);
	guard_free(t->ref_dw, t->w_size);
	guard_free(t->ref_db, oc);
}

/* The three passes into y, dx, dw and db, which are poisoned first; so is the workspace. */
static void trial_run(struct trial *t, const struct bp_kernels *k, int threads)
{
	const struct bp_ctx ctx = {k, threads};
	struct bp_conv *cv = bp_conv_new(&t->s, k, t->n);
	ck_assert_ptr_nonnull(cv);
	const size_t bytes = bp_conv_workspace(cv, threads), ws_size = (bytes + 63) / 64 * 64 / sizeof(bp_real);
	bp_real *ws = guard_new(ws_size);
	for (size_t i = 0; i < t->y_size; i++)
		t->y[i] = GUARD_POISON;
	for (size_t i = 0; i < t->w_size; i++)
		t->dw[i] = GUARD_POISON;
	for (size_t i = 0; i < t->x_size; i++)
		t->dx[i] = t->accumulate ? t->dx0[i] : GUARD_POISON;
	bp_conv_forward(cv, &ctx, t->n, t->x, t->w, t->with_bias ? t->bias : NULL, t->relu ? BP_ACT_RELU : BP_ACT_NONE,
		t->y, ws);
	bp_conv_backward_data(cv, &ctx, t->n, t->dy, t->w, t->accumulate, t->dx, ws);
	bp_conv_backward_weights(cv, &ctx, t->n, t->x, t->dy, t->dw, t->db, ws);
	guard_free(ws, ws_size);
	bp_conv_free(cv);
}

/* Winograd's way is as exact as the largest result allows: terms far larger than a small sum cancel in it. 0 for
 * others.
 */
static double winograd_rounding(const struct bp_conv_shape *s, const bp_real *want, size_t n)
{
	double largest = 0;
	if (!bp_conv_can_winograd(s) || s->algorithm == BP_CONV_DIRECT)
		return 0;
	for (size_t i = 0; i < n; i++)
		largest = fmax(largest, fabs((double)want[i]));
	return (sizeof(bp_real) == 8 ? 1e-14 : 5e-6) * largest;
}

static void assert_near(const struct trial *t, const struct bp_kernels *k, const char *what, const bp_real *got,
	const bp_real *want, size_t n, size_t terms)
{
	const struct bp_conv_shape *s = &t->s;
	char where[200];
	snprintf(where, sizeof where, "%s of n %d, %dx%dx%d -> %dx%dx%d, %dx%d, s %d,%d p %d,%d d %d,%d g %d, way %d%s",
		what, t->n, s->h, s->w, s->c, s->oh, s->ow, s->oc, s->kh, s->kw, s->sh, s->sw, s->pt, s->pl, s->dh,
		s->dw, s->groups, (int)s->algorithm, s->panels ? ", in panels" : "");
	const double tolerance = sizeof(bp_real) == 8 ? 1e-12 : 4 * rounding(terms);
	const double absolute = winograd_rounding(s, want, n);
	for (size_t i = 0; i < n; i++)
		if (!(fabs((double)got[i] - (double)want[i]) <= absolute))
			check_near(k, where, i, got[i], want[i], tolerance);
}

static void trial_check(const struct trial *t, const struct bp_kernels *k)
{
	const struct bp_conv_shape *s = &t->s;
	const size_t taps = (size_t)s->kh * s->kw, pixels = (size_t)t->n * s->oh * s->ow;
	assert_near(t, k, "y", t->y, t->ref_y, t->y_size, taps * s->c / s->groups);
	assert_near(t, k, "dx", t->dx, t->ref_dx, t->x_size, taps * s->oc / s->groups);
	assert_near(t, k, "dw", t->dw, t->ref_dw, t->w_size, pixels);
	assert_near(t, k, "db", t->db, t->ref_db, s->oc, pixels);
}

enum { LOOPS = 8, SHAPES = 26 };

START_TEST(the_three_passes_agree_with_the_oracle_on_random_shapes)
{
	struct draw d = {(uint64_t)_i + 1};
	const struct bp_kernels *k;
	for (int i = 0; i < SHAPES; i++) {
		struct trial t = {.s = draw_shape(&d), .n = draw_int(&d, 1, 5)};
		trial_start(&t, &d);
		trial_oracle(&t);
		for (int j = 0; (k = tested_kernels_at(j)); j++) {
			trial_run(&t, k, 1 + i % 3);
			trial_check(&t, k);
		}
		trial_end(&t);
	}
}
END_TEST

/* Shapes large enough for several blocks, pieces of K, chunks of pixels, and tasks. */
static const struct {
	struct bp_conv_shape s;
	int n;
} large[] = {
	{{16, 16, 24, 16, 16, 40, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{20, 20, 3, 10, 10, 33, 7, 7, 2, 2, 3, 3, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{28, 28, 1, 26, 26, 20, 3, 3, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 12},
	{{9, 9, 40, 5, 5, 70, 3, 3, 2, 2, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 20},
	{{12, 12, 48, 12, 12, 48, 3, 3, 1, 1, 1, 1, 1, 1, 4, BP_CONV_AUTO, false}, 12},
	/* To few channels: with a tail of vectors, a stride backwards, a dilation, and a sum in pieces. */
	{{20, 20, 70, 20, 20, 3, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{20, 20, 3, 10, 10, 50, 4, 4, 2, 2, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{13, 15, 33, 13, 15, 2, 3, 3, 1, 1, 2, 2, 2, 2, 1, BP_CONV_AUTO, false}, 9},
	{{5, 5, 600, 5, 5, 4, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 5},
	/* To so few that dW is one of the convolution back, in Winograd's way and not; dx of few by cells. */
	{{30, 28, 33, 30, 29, 10, 3, 3, 1, 1, 1, 2, 1, 1, 1, BP_CONV_AUTO, false}, 6},
	{{17, 19, 40, 14, 18, 18, 4, 3, 1, 1, 0, 1, 1, 1, 1, BP_CONV_DIRECT, false}, 6},
	{{14, 14, 6, 14, 14, 16, 5, 5, 1, 1, 2, 2, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{15, 15, 70, 15, 15, 70, 3, 3, 1, 1, 1, 1, 1, 1, 70, BP_CONV_AUTO, false}, 12},
	{{12, 12, 20, 6, 6, 40, 5, 5, 2, 2, 2, 2, 1, 1, 20, BP_CONV_AUTO, false}, 12},
	{{40, 40, 64, 20, 20, 64, 3, 3, 2, 2, 1, 1, 1, 1, 64, BP_CONV_AUTO, false}, 3},
	{{33, 37, 90, 31, 18, 90, 5, 3, 1, 2, 1, 1, 1, 1, 90, BP_CONV_AUTO, false}, 2},
	/* With a channel multiplier; in narrow groups, with a tail of channels, a stride, and a dilation. */
	{{15, 15, 35, 15, 15, 70, 3, 3, 1, 1, 1, 1, 1, 1, 35, BP_CONV_AUTO, false}, 12},
	{{33, 37, 30, 31, 18, 120, 5, 3, 1, 2, 1, 1, 1, 1, 30, BP_CONV_AUTO, false}, 2},
	{{15, 15, 72, 15, 15, 72, 3, 3, 1, 1, 1, 1, 1, 1, 18, BP_CONV_AUTO, false}, 12},
	{{40, 40, 64, 20, 20, 64, 3, 3, 2, 2, 1, 1, 1, 1, 8, BP_CONV_AUTO, false}, 3},
	{{21, 23, 50, 17, 21, 50, 3, 2, 1, 1, 0, 0, 2, 2, 25, BP_CONV_AUTO, false}, 7},
	{{1, 1, 1300, 1, 1, 70, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 37},
	{{1, 1, 300, 1, 1, 10, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 4},
	{{1, 1, 601, 1, 1, 140, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 530},
	{{1, 1, 601, 1, 1, 140, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 530},
	{{1, 1, 130, 1, 1, 603, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 250},
	{{1, 1, 1100, 1, 1, 96, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 13},
	{{1, 1, 5, 1, 1, 14000, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 3},
	{{1, 1, 90, 1, 1, 603, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 250},
	{{1, 1, 1100, 1, 1, 96, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 13},
	{{14, 14, 64, 14, 14, 32, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 11},
	{{10, 10, 5, 10, 10, 3, 3, 3, 1, 1, 2, 2, 2, 2, 1, BP_CONV_AUTO, false}, 40},
	{{11, 13, 33, 11, 13, 70, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false}, 25},
	{{4, 4, 300, 4, 4, 129, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false}, 70},
	{{9, 6, 16, 9, 6, 17, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false}, 150},
	{{4, 3, 270, 4, 3, 150, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false}, 7}, /* each task's own weights */
	{{11, 13, 33, 11, 13, 70, 5, 5, 1, 1, 2, 2, 1, 1, 1, BP_CONV_WINOGRAD, false}, 9},
	{{2, 3, 270, 2, 3, 150, 5, 5, 1, 1, 2, 2, 1, 1, 1, BP_CONV_WINOGRAD, false}, 9},
	/* Few channels, whose neighbours go together: forward, and backward-data of few input channels. */
	{{28, 28, 1, 28, 28, 6, 5, 5, 1, 1, 2, 2, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{14, 14, 6, 10, 10, 16, 5, 5, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 12},
	{{20, 24, 19, 20, 24, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 7},
	{{33, 64, 3, 17, 32, 3, 3, 5, 2, 2, 2, 2, 2, 1, 1, BP_CONV_AUTO, false}, 5},
	{{17, 16, 4, 17, 16, 20, 5, 3, 1, 1, 4, 1, 2, 1, 1, BP_CONV_AUTO, false}, 5},
	{{13, 15, 33, 13, 15, 70, 7, 7, 1, 1, 3, 3, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{27, 33, 20, 14, 17, 40, 7, 7, 2, 2, 3, 3, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{32, 30, 20, 16, 15, 40, 5, 5, 2, 2, 2, 2, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{20, 20, 33, 10, 10, 20, 4, 4, 2, 2, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false}, 9},
	{{12, 12, 20, 11, 11, 40, 4, 4, 1, 1, 1, 2, 1, 1, 1, BP_CONV_AUTO, false}, 12},
	{{1, 200, 40, 1, 200, 33, 1, 9, 1, 1, 0, 4, 1, 1, 1, BP_CONV_AUTO, false}, 20},
	{{23, 21, 33, 23, 21, 40, 3, 3, 1, 1, 2, 2, 2, 2, 1, BP_CONV_AUTO, false}, 9},
	{{1, 300, 33, 1, 300, 70, 1, 3, 1, 1, 0, 16, 1, 16, 1, BP_CONV_AUTO, false}, 9},
	{{1, 150, 40, 1, 148, 33, 1, 3, 1, 1, 0, 0, 1, 1, 1, BP_CONV_WINOGRAD, false}, 20},
	{{1, 75, 33, 1, 75, 40, 1, 5, 1, 1, 0, 2, 1, 1, 1, BP_CONV_AUTO, false}, 30},
	{{37, 9, 32, 37, 9, 35, 3, 1, 1, 1, 1, 0, 1, 1, 1, BP_CONV_AUTO, false}, 10},
	/* Few channels with a stride, whose pixels become channels: of padding that is no multiple of it, of maps too.
	 */
	{{27, 25, 3, 14, 13, 33, 7, 7, 2, 2, 3, 3, 1, 1, 1, BP_CONV_AUTO, false}, 9},
	{{42, 39, 3, 9, 8, 20, 11, 11, 4, 4, 2, 2, 1, 1, 1, BP_CONV_AUTO, false}, 5},
	{{33, 47, 2, 16, 15, 20, 5, 8, 2, 3, 1, 4, 1, 1, 1, BP_CONV_AUTO, false}, 7},
	{{30, 31, 6, 15, 16, 70, 4, 4, 2, 2, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 5},
	/* ... or neighbours do, without one. */
	{{18, 22, 3, 18, 22, 24, 5, 7, 1, 1, 2, 3, 1, 1, 1, BP_CONV_AUTO, false}, 7},
	{{17, 20, 7, 15, 16, 5, 6, 5, 1, 1, 2, 0, 1, 1, 1, BP_CONV_AUTO, false}, 7},
	/* Cut into zones: a tap a piece, and several. */
	{{2, 3, 300, 2, 3, 140, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_DIRECT, false}, 17},
	{{4, 4, 70, 4, 4, 35, 5, 5, 1, 1, 2, 2, 1, 1, 1, BP_CONV_AUTO, false}, 23},
	{{3, 5, 20, 2, 3, 300, 3, 5, 2, 2, 1, 2, 1, 1, 1, BP_CONV_AUTO, false}, 30},
	/* More weights than map: in groups, and in several blocks. */
	{{3, 3, 120, 3, 3, 140, 3, 3, 1, 1, 1, 1, 1, 1, 4, BP_CONV_AUTO, false}, 3},
	{{8, 8, 300, 4, 4, 140, 2, 2, 2, 2, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 4},
};
enum { LARGE = sizeof large / sizeof large[0] };

START_TEST(large_shapes_agree_with_the_oracle)
{
	struct draw d = {(uint64_t)_i + 100};
	const struct bp_kernels *k;
	struct trial t = {.s = large[_i].s, .n = large[_i].n};
	trial_start(&t, &d);
	trial_oracle(&t);
	for (int j = 0; (k = tested_kernels_at(j)); j++) {
		trial_run(&t, k, 2);
		trial_check(&t, k);
	}
	trial_end(&t);
}
END_TEST

/* Of an axis, less than the kernel spans on each side, for an output of at least one. */
static void draw_padding(struct draw *d, int in, int k, int stride, int dilation, int *ret_before, int *ret_out)
{
	const int most = (k - 1) * dilation, before = draw_int(d, 0, most), missing = most + 1 - in - before;
	*ret_before = before;
	*ret_out = extent(in, before, draw_int(d, missing > 0 ? missing : 0, most), k, stride, dilation);
}

/* Maps that are not made of whole tiles, any kernel, stride, dilation and padding, channels with and without tails. */
START_TEST(winograd_agrees_with_the_oracle_on_any_map)
{
	static const int maps[][2] = {{1, 1}, {1, 2}, {3, 5}, {4, 4}, {7, 7}, {8, 8}, {2, 13}};
	static const int channels[] = {1, 2, 7, 8, 15, 16, 17, 24, 33, 64, 70};
	static const int kernels[][2] = {{3, 3}, {3, 4}, {4, 3}, {4, 4}, {5, 5}, {6, 6}, {7, 7}, {8, 8}, {9, 9},
		{10, 3}, {4, 11}, {1, 3}, {1, 4}, {1, 5}, {1, 7}, {1, 11}, {3, 1}, {5, 1}, {8, 1}, {2, 2}, {2, 3},
		{3, 5}, {5, 4}, {1, 2}, {2, 1}};
	struct draw d = {(uint64_t)_i + 300};
	const struct bp_kernels *k;
	for (size_t m = 0; m < sizeof maps / sizeof maps[0]; m++) {
		const int *kernel = kernels[(m + (size_t)_i) % (sizeof kernels / sizeof kernels[0])];
		struct bp_conv_shape s = {
			.h = maps[m][0],
			.w = maps[m][1],
			.c = channels[draw_int(&d, 0, 10)],
			.oc = channels[draw_int(&d, 0, 10)],
			.kh = kernel[0],
			.kw = kernel[1],
			.groups = draw_int(&d, 0, 2) ? 1 : draw_int(&d, 2, 7),
			.algorithm = BP_CONV_WINOGRAD,
		};
		if (s.groups > 1) { /* so many that a task takes several, and so wide that it takes one */
			s.c = s.groups * (16 + s.c % 24);
			s.oc = s.groups * (16 + s.oc % 24);
		}
		do {
			s.dh = draw_int(&d, 0, 2) ? 1 : draw_int(&d, 1, 5);
			s.dw = draw_int(&d, 0, 2) ? 1 : draw_int(&d, 1, 5);
			s.sh = draw_int(&d, 0, 2) ? 1 : draw_int(&d, 1, 3);
			s.sw = draw_int(&d, 0, 2) ? 1 : draw_int(&d, 1, 3);
			draw_padding(&d, s.h, s.kh, s.sh, s.dh, &s.pt, &s.oh);
			draw_padding(&d, s.w, s.kw, s.sw, s.dw, &s.pl, &s.ow);
		} while (!bp_conv_can_winograd(&s));
		struct trial t = {.s = s, .n = draw_int(&d, 1, 5)};
		trial_start(&t, &d);
		trial_oracle(&t);
		for (int j = 0; (k = tested_kernels_at(j)); j++) {
			trial_run(&t, k, 1 + (int)m % 3);
			trial_check(&t, k);
		}
		trial_end(&t);
	}
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	static const int threads[] = {2, 3, 4, 7};
	struct draw d = {(uint64_t)_i + 200};
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	struct trial one = {.s = large[_i].s, .n = large[_i].n};
	trial_start(&one, &d);
	trial_run(&one, k, 1);
	struct trial other = one;
	other.y = guard_new(one.y_size);
	other.dx = guard_new(one.x_size);
	other.dw = guard_new(one.w_size);
	other.db = guard_new(one.s.oc);
	for (int i = 0; i < 4; i++) {
		trial_run(&other, k, threads[i]);
		ck_assert_mem_eq(one.y, other.y, one.y_size * sizeof(bp_real));
		ck_assert_mem_eq(one.dx, other.dx, one.x_size * sizeof(bp_real));
		ck_assert_mem_eq(one.dw, other.dw, one.w_size * sizeof(bp_real));
		ck_assert_mem_eq(one.db, other.db, one.s.oc * sizeof(bp_real));
	}
	guard_free(other.y, one.y_size);
	guard_free(other.dx, one.x_size);
	guard_free(other.dw, one.w_size);
	guard_free(other.db, one.s.oc);
	trial_end(&one);
}
END_TEST

TEST_SUITE(conv, 60)
{
	tcase_add_loop_test(tc, the_three_passes_agree_with_the_oracle_on_random_shapes, 0, LOOPS);
	tcase_add_loop_test(tc, large_shapes_agree_with_the_oracle, 0, LARGE);
	tcase_add_loop_test(tc, winograd_agrees_with_the_oracle_on_any_map, 0, LOOPS);
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 0, LARGE);
}
