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

/* Adds to s. Twelve row pointers, the place in K and that in B leave no register free: where ldb is no constant, or the
 * compiler derives the place from another, it keeps some of them on the stack and loads them each time. Without that,
 * 12 rows of 16 columns go from 145 to 160 GFLOP/s, of 32 from 175 to 187. */
VEC_INLINE void sum(const struct bp_igemm *p, const int rows, const int nv, const size_t ldb, vec (*s)[WIDE_VECS])
{
	/* A tall tile has no register left for it, narrower vectors have half the multiply-adds. */
	const bool asks = VBYTES == 64 && nv > TALL_VECS;
	const char *ahead = p->ahead ? p->ahead : (const char *)p->b;
	const size_t ahead_step = p->ahead ? BP_IGEMM_AHEAD : 0;
	const bp_real *b = p->b;
	const ptrdiff_t kc = (ptrdiff_t)p->kc;
	for (size_t t = 0; t < p->taps; t++) {
		const bp_real *a[TALL_ROWS];
#pragma GCC unroll 16
		for (int i = 0; i < rows; i++) {
			a[i] = p->a[t * p->a_stride + i] + p->k0 + kc;
			OWN_REGISTER(a[i]);
		}
		for (ptrdiff_t k = -kc; k != 0; k++) {
			OWN_REGISTER(k);
			if (asks) {
				__builtin_prefetch(ahead, 0, 2);
				ahead += ahead_step;
			}
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
}

VEC_INLINE void tile(const struct bp_igemm *p, const int rows, const int nv)
{
	vec s[TALL_ROWS][WIDE_VECS];
	EACH_VECTOR(rows, nv)
	{
		s[i][j] = vec_zero();
	}
	const size_t packed = (size_t)(nv * VLEN);
	if (p->ldb == packed)
		sum(p, rows, nv, packed, s);
	else
		sum(p, rows, nv, p->ldb, s);
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
