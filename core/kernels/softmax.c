/*
 * softmax.c - softmax of a row, its logarithm, and their gradients. Called by layers/softmax.c, inside its parallel
 * loops. A NaN anywhere makes all of the row NaN, as in PyTorch.
 */
#include "kernels/softmax.h"

#include <math.h>

enum { STRIP = 16 }; /* vectors summed in bp_real before they go into the double */

/* The sum of x, or of x * y unless y is NULL. */
VEC_INLINE double sum_products(int64_t n, const bp_real *x, const bp_real *y)
{
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count;
			vec v = row_load(x, n, i, &count);
			strip += y ? v * row_load(y, n, i, &count) : v;
		}
		sum += (double)vec_sum(strip);
	}
	return sum;
}

void KERNEL_NAME(softmax)(int64_t n, bool log_of, const bp_real *x, bp_real *y)
{
	bp_real max = row_largest(x, n);
	double sum = row_sum_exp(n, x, max, log_of ? NULL : y);
	vec top = vec_splat(max), by = vec_splat((bp_real)(log_of ? log(sum) : 1 / sum));
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = row_load(log_of ? x : y, n, i, &count);
		vec_store_part(y + i, log_of ? (v - top) - by : v * by, count);
	}
}

void KERNEL_NAME(softmax_grad)(int64_t n, bool log_of, const bp_real *y, const bp_real *dy, bool acc, bp_real *dx)
{
	vec sum = vec_splat((bp_real)sum_products(n, dy, log_of ? NULL : y));
	int count;
	for (int64_t i = 0; i < n; i += VLEN) {
		vec v = row_load(y, n, i, &count), d = row_load(dy, n, i, &count);
		vec g = log_of ? d - vec_exp_or_0(v) * sum : v * (d - sum);
		vec_store_part(dx + i, acc ? row_load(dx, n, i, &count) + g : g, count);
	}
}
