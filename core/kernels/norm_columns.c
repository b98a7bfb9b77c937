/*
 * norm_columns.c - normalisation of columns by their own mean and variance (norm_rows.h). Called by core/layers, on any
 * thread.
 *
 * Lanes are columns, up to WIDE vectors of them side by side. Sums go strip by strip through vectors and then in double
 * precision, always in the same order: a long column loses no more digits than a strip.
 */
#include "kernels/norm_rows.h"

#include "kernels/lanes.h"

#include <math.h>

enum { WIDE = 4, STRIP = 64 };

/* nv vectors of columns from `at` on, of which the last has so many lanes. */
struct columns {
	const struct bp_norm_rows *p;
	size_t at;
	int lanes;
};

VEC_INLINE vec load(const bp_real *x, int v, const int nv, int lanes)
{
	return v + 1 < nv ? vec_load(x + v * VLEN) : vec_load_part(x + v * VLEN, lanes);
}

VEC_INLINE void store(bp_real *x, vec value, int v, const int nv, int lanes)
{
	if (v + 1 < nv)
		vec_store(x + v * VLEN, value);
	else
		vec_store_part(x + v * VLEN, value, lanes);
}

static __attribute__((noinline)) void add_to(size_t columns, const bp_real *x, double *total)
{
	for (size_t l = 0; l < columns; l++)
		total[l] += (double)x[l];
}

VEC_INLINE void add(double *total, const vec *s, const int nv)
{
	bp_real lanes[WIDE * VLEN];
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++)
		vec_store(lanes + v * VLEN, s[v]);
	add_to((size_t)(nv * VLEN), lanes, total);
}

/* Of lines [i, end): the sums of the deviations from m, and of their squares unless that is NULL. */
VEC_INLINE void strip_sums(
	const struct columns *c, const bp_real *x, size_t i, size_t end, const vec *m, vec *s, vec *q, const int nv)
{
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++) {
		s[v] = vec_zero();
		if (q)
			q[v] = vec_zero();
	}
	for (; i < end; i++)
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++) {
			const vec d = load(x + i * c->p->rows + c->at, v, nv, c->lanes) - m[v];
			s[v] += d;
			if (q)
				q[v] += d * d;
		}
}

/* Mean and 1 / standard deviation of so many columns, from the sums of deviations from a mean that was rounded. Loops
 * like this one are functions, or they would be unrolled instead of going by vectors. */
static __attribute__((noinline)) void finish(
	size_t columns, double n, double eps, const double *more, const double *squares, bp_real *mean, bp_real *invstd)
{
	for (size_t l = 0; l < columns; l++) {
		const double off = more[l] / n, variance = squares[l] / n - off * off;
		mean[l] = (bp_real)((double)mean[l] + off);
		invstd[l] = (bp_real)(1 / sqrt((variance < 0 ? 0 : variance) + eps));
	}
}

static __attribute__((noinline)) void divide(size_t columns, const double *sums, double n, bp_real *ret)
{
	for (size_t l = 0; l < columns; l++)
		ret[l] = (bp_real)(sums[l] / n);
}

VEC_INLINE void moments(const struct columns *c, const bp_real *x, bp_real *mean, bp_real *invstd, const int nv)
{
	double sum[WIDE * VLEN] = {0}, more[WIDE * VLEN] = {0}, squares[WIDE * VLEN] = {0};
	const size_t n = c->p->n, columns = (size_t)(nv * VLEN);
	vec s[WIDE], q[WIDE], m[WIDE];
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++)
		m[v] = vec_zero();
	for (size_t i = 0, end; i < n; i = end) {
		end = n - i < STRIP ? n : i + STRIP;
		strip_sums(c, x, i, end, m, s, NULL, nv);
		add(sum, s, nv);
	}
	divide(columns, sum, (double)n, mean);
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++)
		m[v] = vec_load(mean + v * VLEN);
	for (size_t i = 0, end; i < n; i = end) {
		end = n - i < STRIP ? n : i + STRIP;
		strip_sums(c, x, i, end, m, s, q, nv);
		add(more, s, nv);
		add(squares, q, nv);
	}
	finish(columns, (double)n, c->p->eps, more, squares, mean, invstd);
}

