/*
 * dense.c - a small matrix product in one call (dense.h). Called by core/conv for layers so small that packing, row
 * pointers and tasks would cost more than the sums themselves.
 *
 * Tiles of 6 rows of two vectors, or 8 of one: enough accumulators that additions need not wait for each other, and all
 * in registers. The last rows go by 4, 2 and 1. With a few columns, where most of a vector would be idle, and A
 * transposed (the gradient of a layer of few outputs), rows go into the lanes instead: 16 x 16 times 16 x 3 takes 400
 * instructions so, 700 otherwise.
 */
#include "kernels/dense.h"
#include "kernels/vec.h"

enum {
	TALL = 8, /* rows of a tile of one vector */
	WIDE = 6, /* of two */
	FEW = 4   /* columns of a tile that has rows in its lanes */
};

/* Row r of an array whose rows are step elements apart: three pointers and the step reach eight rows without a register
 * for each. */
#define ROW(base, step, r) ((base)[(r) / 3] + (r) % 3 * (step))
#define ROW_BASES(at, step)                                                                                            \
	{                                                                                                              \
		(at), (at) + 3 * (step), (at) + 6 * (step)                                                             \
	}

/* Every accumulator s[r][v] of rows x nv. */
#define EACH(r, v, rows, nv)                                                                                           \
	_Pragma("GCC unroll 8") for (int r = 0; r < (rows); r++) _Pragma("GCC unroll 2") for (int v = 0; v < (nv); v++)

/* Adds bias and what C holds to a tile's sums, and stores them; the last vector of a row has n elements. */
VEC_INLINE void finish(
	const struct bp_dense *p, size_t i, size_t j, const int rows, const int nv, const int n, vec (*s)[2])
{
	const size_t ldc = p->ldc;
	bp_real *const at = p->c + i * ldc + j, *const c[3] = ROW_BASES(at, ldc);
	if (p->acc)
		EACH(r, v, rows, nv)
	s[r][v] += vec_load_part(ROW(c, ldc, r) + v * VLEN, v < nv - 1 ? VLEN : n);
	if (p->bias) {
		vec bias[2];
#pragma GCC unroll 2
		for (int v = 0; v < nv; v++)
			bias[v] = vec_load_part(p->bias + j + v * VLEN, v < nv - 1 ? VLEN : n);
		EACH(r, v, rows, nv)
		s[r][v] += bias[v];
	}
	if (p->relu)
		EACH(r, v, rows, nv)
	s[r][v] = vec_relu(s[r][v]);
	/* Where C is nothing but these columns, a whole vector may be stored for the part of one: what it spills over
	 * is the next rows', and they are stored later. */
	const bool spill = n < VLEN && !p->acc && ldc == p->cols && nv == 1 && j == 0 &&
			   (i + (size_t)rows - 1) * ldc + VLEN <= p->rows * ldc;
	if (spill)
		EACH(r, v, rows, nv)
	vec_store(ROW(c, ldc, r), s[r][v]);
	else EACH(r, v, rows, nv) vec_store_part(ROW(c, ldc, r) + v * VLEN, s[r][v], v < nv - 1 ? VLEN : n);
}

/* rows rows from i on, nv vectors of columns from j on; unless full, the last is a part of one. With sums, those of B's
 * columns too. */
VEC_INLINE void tile(
	const struct bp_dense *p, size_t i, size_t j, const int rows, const int nv, const bool full, const bool sums)
{
	const int last = full ? VLEN : (int)(p->cols - j) - (nv - 1) * VLEN;
	const size_t row = p->a_row, step = p->a_step, ldb = p->ldb;
	const bp_real *const at = p->a + i * row, *b = p->b + j, *a[3] = ROW_BASES(at, row);
	vec s[TALL][2], w[2], sum[2] = {vec_zero(), vec_zero()};
	EACH(r, v, rows, nv)
	s[r][v] = vec_zero();
	for (size_t k = p->inner; k > 0; k--, b += ldb) {
#pragma GCC unroll 2
		for (int v = 0; v < nv; v++) {
			w[v] = full || v < nv - 1 ? vec_load(b + v * VLEN) : vec_load_n(b + v * VLEN, last);
			if (sums)
				sum[v] += w[v];
		}
		EACH(r, v, rows, nv)
		s[r][v] += *ROW(a, row, r) * w[v];
#pragma GCC unroll 3
		for (int r = 0; r < 3; r++)
			a[r] += step;
	}
#pragma GCC unroll 2
	for (int v = 0; v < nv && sums; v++)
		vec_store_part(p->ret_sums + j + v * VLEN, sum[v], v < nv - 1 ? VLEN : last);
	finish(p, i, j, rows, nv, last, s);
}

