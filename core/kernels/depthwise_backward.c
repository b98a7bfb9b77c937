/*
 * depthwise_backward.c - both gradients of a depthwise convolution, a line of inputs at a time, vectors along channels
 * (depthwise.h). Called by the driver in core/conv, on any thread.
 *
 * An input x[q] has its gradient from the same output gradients whose products with x[q] are its share of dW: each is
 * loaded once for both, once for all points and taps that use it when the taps are 3x3 neighbours. The norm before is
 * applied as x is read, and the sums that it needs are taken while dx is in registers. So x, dx and g go through the
 * processor once.
 */
#include "kernels/depthwise.h"
#include "kernels/act.h"
#include "kernels/lines.h"
#include "kernels/norm.h"

/* Points that are done together: their inputs and sums, three weights and three sums of dW stay in registers. */
#if VBYTES == 64 || defined __aarch64__
enum { POINTS = 8, SMALL = 3 };
#else
enum { POINTS = 4, SMALL = 3 };
#endif

/* What is known when compiled: whether dx, dW, or both are wanted, and whether taps are 3x3 neighbours. */
struct kind {
	bool dx, dw, small;
};

VEC_INLINE void activate(const enum bp_act act, const int n, vec *x)
{
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		x[i] = vec_act(x[i], act);
}

/* The points' inputs, a vector of channels from j, the norm before applied. */
VEC_INLINE void inputs(const struct bp_depthwise_backward *d, size_t p, const int n, size_t j, const int left, vec *x)
{
	const bp_real *at = d->x + p * d->step + j;
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		x[i] = vec_load_part(at + i * d->step, left);
	if (!d->norm)
		return;
	const vec mean = vec_load_part(d->norm->mean + j, left), scale = vec_load_part(d->norm->scale + j, left),
		  shift = vec_load_part(d->norm->shift + j, left);
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		x[i] = (x[i] - mean) * scale + shift;
	BY_ACT(d->norm->act, activate, n, x);
}

/* Tap by tap: s += g w, dW += g x. */
VEC_INLINE void each_tap(const struct bp_depthwise_backward *d, size_t p, const int n, size_t j, const int left,
	const struct kind kind, const vec *x, vec *s)
{
	for (int a = 0; a < d->kh; a++) {
		const bp_real *g = d->g + (ptrdiff_t)a * d->g_line + (ptrdiff_t)(p * d->channels + j);
		ptrdiff_t at = a * d->w_line + (ptrdiff_t)j;
		for (int b = 0; b < d->kw; b++, g += d->g_tap, at += d->w_tap) {
			const vec w = kind.dx ? vec_load_part(d->w + at, left) : vec_zero();
			vec t = kind.dw ? vec_load_part(d->dw + at, left) : vec_zero();
#pragma GCC unroll 8
			for (int i = 0; i < n; i++) {
				vec v = vec_load_part(g + (size_t)i * d->channels, left);
				if (kind.dx)
					s[i] += v * w;
				if (kind.dw)
					t += v * x[i];
			}
			if (kind.dw)
				vec_store_part(d->dw + at, t, left);
		}
	}
}

/* The same for 3x3 neighbours, output gradient by output gradient. */
VEC_INLINE void each_gradient(const struct bp_depthwise_backward *d, size_t p, const int n, size_t j, const int left,
	const struct kind kind, const vec *x, vec *s)
{
	const bp_real *line = d->g + p * d->channels + j;
	ptrdiff_t row = (ptrdiff_t)j;
#pragma GCC unroll 3
	for (int a = 0; a < SMALL; a++, line = walk(line, d->g_line), row += d->w_line) {
		const bp_real *g = line;
		vec w[SMALL], t[SMALL];
#pragma GCC unroll 3
		for (int b = 0; b < SMALL; b++) {
			w[b] = kind.dx ? vec_load_part(d->w + row + b * d->w_tap, left) : vec_zero();
			t[b] = kind.dw ? vec_load_part(d->dw + row + b * d->w_tap, left) : vec_zero();
		}
#pragma GCC unroll 10
		for (int q = 0; q < n + SMALL - 1; q++, g = walk(g, d->g_tap)) {
			vec v = vec_load_part(g, left);
#pragma GCC unroll 3
			for (int b = 0; b < SMALL; b++)
				if (q >= b && q - b < n) {
					if (kind.dx)
						s[q - b] += v * w[b];
					if (kind.dw)
						t[b] += v * x[q - b];
				}
		}
#pragma GCC unroll 3
		for (int b = 0; b < SMALL; b++)
			if (kind.dw)
				vec_store_part(d->dw + row + b * d->w_tap, t[b], left);
	}
}

