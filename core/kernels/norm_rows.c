/*
 * norm_rows.c - normalisation of rows by their own mean and variance (norm_rows.h). Called by core/layers, on any
 * thread.
 *
 * Sums go chunk by chunk through a few vectors and then in double precision, always in the same order: a long row
 * loses no more digits than a chunk.
 */
#include "kernels/norm_rows.h"

#include "kernels/lanes.h"

#include <math.h>

enum { CHUNK = 64 * VLEN, UNROLL = 4 };

/* Of the next vector, how many lanes there are. */
VEC_INLINE int lanes(size_t left)
{
	return left < (size_t)VLEN ? (int)left : VLEN;
}

static double row_sum(size_t n, const bp_real *x)
{
	double total = 0;
	while (n) {
		size_t len = n < CHUNK ? n : CHUNK, i = 0;
		vec s[UNROLL] = {{0}};
		for (; i + UNROLL * VLEN <= len; i += UNROLL * VLEN)
			for (int u = 0; u < UNROLL; u++)
				s[u] += vec_load(x + i + (size_t)u * VLEN);
		for (; i < len; i += VLEN)
			s[0] += vec_load_part(x + i, lanes(len - i));
		total += (double)vec_sum((s[0] + s[1]) + (s[2] + s[3]));
		x += len;
		n -= len;
	}
	return total;
}

/* The sums of the deviations from mean, and of their squares. */
static void row_deviations(size_t n, const bp_real *x, bp_real mean, double ret[2])
{
	const vec m = vec_splat(mean);
	ret[0] = ret[1] = 0;
	while (n) {
		size_t len = n < CHUNK ? n : CHUNK, i = 0;
		vec s[UNROLL] = {{0}}, q[UNROLL] = {{0}};
		for (; i + UNROLL * VLEN <= len; i += UNROLL * VLEN)
			for (int u = 0; u < UNROLL; u++) {
				vec d = vec_load(x + i + (size_t)u * VLEN) - m;
				s[u] += d;
				q[u] += d * d;
			}
		for (; i < len; i += VLEN) {
			/* Lanes past the end must not count as deviations of 0 from the mean. */
			const int left = lanes(len - i);
			vec d = vec_load_part(x + i, left) - m;
			if (left < VLEN)
				d = vec_keep(vec_first(left), d);
			s[0] += d;
			q[0] += d * d;
		}
		ret[0] += (double)vec_sum((s[0] + s[1]) + (s[2] + s[3]));
		ret[1] += (double)vec_sum((q[0] + q[1]) + (q[2] + q[3]));
		x += len;
		n -= len;
	}
}

VEC_INLINE void apply(const struct bp_norm_rows *p, bool weighted, bool biased, bp_real mean, bp_real invstd,
	const bp_real *x, bp_real *y)
{
	const vec m = vec_splat(mean), s = vec_splat(invstd);
	for (size_t i = 0; i < p->n; i += VLEN) {
		const int left = lanes(p->n - i);
		vec v = (vec_load_part(x + i, left) - m) * s;
		if (weighted && biased)
			v = v * vec_load_part(p->weight + i, left) + vec_load_part(p->bias + i, left);
		else if (weighted)
			v = v * vec_load_part(p->weight + i, left);
		vec_store_part(y + i, v, left);
	}
}

/* The sum of the deviations, which would be 0 were it not for the rounding of the mean, corrects it (Chan, Golub and
 * LeVeque, 1983). */
void KERNEL_NAME(norm_rows)(const struct bp_norm_rows *p, const bp_real *x, bp_real *y)
{
	const double n = (double)p->n;
	for (size_t r = 0; r < p->rows; r++, x += p->n, y += p->n) {
		double mean = row_sum(p->n, x) / n, d[2];
		row_deviations(p->n, x, (bp_real)mean, d);
		mean = (double)(bp_real)mean + d[0] / n;
		double variance = (d[1] - d[0] * d[0] / n) / n;
		double invstd = 1 / sqrt((variance < 0 ? 0 : variance) + p->eps);
		if (p->mean) {
			p->mean[r] = (bp_real)mean;
			p->invstd[r] = (bp_real)invstd;
		}
		if (!p->weight)
			apply(p, false, false, (bp_real)mean, (bp_real)invstd, x, y);
		else if (!p->bias)
			apply(p, true, false, (bp_real)mean, (bp_real)invstd, x, y);
		else
			apply(p, true, true, (bp_real)mean, (bp_real)invstd, x, y);
	}
}

/* One row's sums of g = dy * weight and of g times the normalised x; adds to dweight and dbias. */
static void grad_sums(const struct bp_norm_rows *p, size_t r, const bp_real *x, const bp_real *dy, double ret[2])
{
	const vec m = vec_splat(p->mean[r]), s = vec_splat(p->invstd[r]);
	ret[0] = ret[1] = 0;
	for (size_t at = 0; at < p->n; at += CHUNK) {
		const size_t end = p->n - at < CHUNK ? p->n : at + CHUNK;
		vec sum = vec_zero(), dot = vec_zero();
		for (size_t i = at; i < end; i += VLEN) {
			const int left = lanes(end - i);
			vec d = vec_load_part(dy + i, left),
			    hat = (vec_load_part(x + i, left) - m) * s; /* past the end d is 0 */
			vec g = p->weight ? d * vec_load_part(p->weight + i, left) : d;
			sum += g;
			dot += g * hat;
			if (p->dweight)
				vec_store_part(p->dweight + i, vec_load_part(p->dweight + i, left) + d * hat, left);
			if (p->dbias)
				vec_store_part(p->dbias + i, vec_load_part(p->dbias + i, left) + d, left);
		}
		ret[0] += (double)vec_sum(sum);
		ret[1] += (double)vec_sum(dot);
	}
}

/* With g = dy * weight and h the normalised x: dx = invstd * (g - sum g / n - h * sum(g h) / n). */
void KERNEL_NAME(norm_rows_grad)(
	const struct bp_norm_rows *p, const bp_real *x, const bp_real *dy, bool acc, bp_real *dx)
{
	for (size_t r = 0; r < p->rows; r++) {
		const bp_real *xr = x + r * p->n, *dyr = dy + r * p->n;
		double sums[2];
		grad_sums(p, r, xr, dyr, sums);
		if (!dx)
			continue;
		const vec m = vec_splat(p->mean[r]), s = vec_splat(p->invstd[r]);
		const vec mean_g = vec_splat((bp_real)(sums[0] / (double)p->n));
		const vec slope = vec_splat((bp_real)(sums[1] / (double)p->n));
		for (size_t i = 0; i < p->n; i += VLEN) {
			const int left = lanes(p->n - i);
			vec hat = (vec_load_part(xr + i, left) - m) * s, g = vec_load_part(dyr + i, left);
			if (p->weight)
				g = g * vec_load_part(p->weight + i, left);
			vec v = s * (g - mean_g - hat * slope);
			bp_real *at = dx + r * p->n + i;
			vec_store_part(at, acc ? vec_load_part(at, left) + v : v, left);
		}
	}
}
