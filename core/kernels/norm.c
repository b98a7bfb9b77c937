/*
 * norm.c - batch normalisation (norm.h). Called by core/layers, on any thread.
 *
 * All loops go along the rows, as memory lies. Sums take four rows at a time into registers before they are added to
 * the totals, which lie in the caller's arrays, in the first-level cache.
 */
#include "kernels/norm.h"

#include "kernels/vec.h"

/* For each vector of columns: j its first, n its columns. */
#define EACH_COLUMNS(c) for (size_t j = 0, n; j < (c) && (n = (c)-j < (size_t)VLEN ? (c)-j : (size_t)VLEN); j += n)

VEC_INLINE void add_rows(size_t rows, size_t c, const bp_real *x, bp_real *sum)
{
	EACH_COLUMNS(c)
	{
		vec s = vec_load_part(x + j, (int)n);
		for (size_t r = 1; r < rows; r++)
			s += vec_load_part(x + r * c + j, (int)n);
		vec_store_part(sum + j, vec_load_part(sum + j, (int)n) + s, (int)n);
	}
}

/* Deviations from the mean, and their squares. */
VEC_INLINE void add_deviations(size_t rows, size_t c, const bp_real *x, const bp_real *mean, bp_real *const sums[2])
{
	EACH_COLUMNS(c)
	{
		vec m = vec_load_part(mean + j, (int)n), s = vec_zero(), squares = vec_zero();
		for (size_t r = 0; r < rows; r++) {
			vec d = vec_load_part(x + r * c + j, (int)n) - m;
			s += d;
			squares += d * d;
		}
		vec_store_part(sums[0] + j, vec_load_part(sums[0] + j, (int)n) + s, (int)n);
		vec_store_part(sums[1] + j, vec_load_part(sums[1] + j, (int)n) + squares, (int)n);
	}
}

/*
 * The second pass also sums the deviations, which would be 0 were it not for the rounding of the mean, and takes them
 * off (Chan, Golub and LeVeque, 1983).
 */
void KERNEL_NAME(norm_stats)(size_t rows, size_t c, const bp_real *x, bp_real *const ret[BP_NORM_STATS])
{
	bp_real *mean = ret[BP_NORM_MEAN], *m2 = ret[BP_NORM_M2], *rest = ret[BP_NORM_REST];
	bp_real *const sums[2] = {rest, m2};
	size_t r = 0;
	for (size_t j = 0; j < c; j++)
		mean[j] = m2[j] = rest[j] = 0;
	for (; r + 4 <= rows; r += 4)
		add_rows(4, c, x + r * c, mean);
	for (; r < rows; r++)
		add_rows(1, c, x + r * c, mean);
	for (size_t j = 0; j < c; j++)
		mean[j] /= (bp_real)rows;
	for (r = 0; r + 4 <= rows; r += 4)
		add_deviations(4, c, x + r * c, mean, sums);
	for (; r < rows; r++)
		add_deviations(1, c, x + r * c, mean, sums);
	for (size_t j = 0; j < c; j++) {
		rest[j] /= (bp_real)rows;
		m2[j] -= rest[j] * rest[j] * (bp_real)rows;
	}
}

VEC_INLINE void apply(const struct bp_norm *p, bool relu, const bp_real *x, bp_real *y)
{
	for (size_t r = 0; r < p->rows; r++, x += p->c, y += p->c)
		EACH_COLUMNS(p->c)
		{
			vec d = vec_load_part(x + j, (int)n) - vec_load_part(p->mean + j, (int)n);
			vec v = d * vec_load_part(p->scale + j, (int)n) + vec_load_part(p->shift + j, (int)n);
			vec_store_part(y + j, relu ? vec_relu(v) : v, (int)n);
		}
}

void KERNEL_NAME(norm_apply)(const struct bp_norm *p, const bp_real *x, bp_real *y)
{
	if (p->relu)
		apply(p, true, x, y);
	else
		apply(p, false, x, y);
}

/* dy where the output, made again from the deviation d by the same operations as before, was positive. */
VEC_INLINE vec masked(const struct bp_norm *p, size_t j, int n, bool relu, vec d, vec dy)
{
	if (!relu)
		return dy;
	vec y = d * vec_load_part(p->scale + j, n) + vec_load_part(p->shift + j, n);
	return (vec)(~(y <= vec_zero()) & (vint)dy);
}

VEC_INLINE void grad_rows(
	const struct bp_norm *p, size_t rows, bool relu, const bp_real *const in[2], bp_real *const out[2])
{
	EACH_COLUMNS(p->c)
	{
		vec m = vec_load_part(p->mean + j, (int)n), sum = vec_zero(), dot = vec_zero();
		for (size_t r = 0; r < rows; r++) {
			vec d = vec_load_part(in[0] + r * p->c + j, (int)n) - m;
			vec g = masked(p, j, (int)n, relu, d, vec_load_part(in[1] + r * p->c + j, (int)n));
			sum += g;
			dot += g * d;
		}
		vec_store_part(out[0] + j, vec_load_part(out[0] + j, (int)n) + sum, (int)n);
		vec_store_part(out[1] + j, vec_load_part(out[1] + j, (int)n) + dot, (int)n);
	}
}

VEC_INLINE void grad_sums(
	const struct bp_norm *p, bool relu, const bp_real *x, const bp_real *dy, bp_real *const out[2])
{
	size_t r = 0, c = p->c;
	for (; r + 4 <= p->rows; r += 4)
		grad_rows(p, 4, relu, (const bp_real *const[]){x + r * c, dy + r * c}, out);
	for (; r < p->rows; r++)
		grad_rows(p, 1, relu, (const bp_real *const[]){x + r * c, dy + r * c}, out);
}

void KERNEL_NAME(norm_grad_sums)(
	const struct bp_norm *p, const bp_real *x, const bp_real *dy, bp_real *ret_sum, bp_real *ret_dot)
{
	for (size_t j = 0; j < p->c; j++)
		ret_sum[j] = ret_dot[j] = 0;
	if (p->relu)
		grad_sums(p, true, x, dy, (bp_real *const[]){ret_sum, ret_dot});
	else
		grad_sums(p, false, x, dy, (bp_real *const[]){ret_sum, ret_dot});
}

VEC_INLINE void norm_grad(const struct bp_norm *p, bool relu, const bp_real *const in[2], bool acc, bp_real *dx)
{
	for (size_t r = 0; r < p->rows; r++)
		EACH_COLUMNS(p->c)
		{
			vec d = vec_load_part(in[0] + r * p->c + j, (int)n) - vec_load_part(p->mean + j, (int)n);
			vec g = masked(p, j, (int)n, relu, d, vec_load_part(in[1] + r * p->c + j, (int)n));
			vec back = d * vec_load_part(p->slope + j, (int)n) + vec_load_part(p->offset + j, (int)n);
			vec v = g * vec_load_part(p->scale + j, (int)n) - back;
			bp_real *at = dx + r * p->c + j;
			vec_store_part(at, acc ? vec_load_part(at, (int)n) + v : v, (int)n);
		}
}

void KERNEL_NAME(norm_grad)(const struct bp_norm *p, const bp_real *x, const bp_real *dy, bool acc, bp_real *dx)
{
	if (p->relu)
		norm_grad(p, true, (const bp_real *const[]){x, dy}, acc, dx);
	else
		norm_grad(p, false, (const bp_real *const[]){x, dy}, acc, dx);
}
