/* test_kernels_rows.c - cases of the kernels that normalise rows and resample maps (kernel_cases.h). */
#include "kernel_cases.h"

#include "kernels/norm_rows.h"
#include "kernels/resample.h"

#include <math.h>
#include <string.h>

/* Of rows, or of columns that lie transposed. */
struct rows_case {
	size_t rows, n;
	bool columns;
	double eps;
	bp_real *x, *dy, *weight, *bias, *mean, *invstd;
	struct bp_norm_rows p;
};

/* Where element i of row r is. */
static size_t place(const struct rows_case *t, size_t r, size_t i)
{
	return t->columns ? i * t->rows + r : r * t->n + i;
}

static void rows_case_init(struct rows_case *t, struct draw *d, bool columns)
{
	*t = (struct rows_case){.rows = (size_t)draw_int(d, 1, columns ? 140 : 5),
		.n = (size_t)draw_int(d, 1, 90),
		.columns = columns,
		.eps = 0.01};
	if (draw_int(d, 0, 9) == 0) { /* of several chunks */
		t->rows = (size_t)draw_int(d, 1, 5);
		t->n = (size_t)draw_int(d, 900, 2600);
	}
	t->x = guard_new(t->rows * t->n);
	t->dy = guard_new(t->rows * t->n);
	t->weight = guard_new(t->n);
	t->bias = guard_new(t->n);
	t->mean = guard_new(t->rows);
	t->invstd = guard_new(t->rows);
	draw_reals(d, t->x, t->rows * t->n);
	draw_reals(d, t->dy, t->rows * t->n);
	draw_reals(d, t->weight, t->n);
	draw_reals(d, t->bias, t->n);
	guard_freeze(t->x, t->rows * t->n);
	guard_freeze(t->weight, t->n);
	guard_freeze(t->bias, t->n);
	t->p = (struct bp_norm_rows){.rows = t->rows, .n = t->n, .eps = t->eps, .mean = t->mean, .invstd = t->invstd};
	t->p.weight = draw_bool(d) ? t->weight : NULL;
	t->p.bias = t->p.weight && draw_bool(d) ? t->bias : NULL;
}

static void rows_case_done(struct rows_case *t)
{
	guard_free(t->x, t->rows * t->n);
	guard_free(t->dy, t->rows * t->n);
	guard_free(t->weight, t->n);
	guard_free(t->bias, t->n);
	guard_free(t->mean, t->rows);
	guard_free(t->invstd, t->rows);
}

static void row_statistics(const struct rows_case *t, size_t r, double *ret_mean, double *ret_invstd)
{
	double sum = 0, squares = 0;
	for (size_t i = 0; i < t->n; i++)
		sum += t->x[place(t, r, i)];
	*ret_mean = sum / (double)t->n;
	for (size_t i = 0; i < t->n; i++)
		squares += pow(t->x[place(t, r, i)] - *ret_mean, 2);
	*ret_invstd = 1 / sqrt(squares / (double)t->n + t->eps);
}

static double weight_of(const struct rows_case *t, size_t i)
{
	return t->p.weight ? t->weight[i] : 1;
}

static void check_forward(const struct bp_kernels *k, struct draw *d, bool columns)
{
	struct rows_case t;
	rows_case_init(&t, d, columns);
	const bool kept = draw_bool(d);
	bp_real *y = guard_new(t.rows * t.n);
	if (!kept)
		t.p.mean = NULL;
	(columns ? k->norm_columns : k->norm_rows)(&t.p, t.x, y);
	for (size_t r = 0; r < t.rows; r++) {
		double mean, invstd;
		row_statistics(&t, r, &mean, &invstd);
		check_near(k, "mean", r, t.mean[r], kept ? mean : (double)GUARD_POISON, rounding(1));
		check_near(k, "invstd", r, t.invstd[r], kept ? invstd : (double)GUARD_POISON, rounding(64));
		for (size_t i = 0; i < t.n; i++) {
			double want = (t.x[place(&t, r, i)] - mean) * invstd * weight_of(&t, i);
			want += t.p.bias ? t.bias[i] : 0;
			check_near(k, columns ? "norm_columns" : "norm_rows", r * t.n + i, y[place(&t, r, i)], want,
				rounding(64));
		}
	}
	guard_free(y, t.rows * t.n);
	rows_case_done(&t);
}

void check_norm_rows(const struct bp_kernels *k, struct draw *d)
{
	check_forward(k, d, false);
}

void check_norm_columns(const struct bp_kernels *k, struct draw *d)
{
	check_forward(k, d, true);
}

/* dx of one row, and its part of dweight and dbias. */
static void row_gradient(const struct rows_case *t, size_t r, double *ret_dx, double *dweight, double *dbias)
{
	const double mean = t->mean[r], invstd = t->invstd[r], n = (double)t->n;
	double sum = 0, dot = 0;
	for (size_t i = 0; i < t->n; i++) {
		double dy = t->dy[place(t, r, i)], hat = (t->x[place(t, r, i)] - mean) * invstd;
		sum += dy * weight_of(t, i);
		dot += dy * weight_of(t, i) * hat;
		dweight[i] += dy * hat;
		dbias[i] += dy;
	}
	for (size_t i = 0; i < t->n; i++) {
		double g = t->dy[place(t, r, i)] * weight_of(t, i), hat = (t->x[place(t, r, i)] - mean) * invstd;
		ret_dx[i] = invstd * (g - sum / n - hat * dot / n);
	}
}

