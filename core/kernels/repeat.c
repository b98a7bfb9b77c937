/*
 * repeat.c - lines of a convolution with a channel multiplier: each channel of its input as often as it has outputs,
 * and the sum of those. Called by the depthwise driver, on any thread.
 */
#include "kernels/lanes.h"

/* As many whole vectors of x as there are, doubling: m is 2, 4 or 8, known when compiled. Returns how many elements. */
VEC_INLINE size_t repeat_vectors(size_t n, const int m, const bp_real *x, bp_real *y)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN) {
		vec v[8] = {vec_load(x + i)};
#pragma GCC unroll 3
		for (int have = 1; have < m; have *= 2)
#pragma GCC unroll 4
			for (int k = have - 1; k >= 0; k--) {
				const vec twice = v[k];
				v[2 * k] = vec_twice_low(twice);
				v[2 * k + 1] = vec_twice_high(twice);
			}
#pragma GCC unroll 8
		for (int k = 0; k < m; k++)
			vec_store(y + i * (size_t)m + k * VLEN, v[k]);
	}
	return i;
}

void KERNEL_NAME(repeat)(size_t n, size_t m, const bp_real *x, bp_real *y)
{
	size_t i = 0;
	if (m == 2)
		i = repeat_vectors(n, 2, x, y);
	else if (m == 4)
		i = repeat_vectors(n, 4, x, y);
	else if (m == 8)
		i = repeat_vectors(n, 8, x, y);
	for (; i < n; i++)
		for (size_t k = 0; k < m; k++)
			y[i * m + k] = x[i];
}

/* A vector of sums of m elements, halving: 2, 4 or 8, known when compiled. */
VEC_INLINE vec fold_vector(const bp_real *x, const int m)
{
	vec v[8];
#pragma GCC unroll 8
	for (int k = 0; k < m; k++)
		v[k] = vec_load(x + k * VLEN);
#pragma GCC unroll 3
	for (int half = m / 2; half; half /= 2)
#pragma GCC unroll 4
		for (int k = 0; k < half; k++)
			v[k] = vec_evens(v[2 * k], v[2 * k + 1]) + vec_odds(v[2 * k], v[2 * k + 1]);
	return v[0];
}

/* As many whole vectors as there are; returns how many elements of y. */
VEC_INLINE size_t fold_vectors(size_t n, const int m, const bp_real *x, bool acc, bp_real *y)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN) {
		const vec v = fold_vector(x + i * (size_t)m, m);
		vec_store(y + i, acc ? vec_load(y + i) + v : v);
	}
	return i;
}

void KERNEL_NAME(fold)(size_t n, size_t m, const bp_real *x, bool acc, bp_real *y)
{
	size_t i = 0;
	if (m == 2)
		i = fold_vectors(n, 2, x, acc, y);
	else if (m == 4)
		i = fold_vectors(n, 4, x, acc, y);
	else if (m == 8)
		i = fold_vectors(n, 8, x, acc, y);
	for (; i < n; i++) {
		bp_real sum = acc ? y[i] : 0;
		for (size_t k = 0; k < m; k++)
			sum += x[i * m + k];
		y[i] = sum;
	}
}
