/*
 * igemm.c - the indirect GEMM's register tile (igemm.h). Called by the drivers in core/conv, on any thread.
 *
 * rows x nv accumulators stay in registers while the sum runs over taps and channels: each step broadcasts one element
 * of each row and multiplies it with nv vectors of B. Rows come through pointers, so that a convolution's input is
 * never copied (the idea of Dukhan, "The Indirect Convolution Algorithm", 2019). Each height of the tile is a function
 * of its own, because only then do the accumulators have names that the compiler can give to registers.
 */
#include "kernels/igemm.h"
#include "kernels/vec.h"

/* Every accumulator s[i][j]; unrolled, so that each index is a constant. */
#define EACH_VECTOR(rows, nv)                                                                                          \
	_Pragma("GCC unroll 16") for (int i = 0; i < (rows); i++) _Pragma("GCC unroll 4") for (int j = 0; j < (nv); j++)

/* Adds what C holds and the bias, applies ReLU, and stores. Only the last vector of a row can be partial. */
VEC_INLINE void finish(const struct bp_igemm *p, const int rows, const int nv, const bool full, vec (*s)[WIDE_VECS])
{
	const int left = full ? VLEN : p->cols - (nv - 1) * VLEN;
	bp_real *c[TALL_ROWS];
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
		c[i] = p->c[i] + p->col;
	if (p->acc) {
		EACH_VECTOR(rows, nv)
		{
			s[i][j] += vec_load_part(c[i] + j * VLEN, j == nv - 1 ? left : VLEN);
		}
	}
	if (p->bias) {
		vec bias[WIDE_VECS];
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			bias[j] = vec_load_part(p->bias + j * VLEN, j == nv - 1 ? left : VLEN);
		EACH_VECTOR(rows, nv)
		{
			s[i][j] += bias[j];
		}
	}
	if (p->relu) {
		EACH_VECTOR(rows, nv)
		{
			s[i][j] = vec_relu(s[i][j]);
		}
	}
	EACH_VECTOR(rows, nv)
	{
		if (full || j < nv - 1)
			vec_store(c[i] + j * VLEN, s[i][j]);
		else
			vec_store_n(c[i] + j * VLEN, s[i][j], left);
	}
}

VEC_INLINE void tile(const struct bp_igemm *p, const int rows, const int nv)
{
	vec s[TALL_ROWS][WIDE_VECS];
	EACH_VECTOR(rows, nv)
	{
		s[i][j] = vec_zero();
	}
	const bp_real *b = p->b;
	const size_t ldb = p->ldb, kc = p->kc;
	for (size_t t = 0; t < p->taps; t++) {
		const bp_real *a[TALL_ROWS];
#pragma GCC unroll 16
		for (int i = 0; i < rows; i++)
			a[i] = p->a[t * p->a_stride + i] + p->k0;
		for (size_t k = 0; k < kc; k++) {
			vec w[WIDE_VECS];
#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				w[j] = vec_load(b + j * VLEN);
			b += ldb;
#pragma GCC unroll 16
			for (int i = 0; i < rows; i++) {
				vec x = vec_splat(a[i][k]);
#pragma GCC unroll 4
				for (int j = 0; j < nv; j++)
					s[i][j] += x * w[j];
			}
		}
	}
	if (p->cols == nv * VLEN)
		finish(p, rows, nv, true, s);
	else
		finish(p, rows, nv, false, s);
}

#define TILE(r, v)                                                                                                     \
	static void tile_##r##x##v(const struct bp_igemm *p)                                                           \
	{                                                                                                              \
		tile(p, r, v);                                                                                         \
	}
TILES(TILE)

void KERNEL_NAME(igemm)(const struct bp_igemm *p)
{
#define ENTRY(r, v) [r - 1][v - 1] = tile_##r##x##v,
	static void (*const tiles[TALL_ROWS][WIDE_VECS])(const struct bp_igemm *) = {TILES(ENTRY)};
	tiles[p->rows - 1][(p->cols - 1) / VLEN](p);
}
