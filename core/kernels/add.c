/* add.c - sums and products of arrays, and transposition of small maps. Called by core/layers, on any thread. */
#include "kernels/quad.h"

VEC_INLINE void sum_at(size_t i, int n, int k, const bp_real *const *x, bool relu, bp_real *y)
{
	vec s = vec_load_part(x[0] + i, n);
	for (int j = 1; j < k; j++)
		s += vec_load_part(x[j] + i, n);
	vec_store_part(y + i, relu ? vec_relu(s) : s, n);
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
	vec s = vec_load_part(x[0] + i, n);
	for (int j = 1; j < k; j++)
		s *= vec_load_part(x[j] + i, n);
	vec_store_part(y + i, acc ? vec_load_part(y + i, n) + s : s, n);
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

/* A part of two maps: lines of x are ldx apart, those of y ldy. */
struct tile {
	const bp_real *x;
	bp_real *y;
	size_t ldx, ldy;
};

VEC_INLINE void turn_tile(const struct tile *t, size_t rows, size_t cols, bool acc)
{
	const bp_real *x = t->x;
	bp_real *y = t->y;
	const size_t ldx = t->ldx, ldy = t->ldy;
	const size_t whole_rows = rows & ~(size_t)3, whole_cols = cols & ~(size_t)3;
	for (size_t c = 0; c < whole_cols; c += 4)
		for (size_t r = 0; r < whole_rows; r += 4)
			turn_quad(x + r * ldx + c, ldx, acc, y + c * ldy + r, ldy);
	for (size_t c = whole_cols; c < cols; c++)
		for (size_t r = 0; r < whole_rows; r += 4) { /* a layer of few outputs has no time for single ones */
			const bp_real *at = x + r * ldx + c;
			quad v = {at[0], at[ldx], at[2 * ldx], at[3 * ldx]};
			quad_memory *to = (quad_memory *)(y + c * ldy + r);
			if (acc)
				v += *to;
			*to = v;
		}
	for (size_t r = whole_rows; r < rows; r++)
		for (size_t c = 0; c < cols; c++)
			y[c * ldy + r] = x[r * ldx + c] + (acc ? y[c * ldy + r] : 0);
}

/* Square tiles, so that lines of both arrays are used whole while they are in the first-level cache. */
enum { TILE = 16 };

VEC_INLINE void transpose(size_t rows, size_t cols, const bp_real *x, bool acc, bp_real *y)
{
	for (size_t r = 0; r < rows; r += TILE)
		for (size_t c = 0; c < cols; c += TILE) {
			const size_t high = rows - r < TILE ? rows - r : TILE, wide = cols - c < TILE ? cols - c : TILE;
			const struct tile t = {x + r * cols + c, y + c * rows + r, cols, rows};
			turn_tile(&t, high, wide, acc);
		}
}

void KERNEL_NAME(transpose)(size_t rows, size_t cols, const bp_real *x, bool acc, bp_real *y)
{
	if (acc)
		transpose(rows, cols, x, true, y);
	else
		transpose(rows, cols, x, false, y);
}