VEC_INLINE void add_to(bp_real *p, vec v, const int left)
{
	vec_store_part(p, vec_load_part(p, left) + v, left);
}

/* The sums that the norm before needs: of dx through its activation, and of that times the deviation. x is what the
 * activation gave. */
VEC_INLINE void norm_sums(const enum bp_act act, const struct bp_depthwise_backward *d, size_t p, const int n, size_t j,
	const int left, const vec *x, const vec *s)
{
	const bool by_input = slope_by_input(act);
	const bp_real *at = d->x + p * d->step + j;
	const vec mean = vec_load_part(d->norm->mean + j, left);
	const vec scale = by_input ? vec_load_part(d->norm->scale + j, left) : vec_zero();
	const vec shift = by_input ? vec_load_part(d->norm->shift + j, left) : vec_zero();
	vec sum = vec_zero(), dot = vec_zero();
#pragma GCC unroll 8
	for (int i = 0; i < n; i++) {
		const vec deviation = vec_load_part(at + i * d->step, left) - mean;
		const vec g = vec_act_grad(by_input ? deviation * scale + shift : x[i], s[i], act);
		sum += g;
		dot += g * deviation;
	}
	add_to(d->sum + j, sum, left);
	add_to(d->dot + j, dot, left);
}

VEC_INLINE void strip(
	const struct bp_depthwise_backward *d, size_t p, const int n, size_t j, const int left, const struct kind kind)
{
	vec x[POINTS], s[POINTS];
	bp_real *dx = kind.dx ? d->dx + p * d->step + j : NULL;
	if (kind.dw)
		inputs(d, p, n, j, left, x);
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		s[i] = kind.dx && d->acc ? vec_load_part(dx + i * d->step, left) : vec_zero();
	if (kind.small)
		each_gradient(d, p, n, j, left, kind, x, s);
	else
		each_tap(d, p, n, j, left, kind, x, s);
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
		if (kind.dx)
			vec_store_part(dx + i * d->step, s[i], left);
	if (kind.dx && kind.dw && d->sum)
		BY_ACT(d->norm->act, norm_sums, d, p, n, j, left, x, s);
	ask_lines(d->ahead, p, n, d->channels, j);
}

VEC_INLINE void points(const struct bp_depthwise_backward *d, size_t p, const int n, const struct kind kind)
{
	size_t j = 0;
	for (; j + VLEN <= d->channels; j += VLEN)
		strip(d, p, n, j, VLEN, kind);
	if (j < d->channels)
		strip(d, p, n, j, (int)(d->channels - j), kind);
}

VEC_INLINE void line(const struct bp_depthwise_backward *d, const struct kind kind)
{
	size_t p = 0;
	for (; p + POINTS <= d->points; p += POINTS)
		points(d, p, POINTS, kind);
#if VBYTES == 64 || defined __aarch64__
	if (d->points - p >= 4) {
		points(d, p, 4, kind);
		p += 4;
	}
#endif
	for (; p < d->points; p++)
		points(d, p, 1, kind);
}

void KERNEL_NAME(depthwise_backward)(const struct bp_depthwise_backward *args)
{
	const struct bp_depthwise_backward copy = *args, *d = &copy; /* ours: stores cannot change it */
	const bool neighbours = d->kh == SMALL && d->kw == SMALL && d->g_tap == (ptrdiff_t)d->channels;
	if (!d->dw)
		line(d, (struct kind){.dx = true});
	else if (!d->dx)
		line(d, (struct kind){.dw = true});
	else if (neighbours)
		line(d, (struct kind){true, true, true});
	else
		line(d, (struct kind){true, true, false});
}
