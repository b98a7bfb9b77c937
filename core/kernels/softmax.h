/*
 * softmax.h - the largest value of a row and the sum of its exponentials, for kernels.
 *
 * The largest value is taken off first, so that nothing overflows and the sum is at least 1. A NaN anywhere makes the
 * sum NaN: were it lost in the maximum, the sum would have it still.
 */
#ifndef BP_SOFTMAX_H
#define BP_SOFTMAX_H

#include "kernels/exp.h"
#include "kernels/lanes.h"

/* The vector at x + i of a row of n, and in ret_count its lanes. */
VEC_INLINE vec row_load(const bp_real *x, int64_t n, int64_t i, int *ret_count)
{
	*ret_count = n - i < VLEN ? (int)(n - i) : VLEN;
	return vec_load_part(x + i, *ret_count);
}

VEC_INLINE bp_real row_largest(const bp_real *x, int64_t n)
{
	vec max = vec_splat(x[0]);
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = row_load(x, n, i, &count);
		max = vec_max(max, vec_select(vec_first(count), v, vec_splat(x[0])));
	}
	return vec_largest(max);
}

/* The sum of exp(x - max), and each of them into ret_exp unless it is NULL. Strips of vectors are summed in bp_real
 * before they go into the double. */
VEC_INLINE double row_sum_exp(int64_t n, const bp_real *x, bp_real max, bp_real *ret_exp)
{
	enum { STRIP = 16 };
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count;
			vec e = vec_exp_or_0(row_load(x, n, i, &count) - vec_splat(max));
			if (ret_exp)
				vec_store_part(ret_exp + i, e, count);
			strip += vec_keep(vec_first(count), e);
		}
		sum += (double)vec_sum(strip);
	}
	return sum;
}

#endif
