/*
 * dense.c - a small matrix product in one call (dense.h). Called by core/conv for layers so small that packing, row
 * pointers and tasks would cost more than the sums themselves.
 *
 * ROWS x nv accumulators a tile. The last rows and columns are tiles of the same code with the rows given twice and the
 * vectors cut: a row stored twice gets the same values.
 */
#include "kernels/dense.h"
#include "kernels/vec.h"

enum { ROWS = 4 };

/* Columns [j, j + (nv - 1) VLEN + last) of ROWS rows that begin at row at[i]. */
VEC_INLINE void tile(const struct bp_dense *p, const size_t *at, size_t j, const int nv, const int last)
{
	vec s[ROWS][2];
	const bp_real *a[ROWS], *b = p->b + j;
	const size_t step = p->a_step, end = p->inner * step, ldb = p->ldb;
#pragma GCC unroll 4
	for (int i = 0; i < ROWS; i++) {
		a[i] = p->a + at[i] * p->a_row;
#pragma GCC unroll 2
		for (int v = 0; v < nv; v++)
			s[i][v] = vec_zero();
	}
	for (size_t x = 0; x < end; x += step, b += ldb) {
		vec w[2];
#pragma GCC unroll 2
		for (int v = 0; v < nv; v++)
			w[v] = vec_load_part(b + v * VLEN, v < nv - 1 ? VLEN : last);
#pragma GCC unroll 4
		for (int i = 0; i < ROWS; i++)
#pragma GCC unroll 2
			for (int v = 0; v < nv; v++)
				s[i][v] += a[i][x] * w[v];
	}
#pragma GCC unroll 2
	for (int v = 0; v < nv; v++) {
		const int n = v < nv - 1 ? VLEN : last;
		vec bias = p->bias ? vec_load_part(p->bias + j + v * VLEN, n) : vec_zero(), out[ROWS];
#pragma GCC unroll 4
		for (int i = 0; i < ROWS; i++) {
			const bp_real *c = p->c + at[i] * p->ldc + j + v * VLEN;
			out[i] = (p->acc ? vec_load_part(c, n) : vec_zero()) + s[i][v] + bias;
			out[i] = p->relu ? vec_relu(out[i]) : out[i];
		}
#pragma GCC unroll 4
		for (int i = 0; i < ROWS; i++) {
			bp_real *c = p->c + at[i] * p->ldc + j + v * VLEN;
			vec_store_part(c, out[i], n);
		}
	}
}

void KERNEL_NAME(dense)(const struct bp_dense *from)
{
	const struct bp_dense p = *from; /* a copy, which no store can change */
	for (size_t i = 0; i < p.rows; i += ROWS) {
		size_t at[ROWS], j = 0;
		for (size_t r = 0; r < ROWS; r++)
			at[r] = i + r < p.rows ? i + r : p.rows - 1;
		for (; j + 2 * VLEN <= p.cols; j += 2 * VLEN)
			tile(&p, at, j, 2, VLEN);
		if (j + VLEN <= p.cols) {
			tile(&p, at, j, 1, VLEN);
			j += VLEN;
		}
		if (j < p.cols)
			tile(&p, at, j, 1, (int)(p.cols - j));
	}
}
