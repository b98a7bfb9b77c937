/* add.c - sums and products of arrays, and transposition of small maps. Called by core/layers, on any thread. */
#include "kernels/vec.h"

VEC_INLINE vec load(const bp_real *p, int n)
{
	return n == VLEN ? vec_load(p) : vec_load_n(p, n);
}

VEC_INLINE void store(bp_real *p, vec v, int n)
{
	if (n == VLEN)
		vec_store(p, v);
	else
		vec_store_n(p, v, n);
}

VEC_INLINE void sum_at(size_t i, int n, int k, const bp_real *const *x, bool relu, bp_real *y)
{
	vec s = load(x[0] + i, n);
	for (int j = 1; j < k; j++)
		s += load(x[j] + i, n);
	store(y + i, relu ? vec_relu(s) : s, n);
}

VEC_INLINE void sum_all(size_t n, int k, const bp_real *const *x, bool relu, bp_real *y)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN)
		sum_at(i, VLEN, k, x, relu, y);
	if (i < n)
		sum_at(i, (int)(n - i), k, x, relu, y);
}

void KERNEL_NAME(sum)(size_t n, int k, const bp_real *const *x, bool relu, bp_real *y)
{
	/* Two is nearly every call: then the pointers stay in registers. */
	if (k == 2)
		sum_all(n, 2, (const bp_real *const[]){x[0], x[1]}, relu, y);
	else
		sum_all(n, k, x, relu, y);
}

VEC_INLINE void product_at(size_t i, int n, int k, const bp_real *const *x, bool acc, bp_real *y)
{
	vec s = load(x[0] + i, n);
	for (int j = 1; j < k; j++)
		s *= load(x[j] + i, n);
	store(y + i, acc ? load(y + i, n) + s : s, n);
}

VEC_INLINE void product_all(size_t n, int k, const bp_real *const *x, bool acc, bp_real *y)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN)
		product_at(i, VLEN, k, x, acc, y);
	if (i < n)
		product_at(i, (int)(n - i), k, x, acc, y);
}

void KERNEL_NAME(product)(size_t n, int k, const bp_real *const *x, bool acc, bp_real *y)
{
	if (k == 2)
		product_all(n, 2, (const bp_real *const[]){x[0], x[1]}, acc, y);
	else
		product_all(n, k, x, acc, y);
}

/* Square tiles, so that lines of both arrays are used whole while they are in the first-level cache. */
enum { TILE = 16 };

void KERNEL_NAME(transpose)(size_t rows, size_t cols, const bp_real *x, bool acc, bp_real *y)
{
	for (size_t r0 = 0; r0 < rows; r0 += TILE) {
		size_t r1 = rows - r0 < TILE ? rows : r0 + TILE;
		for (size_t c0 = 0; c0 < cols; c0 += TILE) {
			size_t c1 = cols - c0 < TILE ? cols : c0 + TILE;
			for (size_t c = c0; c < c1; c++)
				for (size_t r = r0; r < r1; r++)
					y[c * rows + r] = x[r * cols + c] + (acc ? y[c * rows + r] : 0);
		}
	}
}
