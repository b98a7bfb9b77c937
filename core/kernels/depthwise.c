/*
 * depthwise.c - depthwise convolutions, vectors along channels (depthwise.h). Called by the drivers in core/conv, on
 * any thread.
 *
 * There are two loads for each multiply-add and no reuse but of weights: what counts is to keep values in L1, and
 * weights in registers for more than one point.
 */
#include "kernels/depthwise.h"
#include "kernels/vec.h"

enum { STRIP = 4 /* vectors of channels that are handled together */ };

/* left: VLEN, known when compiled, or the rest of the channels. */
VEC_INLINE vec load(const bp_real *p, const int left)
{
	return left == VLEN ? vec_load(p) : vec_load_n(p, left);
}
VEC_INLINE void store(bp_real *p, vec v, const int left)
{
	if (left == VLEN)
		vec_store(p, v);
	else
		vec_store_n(p, v, left);
}

/* n points from p, nv vectors of channels from j. A partial vector (left < VLEN) comes alone. */
VEC_INLINE void strip(const struct bp_depthwise *d, size_t p, const int n, size_t j, const int nv, const int left)
{
	vec s[2][STRIP];
#pragma GCC unroll 2
	for (int i = 0; i < n; i++)
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++)
			s[i][v] = d->acc ? load(d->c[p + i] + j + v * VLEN, left) : vec_zero();
	for (size_t t = 0; t < d->taps; t++) {
		const bp_real *w = d->w[t] + j, *const *a = d->a + t * d->a_stride + p;
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++) {
			vec wv = load(w + v * VLEN, left);
#pragma GCC unroll 2
			for (int i = 0; i < n; i++)
				s[i][v] += load(a[i] + j + v * VLEN, left) * wv;
		}
	}
#pragma GCC unroll 2
	for (int i = 0; i < n; i++)
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++) {
			if (d->bias)
				s[i][v] += load(d->bias + j + v * VLEN, left);
			if (d->relu)
				s[i][v] = vec_relu(s[i][v]);
			store(d->c[p + i] + j + v * VLEN, s[i][v], left);
		}
}

/* All channels of n points: rows are read from end to end, as they lie in memory. */
VEC_INLINE void points(const struct bp_depthwise *d, size_t p, const int n)
{
	size_t j = 0;
	for (; j + STRIP * VLEN <= d->channels; j += STRIP * VLEN)
		strip(d, p, n, j, STRIP, VLEN);
	for (; j + VLEN <= d->channels; j += VLEN)
		strip(d, p, n, j, 1, VLEN);
	if (j < d->channels)
		strip(d, p, n, j, 1, (int)(d->channels - j));
}

void KERNEL_NAME(depthwise)(const struct bp_depthwise *d)
{
	size_t p = 0;
	for (; p + 2 <= d->points; p += 2)
		points(d, p, 2);
	if (p < d->points)
		points(d, p, 1);
}

/* One tap of nv vectors of channels from j. */
VEC_INLINE void tap_strip(const struct bp_depthwise_weights *d, size_t t, size_t j, const int nv, const int left)
{
	vec s[STRIP];
	bp_real *dw = d->dw + t * d->channels + j;
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++)
		s[v] = d->acc ? load(dw + v * VLEN, left) : vec_zero();
	for (const struct bp_run *r = d->runs + t * d->runs_stride, *end = r + d->nruns[t]; r < end; r++) {
		const bp_real *x = r->x + j, *dy = d->dy + r->first * d->dy_step + j;
		for (size_t q = r->count; q > 0; q--, x += d->x_step, dy += d->dy_step)
#pragma GCC unroll 4
			for (int v = 0; v < nv; v++)
				s[v] += load(x + v * VLEN, left) * load(dy + v * VLEN, left);
	}
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++)
		store(dw + v * VLEN, s[v], left);
}

VEC_INLINE void taps_strip(const struct bp_depthwise_weights *d, size_t j, const int nv, const int left)
{
	for (size_t t = 0; t < d->taps; t++)
		tap_strip(d, t, j, nv, left);
}

void KERNEL_NAME(depthwise_weights)(const struct bp_depthwise_weights *d)
{
	size_t j = 0;
	for (; j + STRIP * VLEN <= d->channels; j += STRIP * VLEN)
		taps_strip(d, j, STRIP, VLEN);
	for (; j + VLEN <= d->channels; j += VLEN)
		taps_strip(d, j, 1, VLEN);
	if (j < d->channels)
		taps_strip(d, j, 1, (int)(d->channels - j));
}
