/*
 * channels.c - element-wise work with one constant a channel: rows are (sample, pixel) pairs, columns are channels.
 * Called by core/layers, on any thread.
 */
#include "kernels/channels.h"

#include "kernels/vec.h"

/* The vector of columns that starts at j. */
VEC_INLINE int width(size_t c, size_t j)
{
	return c - j < (size_t)VLEN ? (int)(c - j) : VLEN;
}

void KERNEL_NAME(scale_channels)(size_t rows, size_t c, const bp_real *scale, const bp_real *x, bool acc, bp_real *y)
{
	for (size_t at = 0; at < rows * c; at += c)
		for (size_t j = 0; j < c; j += VLEN) {
			int n = width(c, j);
			vec v = vec_load_part(x + at + j, n) * vec_load_part(scale + j, n);
			vec_store_part(y + at + j, acc ? vec_load_part(y + at + j, n) + v : v, n);
		}
}

void KERNEL_NAME(prelu)(size_t rows, size_t c, const bp_real *slope, const bp_real *x, bp_real *y)
{
	for (size_t at = 0; at < rows * c; at += c)
		for (size_t j = 0; j < c; j += VLEN) {
			int n = width(c, j);
			vec v = vec_load_part(x + at + j, n);
			vec_store_part(y + at + j, vec_select(v > vec_zero(), v, v * vec_load_part(slope + j, n)), n);
		}
}

/* Rows that are summed in registers before they are added to the totals: they stay in the first-level cache. */
enum { GROUP = 16 };

VEC_INLINE vec add_group(const struct bp_prelu_grad *p, size_t first, size_t rows, size_t j, int n)
{
	vec slope = vec_load_part(p->slope + j, n), sum = vec_zero();
	for (size_t r = first; r < first + rows; r++) {
		size_t at = r * p->c + j;
		vec x = vec_load_part(p->x + at, n), dy = vec_load_part(p->dy + at, n);
		vint above = x > vec_zero();
		sum += vec_keep(~above, x * dy);
		vec g = vec_select(above, dy, dy * slope);
		if (p->dx)
			vec_store_part(p->dx + at, p->acc ? vec_load_part(p->dx + at, n) + g : g, n);
	}
	return sum;
}

void KERNEL_NAME(prelu_grad)(const struct bp_prelu_grad *p)
{
	for (size_t r = 0; r < p->rows; r += GROUP) {
		size_t rows = p->rows - r < GROUP ? p->rows - r : GROUP;
		for (size_t j = 0; j < p->c; j += VLEN) {
			int n = width(p->c, j);
			vec sum = add_group(p, r, rows, j, n);
			vec_store_part(p->ret_slope + j, r ? vec_load_part(p->ret_slope + j, n) + sum : sum, n);
		}
	}
}
