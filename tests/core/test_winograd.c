/*
 * test_winograd.c - how much Winograd's convolution rounds on layers as they are trained. Its agreement with the oracle
 * on any shape is in test_conv.c, that of its gradients in test_gradients.c.
 */
#include "runner.h"

#ifndef BP_DOUBLE
#include "conv/conv.h"
#include "draw.h"
#include "guard.h"

#include <math.h>

/* The largest error of any result, in terms of the largest result. */
static const double bound = 6e-6;

struct layer {
	struct bp_conv_shape s;
	int n;
	size_t x_size, w_size, y_size;
	bp_real *x, *w, *dy, *y, *dx, *dw;
};

/* n numbers of variance v. */
static bp_real *drawn(struct draw *d, size_t n, double v)
{
	bp_real *p = guard_new(n);
	for (size_t i = 0; i < n; i++)
		p[i] = (bp_real)(draw_real(d) * sqrt(3 * v));
	return p;
}

/* Inputs and gradients of variance 1, weights as He et al. (2015) draw them; then the three passes. */
static void layer_run(struct layer *l, struct draw *d)
{
	const struct bp_conv_shape *s = &l->s;
	const struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 2};
	l->x_size = (size_t)l->n * s->h * s->w * s->c;
	l->y_size = (size_t)l->n * s->oh * s->ow * s->oc;
	l->w_size = (size_t)s->kh * s->kw * s->c * s->oc;
	l->x = drawn(d, l->x_size, 1);
	l->dy = drawn(d, l->y_size, 1);
	l->w = drawn(d, l->w_size, 2. / (s->kh * s->kw * s->c));
	l->y = guard_new(l->y_size);
	l->dx = guard_new(l->x_size);
	l->dw = guard_new(l->w_size);
	struct bp_conv *cv = bp_conv_new(s, ctx.k, l->n);
	ck_assert_ptr_nonnull(cv);
	const size_t ws_size = (bp_conv_workspace(cv, ctx.threads) + 63) / 64 * 64 / sizeof(bp_real);
	bp_real *ws = guard_new(ws_size);
	bp_conv_forward(cv, &ctx, l->n, l->x, l->w, NULL, BP_ACT_NONE, l->y, ws);
	bp_conv_backward_data(cv, &ctx, l->n, l->dy, l->w, false, l->dx, ws);
	bp_conv_backward_weights(cv, &ctx, l->n, l->x, l->dy, l->dw, NULL, ws);
	guard_free(ws, ws_size);
	bp_conv_free(cv);
}

static void layer_done(struct layer *l)
{
	guard_free(l->x, l->x_size);
	guard_free(l->dx, l->x_size);
	guard_free(l->dy, l->y_size);
	guard_free(l->y, l->y_size);
	guard_free(l->w, l->w_size);
	guard_free(l->dw, l->w_size);
}

static double exact_y(const struct layer *l, size_t at)
{
	const struct bp_conv_shape *s = &l->s;
	const int o = (int)(at % s->oc), x = (int)(at / s->oc % s->ow), y = (int)(at / s->oc / s->ow % s->oh);
	const size_t image = at / s->oc / s->ow / s->oh;
	double sum = 0;
	for (int tap = 0; tap < s->kh * s->kw; tap++) {
		const int iy = y - s->pt + tap / s->kw, ix = x - s->pl + tap % s->kw;
		for (int c = 0; c < s->c && iy >= 0 && iy < s->h && ix >= 0 && ix < s->w; c++)
			sum += (double)l->x[((image * s->h + iy) * s->w + ix) * s->c + c] *
			       (double)l->w[(tap * s->c + c) * s->oc + o];
	}
	return sum;
}

