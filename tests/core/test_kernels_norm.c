/* test_kernels_norm.c - cases of the batch normalisation kernels (kernel_cases.h). */
#include "kernel_cases.h"

#include "kernels/norm.h"

#include <check.h>
#include <math.h>

enum { CAP = 6 };

static double sigmoid(double v)
{
	return 1 / (1 + exp(-v));
}

double act_of(enum bp_act act, double v)
{
	switch (act) {
	case BP_ACT_RELU:
		return v < 0 ? 0 : v;
	case BP_ACT_RELU6:
		return fmin(fmax(v, 0), CAP);
	case BP_ACT_HARDSWISH:
		return v * fmin(fmax(v + 3, 0), 6) / 6;
	case BP_ACT_SILU:
		return v * sigmoid(v);
	default:
		return v;
	}
}

double act_slope(enum bp_act act, double v)
{
	switch (act) {
	case BP_ACT_RELU:
		return v > 0;
	case BP_ACT_RELU6:
		return v > 0 && v < CAP;
	case BP_ACT_HARDSWISH:
		return v <= -3 ? 0 : v >= 3 ? 1 : v / 3 + 0.5;
	case BP_ACT_SILU:
		return sigmoid(v) * (1 + v * (1 - sigmoid(v)));
	default:
		return 1;
	}
}

/* Hardswish's slope leaps at -3 and 3. */
bool act_unsure(enum bp_act act, double v)
{
	if (act == BP_ACT_HARDSWISH)
		return fabs(fabs(v) - 3) < 1e-5;
	return (act == BP_ACT_RELU || act == BP_ACT_RELU6) && (fabs(v) < 1e-5 || fabs(v - CAP) < 1e-5);
}

struct norm_case {
	size_t rows, c, n;
	bp_real *x, *dy, *vectors[5]; /* scale, shift, mean, slope, offset */
	struct bp_norm norm;
};

static void norm_case_init(struct norm_case *t, struct draw *d)
{
	t->rows = (size_t)draw_int(d, 1, 40);
	t->c = (size_t)draw_int(d, 1, 70);
	t->n = t->rows * t->c;
	t->x = guard_new(t->n);
	t->dy = guard_new(t->n);
	draw_reals(d, t->x, t->n);
	draw_reals(d, t->dy, t->n);
	guard_freeze(t->x, t->n);
	guard_freeze(t->dy, t->n);
	for (int i = 0; i < 5; i++) {
		t->vectors[i] = guard_new(t->c);
		draw_reals(d, t->vectors[i], t->c);
		for (size_t j = 0; i == 1 && j < t->c; j += 2) /* outputs below the cap and above */
			t->vectors[i][j] += CAP;
		guard_freeze(t->vectors[i], t->c);
	}
	t->norm = (struct bp_norm){t->rows, t->c, (enum bp_act)draw_int(d, 0, BP_ACTS - 1), t->vectors[0],
		t->vectors[1], t->vectors[2], t->vectors[3], t->vectors[4]};
}

static void norm_case_done(struct norm_case *t)
{
	guard_free(t->x, t->n);
	guard_free(t->dy, t->n);
	for (int i = 0; i < 5; i++)
		guard_free(t->vectors[i], t->c);
}

/* Before the activation. */
static double output_at(const struct norm_case *t, size_t i)
{
	size_t j = i % t->c;
	return ((double)t->x[i] - t->norm.mean[j]) * t->norm.scale[j] + t->norm.shift[j];
}

static bool is_unsure(const struct norm_case *t, size_t i)
{
	return act_unsure(t->norm.act, output_at(t, i));
}

static double masked_at(const struct norm_case *t, size_t i)
{
	return act_slope(t->norm.act, output_at(t, i)) * t->dy[i];
}

