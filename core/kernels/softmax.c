/* softmax.c - the exponentials of a row and their sum. Called by losses/cross_entropy.c inside its parallel loop. */
#include "kernels/vec.h"

#include <math.h>

enum { STRIP = 16 }; /* vectors summed in bp_real before they go into the double */

#ifdef BP_DOUBLE
VEC_INLINE vec vec_exp(vec x)
{
	for (int i = 0; i < VLEN; i++)
		x[i] = exp(x[i]);
	return x;
}
#else
/*
 * exp(x) for x <= 0: 2^k * exp(r) with k = round(x / ln 2), |r| <= ln 2 / 2, exp(r) by its series up to r^7 / 7!, whose
 * rest is below 6e-9. Below -87 it stays at exp(-87) = 1.6e-38, which is nothing beside the row's largest, 1. A NaN
 * stays.
 */
VEC_INLINE vec vec_exp(vec x)
{
	const vec shift = vec_splat(12582912.0f); /* 1.5 * 2^23: leaves round(t) in the low bits of t + shift */
	x = vec_max(x, vec_splat(-87.0f));
	vec t = x * 1.44269504f + shift, k = t - shift;
	vec r = (x - k * 0.693359375f) + k * 2.12194440e-4f; /* ln 2 in two parts, the first short enough to be exact */
	vec p = vec_splat(1.0f / 5040);
	p = p * r + 1.0f / 720;
	p = p * r + 1.0f / 120;
	p = p * r + 1.0f / 24;
	p = p * r + 1.0f / 6;
	p = p * r + 0.5f;
	p = p * r + 1.0f;
	p = p * r + 1.0f;
	vec y = (vec)((vint)p + ((vint)t << 23));
	return vec_select(x == x, y, x);
}
#endif

bp_real KERNEL_NAME(softmax_sum)(const bp_real *x, int64_t n, bp_real *ret_exp, double *ret_sum)
{
	bp_real max = x[0];
	for (int64_t i = 1; i < n; i++)
		max = max < x[i] ? x[i] : max;
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count = n - i < VLEN ? (int)(n - i) : VLEN;
			vec e = vec_exp(vec_load_n(x + i, count) - max);
			if (ret_exp)
				vec_store_n(ret_exp + i, e, count);
			strip += vec_keep(vec_first(count), e);
		}
		sum += (double)vec_sum(strip);
	}
	*ret_sum = sum;
	return max;
}
