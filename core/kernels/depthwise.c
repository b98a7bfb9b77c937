/*
 * depthwise.c - depthwise convolutions, a line of outputs at a time, vectors along channels (depthwise.h). Called by
 * the drivers in core/conv, on any thread.
 *
 * Four points are done together, all channels of them before the next four, so that memory is read from end to end.
 * For a 3x3 kernel whose taps are neighbours, an input is loaded once for all points and taps that use it: 18 loads of
 * inputs and 9 of weights stand against 36 multiply-adds, where tap by tap it would be 72 loads.
 */
#include "kernels/depthwise.h"
#include "kernels/lines.h"

enum { POINTS = 4, SMALL = 3 /* rows and columns of the kernel that has code of its own */ };

/* The sums of n points, a vector of channels from j, tap by tap. */
VEC_INLINE void each_tap(const struct bp_depthwise *d, size_t p, const int n, size_t j, const int left, vec *s)
{
	const struct bp_depthwise_line *l = &d->line;
	const bp_real *w = d->w + j;
	for (int a = 0; a < l->kh; a++) {
		const bp_real *x = l->x + a * l->line_step + p * l->step + j;
		for (int b = 0; b < l->kw; b++, x += l->tap_step, w += d->w_step) {
			vec wv = vec_load_part(w, left);
#pragma GCC unroll 4
			for (int i = 0; i < n; i++)
				s[i] += vec_load_part(x + i * l->step, left) * wv;
		}
	}
}

/* The same for a 3x3 kernel, input by input; the points are `stride` columns of X apart. */
VEC_INLINE void each_input(
	const struct bp_depthwise *d, size_t p, const int n, size_t j, const int left, const int stride, vec *s)
{
	const struct bp_depthwise_line *l = &d->line;
	const bp_real *w = d->w + j, *line = l->x + p * l->step + j;
#pragma GCC unroll 3
	for (int a = 0; a < SMALL; a++, line = walk(line, (ptrdiff_t)l->line_step)) {
		const bp_real *x = line;
		vec wv[SMALL];
#pragma GCC unroll 3
		for (int b = 0; b < SMALL; b++, w = walk(w, d->w_step))
			wv[b] = vec_load_part(w, left);
#pragma GCC unroll 9
		for (int q = 0; q < (n - 1) * stride + SMALL; q++, x = walk(x, (ptrdiff_t)l->tap_step)) {
			vec v = vec_load_part(x, left);
#pragma GCC unroll 4
			for (int i = 0; i < n; i++)
				if (q >= i * stride && q - i * stride < SMALL)
					s[i] += v * wv[q - i * stride];
		}
	}
}

/* stride: in columns, 1 or 2, where each_input serves; else 0. */
VEC_INLINE void strip(const struct bp_depthwise *d, size_t p, const int n, size_t j, const int left, const int stride)
{
	vec s[POINTS];
	bp_real *y = d->y + p * d->line.channels + j;
#pragma GCC unroll 4
	for (int i = 0; i < n; i++)
		s[i] = d->acc ? vec_load_part(y + i * d->line.channels, left) : vec_zero();
	if (stride)
		each_input(d, p, n, j, left, stride, s);
	else
		each_tap(d, p, n, j, left, s);
#pragma GCC unroll 4
	for (int i = 0; i < n; i++) {
		if (d->bias)
			s[i] += vec_load_part(d->bias + j, left);
		if (d->relu)
			s[i] = vec_relu(s[i]);
		vec_store_part(y + i * d->line.channels, s[i], left);
	}
	ask_lines(d->ahead, p, n, d->line.channels, j);
}

VEC_INLINE void points(const struct bp_depthwise *d, size_t p, const int n, const int stride)
{
	size_t j = 0;
	for (; j + VLEN <= d->line.channels; j += VLEN)
		strip(d, p, n, j, VLEN, stride);
	if (j < d->line.channels)
		strip(d, p, n, j, (int)(d->line.channels - j), stride);
}

/* Runs fn on four points, and on what is left of them; each as a loop of its own. */
#define EACH_POINTS(fn, d, stride)                                                                                     \
	do {                                                                                                           \
		size_t p = 0, n = (d)->line.points;                                                                    \
		for (; p + POINTS <= n; p += POINTS)                                                                   \
			fn(d, p, POINTS, stride);                                                                      \
		if (n - p >= 2) {                                                                                      \
			fn(d, p, 2, stride);                                                                           \
			p += 2;                                                                                        \
		}                                                                                                      \
		if (p < n)                                                                                             \
			fn(d, p, 1, stride);                                                                           \
	} while (0)

/* The stride in columns for which there is code of its own, or 0. */
static int known_stride(const struct bp_depthwise_line *l)
{
	if (l->kh != SMALL || l->kw != SMALL)
		return 0;
	return l->step == l->tap_step ? 1 : l->step == 2 * l->tap_step ? 2 : 0;
}

void KERNEL_NAME(depthwise)(const struct bp_depthwise *args)
{
	const struct bp_depthwise copy = *args, *d = &copy; /* ours: stores cannot change it */
	switch (known_stride(&d->line)) {
	case 1:
		EACH_POINTS(points, d, 1);
		break;
	case 2:
		EACH_POINTS(points, d, 2);
		break;
	default:
		EACH_POINTS(points, d, 0);
	}
}