void check_norm_stats(const struct bp_kernels *k, struct draw *d)
{
	struct norm_case t;
	norm_case_init(&t, d);
	bp_real *stats[BP_NORM_STATS];
	for (int i = 0; i < BP_NORM_STATS; i++)
		stats[i] = guard_new(t.c);
	const size_t first = (size_t)draw_int(d, 1, (int)t.rows);
	k->norm_stats(first, t.c, t.x, false, stats);
	if (first < t.rows)
		k->norm_stats(t.rows - first, t.c, t.x + first * t.c, true, stats);
	for (size_t j = 0; j < t.c; j++) {
		double sum = 0, squares = 0;
		for (size_t r = 0; r < t.rows; r++)
			sum += t.x[r * t.c + j];
		for (size_t r = 0; r < t.rows; r++)
			squares += pow(t.x[r * t.c + j] - sum / (double)t.rows, 2);
		const bp_real column[] = {stats[0][j], stats[1][j], stats[2][j]};
		double mean, m2;
		bp_norm_moments(column, (double)t.rows, &mean, &m2);
		check_near(k, "mean", j, (bp_real)mean, sum / (double)t.rows, rounding(1));
		check_near(k, "m2", j, (bp_real)m2, squares, rounding(t.rows));
	}
	for (int i = 0; i < BP_NORM_STATS; i++)
		guard_free(stats[i], t.c);
	norm_case_done(&t);
}

void check_norm_apply(const struct bp_kernels *k, struct draw *d)
{
	struct norm_case t;
	norm_case_init(&t, d);
	bp_real *y = guard_new(t.n);
	k->norm_apply(&t.norm, t.x, y);
	for (size_t i = 0; i < t.n; i++) {
		check_near(k, "norm_apply", i, y[i], act_of(t.norm.act, output_at(&t, i)), CAP * rounding(2));
	}
	guard_free(y, t.n);
	norm_case_done(&t);
}

void check_norm_grad_sums(const struct bp_kernels *k, struct draw *d)
{
	struct norm_case t;
	norm_case_init(&t, d);
	bp_real *sum = guard_new(t.c), *dot = guard_new(t.c);
	const size_t first = (size_t)draw_int(d, 1, (int)t.rows);
	struct bp_norm part = t.norm;
	part.rows = first;
	k->norm_grad_sums(&part, t.x, t.dy, false, sum, dot);
	part.rows = t.rows - first;
	if (part.rows)
		k->norm_grad_sums(&part, t.x + first * t.c, t.dy + first * t.c, true, sum, dot);
	for (size_t j = 0; j < t.c; j++) {
		double s = 0, p = 0, s_terms = 0, p_terms = 0; /* terms: of their sizes, what rounding goes by */
		bool unsure = false;
		for (size_t r = 0; r < t.rows; r++) {
			const size_t i = r * t.c + j;
			const double term = masked_at(&t, i), far = (double)t.x[i] - t.norm.mean[j];
			s += term;
			p += term * far;
			s_terms += fabs(term);
			p_terms += fabs(term * far);
			unsure |= is_unsure(&t, i);
		}
		if (unsure)
			continue;
		check_near(k, "sum", j, sum[j], s, rounding(t.rows) * (1 + s_terms) / (1 + fabs(s)));
		check_near(k, "dot", j, dot[j], p, rounding(t.rows) * 2 * (1 + p_terms) / (1 + fabs(p)));
	}
	guard_free(sum, t.c);
	guard_free(dot, t.c);
	norm_case_done(&t);
}

void check_norm_grad(const struct bp_kernels *k, struct draw *d)
{
	struct norm_case t;
	norm_case_init(&t, d);
	bp_real *dx = guard_new(t.n);
	bool acc = draw_bool(d);
	for (size_t i = 0; acc && i < t.n; i++)
		dx[i] = 1;
	k->norm_grad(&t.norm, t.x, t.dy, acc, dx);
	for (size_t i = 0; i < t.n; i++) {
		size_t j = i % t.c;
		double want = masked_at(&t, i) * t.norm.scale[j] -
			      (((double)t.x[i] - t.norm.mean[j]) * t.norm.slope[j] + t.norm.offset[j]);
		if (!is_unsure(&t, i))
			check_near(k, "norm_grad", i, dx[i], want + acc, rounding(4));
	}
	guard_free(dx, t.n);
	norm_case_done(&t);
}
