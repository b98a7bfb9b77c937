/*
 * cross_entropy.c - softmax and negative log-likelihood of rows in one (cross_entropy.h), and how many rows are largest
 * at their label. Called by losses/cross_entropy.c and train/batch.c.
 *
 * Few outputs do not fill a vector, and a row's sum across it would take longer than its exponentials. So rows of up to
 * SLIM outputs are worked on VLEN at a time, one a lane: of 3 outputs, the loss of a batch of 16 takes a tenth of the
 * instructions that it takes row by row.
 */
#include "kernels/cross_entropy.h"

#include "kernels/log1p.h"
#include "kernels/softmax.h"

enum { SLIM = 32 };

/* Rows [0, rows) of up to VLEN, lane by lane; lanes past them have the last row once more. */
VEC_INLINE vec column(const bp_real *x, size_t n, int rows)
{
	vec v = vec_zero();
	for (int j = 0; j < VLEN; j++)
		v[j] = x[(size_t)(j < rows ? j : rows - 1) * n];
	return v;
}

/* Lanes past the rows have no label. */
VEC_INLINE vint labels_load(const int32_t *labels, int rows)
{
	vint v = vint_splat(-1);
	for (int j = 0; j < rows; j++)
		v[j] = labels[j];
	return v;
}

/* Of s >= 1, as the exponent's part and log1p of the rest of the mantissa. A NaN stays. */
VEC_INLINE vec vec_log_above_1(vec s)
{
	vint bits = (vint)s;
	vint k = (bits >> vint_splat(EXP_MANTISSA)) - vint_splat(EXP_BIAS);
	vec rest = (vec)(bits - (k << vint_splat(EXP_MANTISSA))) - vec_splat(1);
	vec kf = (vec)(k + (vint)vec_splat(EXP_ROUND)) - vec_splat(EXP_ROUND);
	vec log = kf * vec_splat(EXP_LN2_HIGH) + (kf * vec_splat(EXP_LN2_LOW) + vec_log1p_unit(rest));
	return vec_select(s == s, log, s);
}

/* Rows [at, at + rows) of up to VLEN, lane by lane. */
VEC_INLINE void slim_rows(const struct bp_cross_entropy *p, size_t at, int rows)
{
	vec e[SLIM], own = vec_zero(), sum = vec_zero();
	const size_t n = p->n;
	const bp_real *x = p->x + at * n;
	const vint labels = labels_load(p->labels + at, rows);
	vec max = e[0] = column(x, n, rows);
	for (size_t j = 1; j < n; j++) {
		e[j] = column(x + j, n, rows);
		max = vec_max(max, e[j]);
	}
	for (size_t j = 0; j < n; j++) {
		vec below = e[j] - max;
		own = vec_select(labels == vint_splat((lane)j), below, own);
		e[j] = vec_exp_or_0(below);
		sum += e[j];
	}
	vec loss = vec_log_above_1(sum) - own;
	for (int i = 0; i < rows; i++)
		p->ret_loss[at + (size_t)i] = (double)loss[i];
	if (!p->ret_gradient)
		return;
	const vec factor = vec_splat(p->scale) / sum;
	bp_real *g = p->ret_gradient + at * n;
	for (size_t j = 0; j < n; j++) {
		vec d = e[j] * factor - vec_keep(labels == vint_splat((lane)j), vec_splat(p->scale));
		for (int i = 0; i < rows; i++)
			g[(size_t)i * n + j] = d[i];
	}
}

static void long_row(const struct bp_cross_entropy *p, size_t i)
{
	const int64_t n = (int64_t)p->n;
	const bp_real *x = p->x + i * p->n;
	bp_real *g = p->ret_gradient ? p->ret_gradient + i * p->n : NULL, max = row_largest(x, n);
	double sum = row_sum_exp(n, x, max, g);
	vec log = vec_log_above_1(vec_splat((bp_real)sum)), factor = vec_splat((bp_real)((double)p->scale / sum));
	p->ret_loss[i] = (double)log[0] - ((double)x[p->labels[i]] - (double)max);
	if (!g)
		return;
	int count;
	for (int64_t j = 0; j < n; j += VLEN) {
		vec v = row_load(g, n, j, &count);
		vec_store_part(g + j, v * factor, count);
	}
	g[p->labels[i]] -= p->scale;
}

void KERNEL_NAME(cross_entropy)(const struct bp_cross_entropy *from)
{
	const struct bp_cross_entropy p = *from; /* a copy, which no store can change */
	size_t i = 0;
	for (; p.n > SLIM && i < p.rows; i++)
		long_row(&p, i);
	for (; i + VLEN <= p.rows; i += VLEN)
		slim_rows(&p, i, VLEN);
	if (i < p.rows)
		slim_rows(&p, i, (int)(p.rows - i));
}

/* Minus 1 in the lanes of rows that are largest at their label. */
VEC_INLINE vint hits_of(const bp_real *x, size_t n, const int32_t *labels, int rows)
{
	vec best = column(x, n, rows);
	vint at = vint_splat(0);
	for (size_t j = 1; j < n; j++) {
		vec v = column(x + j, n, rows);
		vint more = v > best;
		best = vec_select(more, v, best);
		at = (more & vint_splat((lane)j)) | (~more & at);
	}
	return (at == labels_load(labels, rows)) & (best == best);
}

size_t KERNEL_NAME(hits)(size_t rows, size_t n, const bp_real *x, const int32_t *labels)
{
	vint seen = vint_splat(0);
	size_t i = 0, hits = 0;
	for (; i + VLEN <= rows; i += VLEN)
		seen += hits_of(x + i * n, n, labels + i, VLEN);
	if (i < rows)
		seen += hits_of(x + i * n, n, labels + i, (int)(rows - i));
	for (int j = 0; j < VLEN; j++)
		hits -= (size_t)seen[j];
	return hits;
}
