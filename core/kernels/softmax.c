/*
 * softmax.c - the exponentials of a row and their sum, and the functions made of them. Called by losses/cross_entropy.c
 * and layers/softmax.c, inside their parallel loops.
 *
 * The largest value of the row is taken off first, so that nothing overflows and the sum is at least 1. A NaN anywhere
 * makes all of the row NaN, as in PyTorch: were it lost in the maximum, the sum would have it still.
 */
#include "kernels/exp.h"

#include <math.h>

enum { STRIP = 16 }; /* vectors summed in bp_real before they go into the double */

/* The vector at x + i of a row of n, and in ret_count its lanes. */
VEC_INLINE vec load_at(const bp_real *x, int64_t n, int64_t i, int *ret_count)
{
	*ret_count = n - i < VLEN ? (int)(n - i) : VLEN;
	return vec_load_part(x + i, *ret_count);
}

VEC_INLINE bp_real largest(const bp_real *x, int64_t n)
{
	vec max = vec_splat(x[0]);
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = load_at(x, n, i, &count);
		max = vec_max(max, vec_select(vec_first(count), v, vec_splat(x[0])));
	}
	return vec_largest(max);
}

/* The sum of exp(x - max), and each of them into ret_exp unless it is NULL. */
VEC_INLINE double sum_exp(int64_t n, const bp_real *x, bp_real max, bp_real *ret_exp)
{
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count;
			vec e = vec_exp_or_0(load_at(x, n, i, &count) - vec_splat(max));
			if (ret_exp)
				vec_store_part(ret_exp + i, e, count);
			strip += vec_keep(vec_first(count), e);
		}
		sum += (double)vec_sum(strip);
	}
	return sum;
}

/* The sum of x, or of x * y unless y is NULL. */
VEC_INLINE double sum_products(int64_t n, const bp_real *x, const bp_real *y)
{
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count;
			vec v = load_at(x, n, i, &count);
			strip += y ? v * load_at(y, n, i, &count) : v;
		}
		sum += (double)vec_sum(strip);
	}
	return sum;
}

bp_real KERNEL_NAME(softmax_sum)(const bp_real *x, int64_t n, bp_real *ret_exp, double *ret_sum)
{
	bp_real max = largest(x, n);
	*ret_sum = sum_exp(n, x, max, ret_exp);
	return max;
}

void KERNEL_NAME(softmax)(int64_t n, bool log_of, const bp_real *x, bp_real *y)
{
	bp_real max = largest(x, n);
	double sum = sum_exp(n, x, max, log_of ? NULL : y);
	vec top = vec_splat(max), by = vec_splat((bp_real)(log_of ? log(sum) : 1 / sum));
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = load_at(log_of ? x : y, n, i, &count);
		vec_store_part(y + i, log_of ? (v - top) - by : v * by, count);
	}
}

void KERNEL_NAME(softmax_grad)(int64_t n, bool log_of, const bp_real *y, const bp_real *dy, bool acc, bp_real *dx)
{
	vec sum = vec_splat((bp_real)sum_products(n, dy, log_of ? NULL : y));
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = load_at(y, n, i, &count), d = load_at(dy, n, i, &count);
		vec g = log_of ? d - vec_exp_or_0(v) * sum : v * (d - sum);
		vec_store_part(dx + i, acc ? load_at(dx, n, i, &count) + g : g, count);
	}
}