VEC_INLINE void forward(const struct columns *c, const bp_real *x, bp_real *y, const int nv)
{
	const struct bp_norm_rows *p = c->p;
	bp_real means[WIDE * VLEN], invstds[WIDE * VLEN];
	vec mean[WIDE], invstd[WIDE];
	moments(c, x, means, invstds, nv);
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++) {
		mean[v] = vec_load(means + v * VLEN);
		invstd[v] = vec_load(invstds + v * VLEN);
		if (!p->mean)
			continue;
		store(p->mean + c->at, mean[v], v, nv, c->lanes);
		store(p->invstd + c->at, invstd[v], v, nv, c->lanes);
	}
	for (size_t i = 0; i < p->n; i++) {
		const size_t at = i * p->rows + c->at;
		const vec weight = vec_splat(p->weight ? p->weight[i] : 1), bias = vec_splat(p->bias ? p->bias[i] : 0);
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++) {
			const vec hat = (load(x + at, v, nv, c->lanes) - mean[v]) * invstd[v];
			store(y + at, hat * weight + bias, v, nv, c->lanes);
		}
	}
}

void KERNEL_NAME(norm_columns)(const struct bp_norm_rows *p, const bp_real *x, bp_real *y)
{
	struct columns c = {p, 0, VLEN};
	for (; c.at + WIDE * VLEN <= p->rows; c.at += WIDE * VLEN)
		forward(&c, x, y, WIDE);
	for (; c.at < p->rows; c.at += VLEN) {
		c.lanes = p->rows - c.at < (size_t)VLEN ? (int)(p->rows - c.at) : VLEN;
		forward(&c, x, y, 1);
	}
}

/* With g = dy * weight and h the normalised x: dx = invstd * (g - sum g / n - h * sum(g h) / n). */
VEC_INLINE void backward(
	const struct columns *c, const bp_real *x, const bp_real *dy, bool acc, bp_real *dx, const int nv)
{
	const struct bp_norm_rows *p = c->p;
	double sum[WIDE * VLEN] = {0}, dot[WIDE * VLEN] = {0};
	vec mean[WIDE], invstd[WIDE];
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++) {
		mean[v] = load(p->mean + c->at, v, nv, c->lanes);
		invstd[v] = load(p->invstd + c->at, v, nv, c->lanes);
	}
	for (size_t i = 0, end; i < p->n; i = end) {
		vec s[WIDE], t[WIDE];
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++)
			s[v] = t[v] = vec_zero();
		for (end = p->n - i < STRIP ? p->n : i + STRIP; i < end; i++) {
			const size_t at = i * p->rows + c->at;
			const vec weight = vec_splat(p->weight ? p->weight[i] : 1);
			vec d_sum = vec_zero(), d_dot = vec_zero();
#pragma GCC unroll 4
			for (int v = 0; v < nv; v++) {
				const vec d = load(dy + at, v, nv, c->lanes); /* past the end 0 */
				const vec d_hat = d * ((load(x + at, v, nv, c->lanes) - mean[v]) * invstd[v]);
				d_sum += d;
				d_dot += d_hat;
				s[v] += d * weight;
				t[v] += d_hat * weight;
			}
			if (p->dweight)
				p->dweight[i] += vec_sum(d_dot);
			if (p->dbias)
				p->dbias[i] += vec_sum(d_sum);
		}
		add(sum, s, nv);
		add(dot, t, nv);
	}
	if (!dx)
		return;
	bp_real offs[WIDE * VLEN], slopes[WIDE * VLEN];
	vec off[WIDE], slope[WIDE];
	divide((size_t)(nv * VLEN), sum, (double)p->n, offs);
	divide((size_t)(nv * VLEN), dot, (double)p->n, slopes);
#pragma GCC unroll 4
	for (int v = 0; v < nv; v++) {
		off[v] = vec_load(offs + v * VLEN);
		slope[v] = vec_load(slopes + v * VLEN);
	}
	for (size_t i = 0; i < p->n; i++) {
		const size_t at = i * p->rows + c->at;
		const vec weight = vec_splat(p->weight ? p->weight[i] : 1);
#pragma GCC unroll 4
		for (int v = 0; v < nv; v++) {
			const vec hat = (load(x + at, v, nv, c->lanes) - mean[v]) * invstd[v];
			vec d = invstd[v] * (load(dy + at, v, nv, c->lanes) * weight - off[v] - hat * slope[v]);
			if (acc)
				d += load(dx + at, v, nv, c->lanes);
			store(dx + at, d, v, nv, c->lanes);
		}
	}
}

void KERNEL_NAME(norm_columns_grad)(
	const struct bp_norm_rows *p, const bp_real *x, const bp_real *dy, bool acc, bp_real *dx)
{
	struct columns c = {p, 0, VLEN};
	for (; c.at + WIDE * VLEN <= p->rows; c.at += WIDE * VLEN)
		backward(&c, x, dy, acc, dx, WIDE);
	for (; c.at < p->rows; c.at += VLEN) {
		c.lanes = p->rows - c.at < (size_t)VLEN ? (int)(p->rows - c.at) : VLEN;
		backward(&c, x, dy, acc, dx, 1);
	}
}