/* As many of the rows that are left from i on as tiles of that height take. Returns where the others begin. */
VEC_INLINE size_t tiles(const struct bp_dense *p, size_t i, size_t j, const int height, const int nv, const bool full)
{
	const size_t h = (size_t)height;
	if (i == 0 && p->ret_sums && h <= p->rows) {
		tile(p, i, j, height, nv, full, true);
		i = h;
	}
	for (; i + h <= p->rows; i += h)
		tile(p, i, j, height, nv, full, false);
	return i;
}

VEC_INLINE void columns(const struct bp_dense *p, size_t j, const int nv, const bool full)
{
	size_t i = tiles(p, 0, j, nv == 2 ? WIDE : TALL, nv, full);
	i = tiles(p, i, j, 4, nv, full);
	i = tiles(p, i, j, 2, nv, full);
	tiles(p, i, j, 1, nv, full);
}

/* FEW columns from j on of n rows from i on, where the elements of A for a k are neighbours: n is VLEN or less. */
VEC_INLINE void turned(const struct bp_dense *p, size_t i, size_t j, const int n, const bool sums)
{
	const size_t left = p->cols - j, ldb = p->ldb, ldc = p->ldc;
	const bp_real *a = p->a + i, *b[FEW];
	vec s[FEW], sum[FEW];
#pragma GCC unroll 4
	for (int c = 0; c < FEW; c++) {
		b[c] = p->b + j + ((size_t)c < left ? (size_t)c : left - 1);
		s[c] = sum[c] = vec_zero();
	}
	for (size_t k = 0, x = 0; k < p->inner; k++, a += p->a_step, x += ldb) {
		vec v = vec_load_part(a, n);
#pragma GCC unroll 4
		for (int c = 0; c < FEW; c++) {
			vec w = vec_splat(b[c][x]);
			s[c] += v * w;
			if (sums)
				sum[c] += w;
		}
	}
#pragma GCC unroll 4
	for (int c = 0; c < FEW; c++) {
		if ((size_t)c >= left)
			break;
		bp_real *to = p->c + i * ldc + j + c;
		if (sums)
			p->ret_sums[j + (size_t)c] = sum[c][0];
		if (p->acc) {
			vec before = vec_zero();
			for (int r = 0; r < n; r++)
				before[r] = to[(size_t)r * ldc];
			s[c] += before;
		}
		if (p->bias)
			s[c] += vec_splat(p->bias[j + (size_t)c]);
		if (p->relu)
			s[c] = vec_relu(s[c]);
#pragma GCC unroll 16
		for (int r = 0; r < n; r++, to += ldc)
			*to = s[c][r];
	}
}

/* Columns [j, j + FEW) with rows in the lanes. */
VEC_INLINE void few_columns(const struct bp_dense *p, size_t j)
{
	size_t i = 0;
	if (p->ret_sums && p->rows >= (size_t)VLEN) {
		turned(p, 0, j, VLEN, true);
		i = VLEN;
	}
	for (; i + VLEN <= p->rows; i += VLEN)
		turned(p, i, j, VLEN, false);
	if (i < p->rows)
		turned(p, i, j, (int)(p->rows - i), p->ret_sums && i == 0);
}

void KERNEL_NAME(dense)(const struct bp_dense *from)
{
	const struct bp_dense p = *from; /* a copy, which no store can change */
	size_t j = 0;
	if (p.rows == 0)
		return;
	for (; p.cols <= FEW && p.cols < (size_t)VLEN && p.a_row == 1 && j < p.cols; j += FEW)
		few_columns(&p, j);
	for (; j + 2 * VLEN <= p.cols; j += 2 * VLEN)
		columns(&p, j, 2, true);
	for (; j + VLEN <= p.cols; j += VLEN)
		columns(&p, j, 1, true);
	if (j < p.cols)
		columns(&p, j, 1, false);
}
