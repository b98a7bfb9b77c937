/*
 * idot.c - the indirect GEMM's tile for products of few columns (igemm.h). Called by the drivers in core/conv, on any
 * thread.
 *
 * Lanes of igemm are columns: of a last layer's three, 13 of 16 would be at nothing. Here lanes are places in K, of
 * which there are always enough, and meet once, when the sum is done. Each step loads a vector of every row and one of
 * every column of B, and multiplies each with each. core/conv/side.c has what it brought.
 */
#include "kernels/igemm.h"
#include "kernels/lanes.h"

enum {
	SUMS = TALL_ROWS * TALL_VECS,
	MOST = (SUMS + VLEN - 1) / VLEN /* vectors that hold them when their lanes have met */
};

#define EACH_SUM(rows, cols)                                                                                           \
	_Pragma("GCC unroll 16") for (int i = 0; i < (rows); i++)                                                      \
		_Pragma("GCC unroll 4") for (int j = 0; j < (cols); j++)

/* Adds the products of one vector of K, of which n lanes count. Each is loaded once: the compiler would make it an
 * operand of all multiply-adds, and loads are what there is least of. */
VEC_INLINE void step(const bp_real *const *a, const bp_real *const *b, ptrdiff_t k, const int rows, const int cols,
	const int n, vec *s)
{
	vec w[BP_IDOT_COLS];
#pragma GCC unroll 4
	for (int j = 0; j < cols; j++)
		w[j] = vec_load_part(b[j] + k, n);
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++) {
		vec x = vec_load_part(a[i] + k, n);
		if (cols > 1)
			OWN_VECTOR(x);
#pragma GCC unroll 4
		for (int j = 0; j < cols; j++)
			s[i * cols + j] += x * w[j];
	}
}

/* tail: whether kc is no number of whole vectors. Rows and places are registers of their own, as in igemm.c. */
VEC_INLINE void sum(const struct bp_igemm *p, const int rows, const int cols, const bool tail, vec *s)
{
	const ptrdiff_t left = (ptrdiff_t)p->kc % VLEN, whole = (ptrdiff_t)p->kc - left;
	const bp_real *b[BP_IDOT_COLS];
#pragma GCC unroll 4
	for (int j = 0; j < cols; j++)
		b[j] = p->b + (size_t)j * p->ldb + whole;
	for (size_t t = 0; t < p->taps; t++) {
		const bp_real *a[TALL_ROWS];
#pragma GCC unroll 16
		for (int i = 0; i < rows; i++) {
			a[i] = p->a[t * p->a_stride + i] + p->k0 + whole;
			OWN_REGISTER(a[i]);
		}
		for (ptrdiff_t k = -whole; k != 0; k += VLEN) {
			OWN_REGISTER(k);
			step(a, b, k, rows, cols, VLEN, s);
		}
		if (tail)
			step(a, b, 0, rows, cols, (int)left, s);
#pragma GCC unroll 4
		for (int j = 0; j < cols; j++)
			b[j] += p->kc;
	}
}

/* Neighbouring lanes of each of n vectors are added; two vectors become one. */
VEC_INLINE void halve(vec *s, const int n)
{
#pragma GCC unroll 12
	for (int i = 0; i < (n + 1) / 2; i++) {
		const vec u = s[2 * i], v = s[2 * i + 1 < n ? 2 * i + 1 : 2 * i];
		s[i] = vec_evens(u, v) + vec_odds(u, v);
	}
}

/* The lanes of each of n vectors are added; afterwards sum i is lane i % VLEN of s[i / VLEN]. */
VEC_INLINE void meet(vec *s, const int n)
{
	halve(s, n);
	if (VLEN > 2)
		halve(s, (n + 1) / 2);
	if (VLEN > 4)
		halve(s, (n + 3) / 4);
	if (VLEN > 8)
		halve(s, (n + 7) / 8);
}

/* Adds what C holds and the bias, applies ReLU, and stores. */
VEC_INLINE void finish(const struct bp_igemm *p, const int rows, const int cols, bp_real *sums)
{
	if (p->acc) {
		EACH_SUM(rows, cols)
		{
			sums[i * cols + j] += p->c[i][p->col + j];
		}
	}
	if (p->bias) {
		EACH_SUM(rows, cols)
		{
			sums[i * cols + j] += p->bias[j];
		}
	}
	if (p->relu) {
		EACH_SUM(rows, cols)
		{
			sums[i * cols + j] = sums[i * cols + j] < 0 ? 0 : sums[i * cols + j];
		}
	}
	EACH_SUM(rows, cols)
	{
		p->c[i][p->col + j] = sums[i * cols + j];
	}
}

VEC_INLINE void tile(const struct bp_igemm *p, const int rows, const int cols)
{
	vec s[SUMS];
	bp_real sums[MOST * VLEN];
	EACH_SUM(rows, cols)
	{
		s[i * cols + j] = vec_zero();
	}
	if (p->kc % VLEN)
		sum(p, rows, cols, true, s);
	else
		sum(p, rows, cols, false, s);
	meet(s, rows * cols);
#pragma GCC unroll 16
	for (int i = 0; i < (rows * cols + VLEN - 1) / VLEN; i++)
		vec_store(sums + i * VLEN, s[i]);
	finish(p, rows, cols, sums);
}

#define TILE(r, c)                                                                                                     \
	static void tile_##r##x##c(const struct bp_igemm *p)                                                           \
	{                                                                                                              \
		tile(p, r, c);                                                                                         \
	}
IDOT_TILES(TILE)

void KERNEL_NAME(idot)(const struct bp_igemm *p)
{
#define ENTRY(r, c) [r - 1][c - 1] = tile_##r##x##c,
	static void (*const tiles[TALL_ROWS][BP_IDOT_COLS])(const struct bp_igemm *) = {IDOT_TILES(ENTRY)};
	tiles[p->rows - 1][p->cols - 1](p);
}
