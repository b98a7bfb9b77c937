/*
 * patch.c - gathers the taps of maps with few channels, and packs weights, into the order in which the register tiles
 * read them. Called by the drivers in core/conv, on any thread.
 */
#include "kernels/patch.h"
#include "kernels/vec.h"

VEC_INLINE void copy_run(bp_real *dst, const bp_real *src, size_t run, bool whole_vectors)
{
	if (whole_vectors)
		for (size_t i = 0; i < run; i += VLEN)
			vec_store(dst + i, vec_load(src + i));
	else
		for (size_t i = 0; i < run; i++)
			dst[i] = src[i];
}

void KERNEL_NAME(patch)(const struct bp_patch *p)
{
	const size_t run = p->run;
	const ptrdiff_t wide = (ptrdiff_t)((run + VLEN - 1) / VLEN * VLEN);
	bp_real *dst = p->dst;
	for (int i = 0; i < p->count; i++)
		for (int l = 0; l < p->lines; l++, dst += run) {
			const bp_real *src = p->src[l] + (size_t)i * p->step[l];
			copy_run(dst, src, run, p->step[l] == 0 || p->end - src >= wide);
		}
}

/* dst[r][0..nr) = src[r][0..cols), then zeros; rows of src are ld elements apart. */
void KERNEL_NAME(pack)(bp_real *dst, const bp_real *src, size_t ld, size_t rows, int cols)
{
	if (cols == TILE_COLS) {
		for (size_t r = 0; r < rows; r++, src += ld, dst += TILE_COLS)
			for (int j = 0; j < TILE_COLS; j += VLEN)
				vec_store(dst + j, vec_load(src + j));
		return;
	}
	for (size_t r = 0; r < rows; r++, src += ld, dst += TILE_COLS)
		for (int j = 0; j < TILE_COLS; j += VLEN) {
			int left = cols - j;
			vec v = left >= VLEN ? vec_load(src + j) : vec_load_n(src + j, left > 0 ? left : 0);
			vec_store(dst + j, v);
		}
}

/* dst[r][c] = src[c][r] for c < cols, 0 for cols <= c < nr; rows of src are ld elements apart. */
void KERNEL_NAME(pack_transposed)(bp_real *dst, const bp_real *src, size_t ld, size_t rows, int cols)
{
	for (int c = 0; c < cols; c++)
		for (size_t r = 0; r < rows; r++)
			dst[r * TILE_COLS + c] = src[c * ld + r];
	if (cols == TILE_COLS)
		return;
	for (size_t r = 0; r < rows; r++)
		for (int c = cols; c < TILE_COLS; c++)
			dst[r * TILE_COLS + c] = 0;
}

/* dst[j] = (acc ? dst[j] : 0) + sum over r < rows of x[r * ld + j], j < n; each sum in the order of r. */
void KERNEL_NAME(column_sums)(size_t rows, size_t n, const bp_real *x, size_t ld, bool acc, bp_real *dst)
{
	size_t j = 0;
	for (; j + 4 * VLEN <= n; j += 4 * VLEN) {
		vec s[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
		for (size_t r = 0; r < rows; r++)
#pragma GCC unroll 4
			for (int v = 0; v < 4; v++)
				s[v] += vec_load(x + r * ld + j + v * VLEN);
#pragma GCC unroll 4
		for (int v = 0; v < 4; v++)
			vec_store(dst + j + v * VLEN, acc ? vec_load(dst + j + v * VLEN) + s[v] : s[v]);
	}
	for (; j < n; j += VLEN) {
		int left = n - j < (size_t)VLEN ? (int)(n - j) : VLEN;
		vec s = vec_zero();
		for (size_t r = 0; r < rows; r++)
			s += left == VLEN ? vec_load(x + r * ld + j) : vec_load_n(x + r * ld + j, left);
		if (acc)
			s += vec_load_n(dst + j, left);
		vec_store_n(dst + j, s, left);
	}
}
