/*
 * patch.c - gathers the taps of maps with few channels, and packs weights, into the order in which the register tiles
 * read them. Called by the drivers in core/conv, on any thread.
 */
#include "kernels/patch.h"
#include "kernels/quad.h"

/* One point, run by run, in whole vectors where the source allows it. */
static void point(const struct bp_patch *p, size_t i, bp_real *dst)
{
	const ptrdiff_t wide = (ptrdiff_t)((p->run + VLEN - 1) / VLEN * VLEN);
	for (int l = 0; l < p->lines; l++, dst += p->run) {
		const bp_real *src = p->src[l] + i * p->step[l];
		if (p->step[l] == 0 || p->end - src >= wide)
			for (size_t q = 0; q < p->run; q += VLEN)
				vec_store(dst + q, vec_load(src + q));
		else
			for (size_t q = 0; q < p->run; q++)
				dst[q] = src[q];
	}
}

/* The first n points, whose runs may all be read in whole vectors; lines, and vectors of a run, are known when
 * compiled. */
VEC_INLINE void points(const struct bp_patch *p, size_t n, const int lines, const int vectors)
{
	const bp_real *src[7];
	bp_real *dst = p->dst;
	for (int l = 0; l < lines; l++)
		src[l] = p->src[l];
	for (size_t i = 0; i < n; i++)
#pragma GCC unroll 7
		for (int l = 0; l < lines; l++, dst += p->run) {
#pragma GCC unroll 3
			for (int v = 0; v < vectors; v++)
				vec_store(dst + v * VLEN, vec_load(src[l] + v * VLEN));
			src[l] += p->step[l];
		}
}

/* How many points from the first have no run that ends past the source in whole vectors. */
static size_t free_points(const struct bp_patch *p, size_t wide)
{
	size_t n = (size_t)p->count;
	for (int l = 0; l < p->lines; l++) {
		if (p->step[l] == 0)
			continue;
		size_t room = (size_t)(p->end - p->src[l]), fit = room < wide ? 0 : (room - wide) / p->step[l] + 1;
		n = fit < n ? fit : n;
	}
	return n;
}

void KERNEL_NAME(patch)(const struct bp_patch *p)
{
	const size_t vectors = (p->run + VLEN - 1) / VLEN, row = (size_t)p->lines * p->run;
	size_t done = free_points(p, vectors * VLEN);
	/* The usual kernels: 3x3, 5x5 and 7x7 on one or a few channels. */
	switch (p->lines * 4 + (vectors < 4 ? (int)vectors : 0)) {
#define KNOWN(lines, vectors)                                                                                          \
	case (lines)*4 + (vectors):                                                                                    \
		points(p, done, lines, vectors);                                                                       \
		break;
		KNOWN(3, 1)
		KNOWN(3, 2)
		KNOWN(3, 3)
		KNOWN(5, 1)
		KNOWN(5, 2)
		KNOWN(5, 3)
		KNOWN(7, 1)
		KNOWN(7, 2)
		KNOWN(7, 3)
	default:
		done = 0;
	}
	for (size_t i = done; i < (size_t)p->count; i++)
		point(p, i, p->dst + i * row);
}

/* dst[r * nr + c] = src[r * ld + c] for c < cols, 0 for cols <= c < nr. */
void KERNEL_NAME(pack)(bp_real *dst, int nr, const bp_real *src, size_t ld, size_t rows, int cols)
{
	if (cols == nr) {
		for (size_t r = 0; r < rows; r++, src += ld, dst += nr)
			for (int j = 0; j < nr; j += VLEN)
				vec_store(dst + j, vec_load(src + j));
		return;
	}
	for (size_t r = 0; r < rows; r++, src += ld, dst += nr)
		for (int j = 0; j < nr; j += VLEN) {
			int left = cols - j;
			vec v = left >= VLEN ? vec_load(src + j) : vec_load_n(src + j, left > 0 ? left : 0);
			vec_store(dst + j, v);
		}
}

/* dst[r * nr + c] = src[c * ld + r] for c < cols, 0 for cols <= c < nr. By quads it takes an instruction an element: of
 * a 9216 -> 128 layer, packing was a fifth of the step of a small CNN. */
void KERNEL_NAME(pack_transposed)(bp_real *dst, int nr, const bp_real *src, size_t ld, size_t rows, int cols)
{
	const int whole_cols = cols & ~3;
	const size_t whole_rows = rows & ~(size_t)3, step = (size_t)nr;
	for (size_t r = 0; r < whole_rows; r += 4)
		for (int c = 0; c < whole_cols; c += 4)
			turn_quad(src + (size_t)c * ld + r, ld, false, dst + r * step + c, step);
	for (int c = 0; c < cols; c++)
		for (size_t r = c < whole_cols ? whole_rows : 0; r < rows; r++)
			dst[r * step + c] = src[(size_t)c * ld + r];
	if (cols == nr)
		return;
	for (size_t r = 0; r < rows; r++)
		for (int c = cols; c < nr; c++)
			dst[r * step + c] = 0;
}

/* Whole vectors of columns side by side: each is a chain of additions, whose latency they share. */
VEC_INLINE void sums(size_t rows, const bp_real *x, size_t ld, bool acc, bp_real *dst, const int vectors)
{
	vec s[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
	for (size_t r = 0; r < rows; r++, x += ld)
#pragma GCC unroll 4
		for (int v = 0; v < vectors; v++)
			s[v] += vec_load(x + v * VLEN);
#pragma GCC unroll 4
	for (int v = 0; v < vectors; v++)
		vec_store(dst + v * VLEN, acc ? vec_load(dst + v * VLEN) + s[v] : s[v]);
}

/* dst[j] = (acc ? dst[j] : 0) + sum over r < rows of x[r * ld + j], j < n; each sum in the order of r. */
void KERNEL_NAME(column_sums)(size_t rows, size_t n, const bp_real *x, size_t ld, bool acc, bp_real *dst)
{
	size_t j = 0;
	for (; j + 4 * VLEN <= n; j += 4 * VLEN)
		sums(rows, x + j, ld, acc, dst + j, 4);
	for (; j + 2 * VLEN <= n; j += 2 * VLEN)
		sums(rows, x + j, ld, acc, dst + j, 2);
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