static double exact_dx(const struct layer *l, size_t at)
{
	const struct bp_conv_shape *s = &l->s;
	const int c = (int)(at % s->c), x = (int)(at / s->c % s->w), y = (int)(at / s->c / s->w % s->h);
	const size_t image = at / s->c / s->w / s->h;
	double sum = 0;
	for (int tap = 0; tap < s->kh * s->kw; tap++) {
		const int oy = y + s->pt - tap / s->kw, ox = x + s->pl - tap % s->kw;
		for (int o = 0; o < s->oc && oy >= 0 && oy < s->oh && ox >= 0 && ox < s->ow; o++)
			sum += (double)l->dy[((image * s->oh + oy) * s->ow + ox) * s->oc + o] *
			       (double)l->w[(tap * s->c + c) * s->oc + o];
	}
	return sum;
}

static double exact_dw(const struct layer *l, size_t at)
{
	const struct bp_conv_shape *s = &l->s;
	const int o = (int)(at % s->oc), c = (int)(at / s->oc % s->c), tap = (int)(at / s->oc / s->c);
	double sum = 0;
	for (size_t p = 0; p < (size_t)l->n * s->oh * s->ow; p++) {
		const int iy = (int)(p / s->ow % s->oh) - s->pt + tap / s->kw;
		const int ix = (int)(p % s->ow) - s->pl + tap % s->kw;
		if (iy >= 0 && iy < s->h && ix >= 0 && ix < s->w)
			sum += (double)l->x[((p / s->ow / s->oh * s->h + iy) * s->w + ix) * s->c + c] *
			       (double)l->dy[p * s->oc + o];
	}
	return sum;
}

/* At random places, for exact sums take long. */
static void assert_rounding(const struct layer *l, const char *what, const bp_real *got, size_t n,
	double (*exact)(const struct layer *, size_t))
{
	enum { PLACES = 2000 };
	struct draw d = {n};
	double largest = 0, error = 0;
	for (int i = 0; i < PLACES; i++) {
		size_t at = draw_bits(&d) % n;
		double want = exact(l, at);
		largest = fmax(largest, fabs(want));
		error = fmax(error, fabs((double)got[at] - want));
	}
	ck_assert_msg(error <= bound * largest, "%s of %d channels, %dx%d: %g of the largest", what, l->s.c, l->s.kh,
		l->s.kw, error / largest);
}

static const struct {
	int h, w, c, kh, kw;
} layers[] = {{16, 16, 16, 3, 3}, {16, 16, 64, 3, 3}, {8, 8, 256, 3, 3}, {4, 4, 512, 3, 3}, {16, 16, 16, 5, 5},
	{16, 16, 64, 5, 5}, {8, 8, 256, 5, 5}, {16, 16, 64, 2, 2}, {15, 15, 128, 2, 2}, {16, 16, 64, 4, 4},
	{16, 16, 64, 7, 7}, {16, 16, 32, 9, 9}, {1, 256, 64, 1, 3}, {1, 256, 64, 1, 5}, {1, 256, 64, 1, 7},
	{32, 4, 128, 3, 1}};
enum { LAYERS = sizeof layers / sizeof layers[0] };

START_TEST(winograd_rounds_little_on_layers_as_they_are_trained)
{
	struct draw d = {(uint64_t)_i + 1};
	const int h = layers[_i].h, w = layers[_i].w, c = layers[_i].c, kh = layers[_i].kh, kw = layers[_i].kw;
	struct layer l = {.s = {h, w, c, h, w, c, kh, kw, 1, 1, kh / 2, kw / 2, 1, 1, 1, BP_CONV_WINOGRAD}, .n = 8};
	layer_run(&l, &d);
	assert_rounding(&l, "y", l.y, l.y_size, exact_y);
	assert_rounding(&l, "dx", l.dx, l.x_size, exact_dx);
	assert_rounding(&l, "dw", l.dw, l.w_size, exact_dw);
	layer_done(&l);
}
END_TEST
#endif

TEST_SUITE(winograd, 60)
{
#ifndef BP_DOUBLE
	tcase_add_loop_test(tc, winograd_rounds_little_on_layers_as_they_are_trained, 0, LAYERS);
#else
	(void)tc;
#endif
}
