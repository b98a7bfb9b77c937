/*
 * pool.c - maximum and average pooling (pool.h), by rows, over all channels of a pixel at once. Called by core/layers,
 * on any thread.
 */
#include "kernels/pool.h"

#include "kernels/vec.h"

#include <math.h>

typedef uint16_t taps_memory __attribute__((vector_size(2 * VLEN), aligned(2), may_alias));

VEC_INLINE void store_taps(uint16_t *p, vint tap, int n)
{
	if (n == VLEN)
		*(taps_memory *)p = __builtin_convertvector(tap, taps_memory);
	else
		for (int i = 0; i < n; i++)
			p[i] = (uint16_t)tap[i];
}

VEC_INLINE vint load_taps(const uint16_t *p, int n)
{
	if (n == VLEN)
		return __builtin_convertvector(*(const taps_memory *)p, vint);
	vint t = vint_splat(0);
	for (int i = 0; i < n; i++)
		t[i] = p[i];
	return t;
}

/* For each vector of channels: j its first, n its channels. */
#define EACH_CHANNELS(c) for (int j = 0, n; j < (c) && (n = (c)-j < VLEN ? (c)-j : VLEN); j += n)

/* The first maximum of a window, or its last NaN, which PyTorch takes as larger than anything. */
VEC_INLINE vec window_max(const struct bp_pool *p, int oy, int ox, const bp_real *x, int n, vint *ret_tap)
{
	const size_t row = (size_t)p->h.in * (size_t)p->c;
	vec best = vec_splat((bp_real)-INFINITY);
	vint at = vint_splat(BP_POOL_NO_TAP);
	for (int ky = 0; ky < p->v.taps[oy]; ky++) {
		const bp_real *in = x + (size_t)(p->v.first[oy] + ky * p->v.step) * row;
		int tap = (p->v.tap0[oy] + ky) * p->h.kernel + p->h.tap0[ox];
		for (int kx = 0; kx < p->h.taps[ox]; kx++) {
			vec v = vec_load_part(in + (size_t)(p->h.first[ox] + kx * p->h.step) * (size_t)p->c, n);
			vint better = (v > best) | (v != v) | (at == vint_splat(BP_POOL_NO_TAP));
			best = vec_select(better, v, best);
			at = (better & vint_splat(tap + kx)) | (~better & at);
		}
	}
	*ret_tap = at;
	return best;
}

void KERNEL_NAME(max_pool)(const struct bp_pool *p, int row, const bp_real *x, bp_real *y, uint16_t *ret_tap)
{
	for (int ox = 0; ox < p->h.out_count; ox++, y += p->c) {
		EACH_CHANNELS(p->c)
		{
			vint tap;
			vec_store_part(y + j, window_max(p, row, ox, x + j, n, &tap), n);
			if (ret_tap)
				store_taps(ret_tap + (size_t)ox * (size_t)p->c + j, tap, n);
		}
	}
}

/* One output's dy to the pixel that is its place `mine`, where that was the maximum. acc: dx +=. */
VEC_INLINE void send_back(int c, const bp_real *dy, const uint16_t *tap, int mine, bool acc, bp_real *dx)
{
	EACH_CHANNELS(c)
	{
		vec d = vec_keep(load_taps(tap + j, n) == vint_splat(mine), vec_load_part(dy + j, n));
		vec_store_part(dx + j, acc ? vec_load_part(dx + j, n) + d : d, n);
	}
}

void KERNEL_NAME(max_pool_grad)(
	const struct bp_pool *p, int row, const bp_real *dy, const uint16_t *tap, bool acc, bp_real *dx)
{
	const struct bp_pool_axis *v = &p->v, *h = &p->h;
	for (int ix = 0; ix < h->in; ix++, dx += p->c) {
		bool more = acc;
		for (int a = v->back[row]; a < v->back[row + 1]; a++) {
			for (int b = h->back[ix]; b < h->back[ix + 1]; b++) {
				size_t o = (size_t)v->back_out[a] * (size_t)h->out_count + (size_t)h->back_out[b];
				size_t at = o * (size_t)p->c;
				int mine = v->back_tap[a] * h->kernel + h->back_tap[b];
				if (more)
					send_back(p->c, dy + at, tap + at, mine, true, dx);
				else
					send_back(p->c, dy + at, tap + at, mine, false, dx);
				more = true;
			}
		}
		for (int j = 0; j < p->c && !more; j++)
			dx[j] = 0;
	}
}

void KERNEL_NAME(avg_pool)(const struct bp_pool *p, int row, const bp_real *x, bp_real *y)
{
	const struct bp_pool_axis *v = &p->v, *h = &p->h;
	const size_t line = (size_t)h->in * (size_t)p->c;
	for (int ox = 0; ox < h->out_count; ox++, y += p->c) {
		const bp_real *corner = x + (size_t)v->first[row] * line + (size_t)h->first[ox] * (size_t)p->c;
		vec count = vec_splat((bp_real)v->span[row] * (bp_real)h->span[ox]);
		EACH_CHANNELS(p->c)
		{
			vec s = vec_zero();
			for (int ky = 0; ky < v->taps[row]; ky++)
				for (int kx = 0; kx < h->taps[ox]; kx++)
					s += vec_load_part(
						corner + (size_t)ky * line + (size_t)kx * (size_t)p->c + j, n);
			vec_store_part(y + j, s / count, n);
		}
	}
}

void KERNEL_NAME(avg_pool_grad)(const struct bp_pool *p, int row, const bp_real *dy, bool acc, bp_real *dx)
{
	const struct bp_pool_axis *v = &p->v, *h = &p->h;
	for (int ix = 0; ix < h->in; ix++, dx += p->c) {
		EACH_CHANNELS(p->c)
		{
			vec d = acc ? vec_load_part(dx + j, n) : vec_zero();
			for (int a = v->back[row]; a < v->back[row + 1]; a++) {
				for (int b = h->back[ix]; b < h->back[ix + 1]; b++) {
					int oy = v->back_out[a], ox = h->back_out[b];
					vec share = vec_splat(1 / ((bp_real)v->span[oy] * (bp_real)h->span[ox]));
					size_t o = (size_t)oy * (size_t)h->out_count + (size_t)ox;
					d += vec_load_part(dy + o * (size_t)p->c + j, n) * share;
				}
			}
			vec_store_part(dx + j, d, n);
		}
	}
}