static void check_backward(const struct bp_kernels *k, struct draw *d, bool columns)
{
	enum { MOST = 2600 };
	static double dx[MOST], dweight[MOST], dbias[MOST];
	struct rows_case t;
	rows_case_init(&t, d, columns);
	const size_t all = t.rows * t.n;
	const bool acc = draw_bool(d), inplace = !acc && draw_bool(d), wanted = draw_bool(d);
	bp_real *sums[2] = {guard_new(t.n), guard_new(t.n)}, *before = guard_new(all), *got = guard_new(all);
	memset(dweight, 0, sizeof(dweight));
	memset(dbias, 0, sizeof(dbias));
	for (size_t r = 0; r < t.rows; r++) {
		double mean, invstd;
		row_statistics(&t, r, &mean, &invstd);
		t.mean[r] = (bp_real)mean;
		t.invstd[r] = (bp_real)invstd;
	}
	draw_reals(d, before, all);
	memcpy(got, inplace ? t.dy : before, all * sizeof(bp_real));
	for (size_t i = 0; i < t.n; i++) {
		sums[0][i] = (bp_real)(dweight[i] = draw_real(d));
		sums[1][i] = (bp_real)(dbias[i] = draw_real(d));
	}
	if (wanted) {
		t.p.dweight = sums[0];
		t.p.dbias = sums[1];
	}
	(columns ? k->norm_columns_grad : k->norm_rows_grad)(&t.p, t.x, inplace ? got : t.dy, acc, got);
	const double tolerance = rounding(16 * t.n);
	for (size_t r = 0; r < t.rows; r++) {
		static double unused[2][MOST];
		row_gradient(&t, r, dx, wanted ? dweight : unused[0], wanted ? dbias : unused[1]);
		for (size_t i = 0; i < t.n; i++) {
			size_t at = place(&t, r, i);
			check_near(k, "dx", at, got[at], dx[i] + (acc ? before[at] : 0), tolerance);
		}
	}
	for (size_t i = 0; i < t.n; i++) {
		check_near(k, "dweight", i, sums[0][i], dweight[i], rounding(64));
		check_near(k, "dbias", i, sums[1][i], dbias[i], rounding(64));
	}
	guard_free(sums[0], t.n);
	guard_free(sums[1], t.n);
	guard_free(before, all);
	guard_free(got, all);
	rows_case_done(&t);
}

void check_norm_rows_grad(const struct bp_kernels *k, struct draw *d)
{
	check_backward(k, d, false);
}

void check_norm_columns_grad(const struct bp_kernels *k, struct draw *d)
{
	check_backward(k, d, true);
}

enum { PLACES = 6, ENTRIES = 5 * PLACES };

/* An axis whose places are sums of none to five others. */
struct axis_case {
	struct bp_resample_axis a;
	int32_t begin[PLACES + 1], from[ENTRIES];
	bp_real weight[ENTRIES];
};

static void axis_case_init(struct axis_case *t, struct draw *d)
{
	t->a = (struct bp_resample_axis){draw_int(d, 1, PLACES), draw_int(d, 1, PLACES), t->begin, t->from, t->weight};
	t->begin[0] = 0;
	for (int o = 0; o < t->a.out; o++) {
		int n = t->begin[o] + draw_int(d, 0, 5);
		for (int k = t->begin[o]; k < n; k++)
			t->from[k] = draw_int(d, 0, t->a.in - 1);
		t->begin[o + 1] = n;
	}
	draw_reals(d, t->weight, ENTRIES);
}

void check_resample(const struct bp_kernels *k, struct draw *d)
{
	struct axis_case v, h;
	axis_case_init(&v, d);
	axis_case_init(&h, d);
	struct bp_resample p = {v.a, h.a, draw_int(d, 1, 40)};
	const size_t nx = (size_t)(v.a.in * h.a.in * p.c), ny = (size_t)(h.a.out * p.c);
	const bool acc = draw_bool(d);
	const int row = draw_int(d, 0, v.a.out - 1);
	bp_real *x = guard_new(nx), *y = guard_new(ny), *before = guard_new(ny);
	draw_reals(d, x, nx);
	draw_reals(d, before, ny);
	guard_freeze(x, nx);
	if (acc)
		memcpy(y, before, ny * sizeof(*y));
	k->resample(&p, row, x, acc, y);
	for (int o = 0; o < h.a.out; o++)
		for (int c = 0; c < p.c; c++) {
			double want = acc ? before[o * p.c + c] : 0;
			for (int a = v.begin[row]; a < v.begin[row + 1]; a++)
				for (int b = h.begin[o]; b < h.begin[o + 1]; b++)
					want += (double)v.weight[a] * h.weight[b] *
						x[(v.from[a] * h.a.in + h.from[b]) * p.c + c];
			check_near(k, "resample", (size_t)(o * p.c + c), y[o * p.c + c], want, rounding(25));
		}
	guard_free(x, nx);
	guard_free(y, ny);
	guard_free(before, ny);
}
