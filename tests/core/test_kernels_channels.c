/*
 * test_kernels_channels.c - cases of the kernels with one constant a channel, and of those of gated and of
 * softmax rows (kernel_cases.h).
 */
#include "kernel_cases.h"
#include "kernels/channels.h"

#include <check.h>
#include <math.h>

/* A few units in the last place, of one operation after another. */
static const double ulps = sizeof(bp_real) == 8 ? 1e-15 : 5e-7;

enum { MOST = 70 * 70 };

/* x, dy and the output y of rows x c elements, and c constants. */
struct table {
	size_t rows, c, n;
	bp_real *x, *dy, *y, *constant;
	bp_real before[MOST]; /* what y holds, when acc */
	bool acc;
};

static void table_init(struct table *t, struct draw *d)
{
	t->rows = (size_t)draw_int(d, 1, 70);
	t->c = (size_t)draw_int(d, 1, 70);
	t->n = t->rows * t->c;
	t->x = guard_new(t->n);
	t->dy = guard_new(t->n);
	t->y = guard_new(t->n);
	t->constant = guard_new(t->c);
	t->acc = draw_bool(d);
	draw_reals(d, t->x, t->n);
	draw_reals(d, t->dy, t->n);
	draw_reals(d, t->constant, t->c);
	for (size_t i = 0; i < t->n; i += 7)
		t->x[i] = 0;
	for (size_t i = 0; i < t->n; i++) {
		t->before[i] = draw_real(d);
		if (t->acc)
			t->y[i] = t->before[i];
	}
	guard_freeze(t->x, t->n);
	guard_freeze(t->dy, t->n);
	guard_freeze(t->constant, t->c);
}

static void table_done(struct table *t)
{
	guard_free(t->x, t->n);
	guard_free(t->dy, t->n);
	guard_free(t->y, t->n);
	guard_free(t->constant, t->c);
}

static double before(const struct table *t, size_t i)
{
	return t->acc ? (double)t->before[i] : 0;
}

void check_scale_channels(const struct bp_kernels *k, struct draw *d)
{
	struct table t;
	table_init(&t, d);
	k->scale_channels(t.rows, t.c, t.constant, t.x, t.acc, t.y);
	for (size_t i = 0; i < t.n; i++)
		check_near(k, "scale_channels", i, t.y[i], (double)t.x[i] * t.constant[i % t.c] + before(&t, i), ulps);
	table_done(&t);
}

void check_prelu(const struct bp_kernels *k, struct draw *d)
{
	struct table t;
	table_init(&t, d);
	k->prelu(t.rows, t.c, t.constant, t.x, t.y);
	for (size_t i = 0; i < t.n; i++)
		check_near(k, "prelu", i, t.y[i], t.x[i] > 0 ? t.x[i] : (double)t.x[i] * t.constant[i % t.c], ulps);
	table_done(&t);
}

void check_prelu_grad(const struct bp_kernels *k, struct draw *d)
{
	struct table t;
	double sums[70] = {0};
	table_init(&t, d);
	bp_real *slopes = guard_new(t.c);
	bool wanted = draw_int(d, 0, 3) > 0;
	struct bp_prelu_grad p = {
		.rows = t.rows,
		.c = t.c,
		.slope = t.constant,
		.x = t.x,
		.dy = t.dy,
		.acc = t.acc,
		.dx = wanted ? t.y : NULL,
		.ret_slope = slopes,
	};
	k->prelu_grad(&p);
	for (size_t i = 0; i < t.n; i++) {
		double dy = t.dy[i], g = t.x[i] > 0 ? dy : dy * t.constant[i % t.c];
		sums[i % t.c] += t.x[i] > 0 ? 0 : t.x[i] * dy;
		if (wanted)
			check_near(k, "prelu_grad", i, t.y[i], g + before(&t, i), ulps);
	}
	for (size_t j = 0; j < t.c; j++)
		check_near(k, "prelu_grad sums", j, slopes[j], sums[j], rounding(t.rows));
	guard_free(slopes, t.c);
	table_done(&t);
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Each row of the output has half of those of x: the gate is c elements behind. */
void check_glu(const struct bp_kernels *k, struct draw *d)
{
	struct table t;
	table_init(&t, d);
	size_t c = (t.c + 1) / 2, rows = t.n / (2 * c);
	k->glu(rows, c, t.x, t.y);
	for (size_t i = 0; i < rows * c; i++) {
		size_t at = i / c * 2 * c + i % c;
		check_near(k, "glu", i, t.y[i], t.x[at] * sigmoid(t.x[at + c]), ulps);
	}
	table_done(&t);
}

void check_glu_grad(const struct bp_kernels *k, struct draw *d)
{
	struct table t;
	table_init(&t, d);
	size_t c = (t.c + 1) / 2, rows = t.n / (2 * c);
	k->glu_grad(rows, c, t.x, t.dy, t.acc, t.y);
	for (size_t i = 0; i < rows * c; i++) {
		size_t at = i / c * 2 * c + i % c;
		double s = sigmoid(t.x[at + c]), dy = t.dy[i];
		check_near(k, "glu_grad", at, t.y[at], dy * s + before(&t, at), ulps);
		check_near(k, "glu_grad", at + c, t.y[at + c], dy * t.x[at] * s * (1 - s) + before(&t, at + c), ulps);
	}
	table_done(&t);
}

/* One row of 1 to MOST values, the largest of them far from 0; sometimes one is a NaN or an infinity. */
struct row {
	int64_t n;
	bool log_of;
	bp_real *x;
	double max, sum;
};

static void row_init(struct row *r, struct draw *d)
{
	*r = (struct row){.n = draw_bool(d) ? draw_int(d, 1, 40) : draw_int(d, 1, MOST), .log_of = draw_bool(d)};
	r->x = guard_new((size_t)r->n);
	bp_real offset = draw_bool(d) ? 0 : draw_bool(d) ? 1000 : -1000;
	for (int64_t i = 0; i < r->n; i++)
		r->x[i] = offset + 4 * draw_real(d);
	int64_t odd = draw_int(d, 0, (int)r->n - 1);
	int which = draw_int(d, 0, 9);
	if (which < 3 && r->n > 1)
		r->x[odd] = which == 0 ? (bp_real)NAN : which == 1 ? (bp_real)INFINITY : -(bp_real)INFINITY;
	guard_freeze(r->x, (size_t)r->n);
	r->max = -INFINITY;
	for (int64_t i = 0; i < r->n; i++)
		r->max = fmax(r->max, r->x[i]);
	for (int64_t i = 0; i < r->n; i++)
		r->sum += exp(r->x[i] - r->max);
}

static double softmax_of(const struct row *r, int64_t i)
{
	double shifted = r->x[i] - r->max;
	return r->log_of ? shifted - log(r->sum) : exp(shifted) / r->sum;
}

void check_softmax(const struct bp_kernels *k, struct draw *d)
{
	struct row r;
	row_init(&r, d);
	bp_real *y = guard_new((size_t)r.n);
	k->softmax(r.n, r.log_of, r.x, y);
	for (int64_t i = 0; i < r.n; i++) {
		double want = softmax_of(&r, i);
		if (isinf(want))
			ck_assert(y[i] == (bp_real)want);
		else
			check_near(k, "softmax", (size_t)i, y[i], want, 2 * ulps);
	}
	guard_free(y, (size_t)r.n);
	guard_free(r.x, (size_t)r.n);
}

void check_softmax_grad(const struct bp_kernels *k, struct draw *d)
{
	struct row r;
	row_init(&r, d);
	size_t n = (size_t)r.n;
	bp_real *y = guard_new(n), *dy = guard_new(n), *dx = guard_new(n);
	bool acc = draw_bool(d);
	double sum = 0;
	draw_reals(d, dy, n);
	for (size_t i = 0; i < n; i++) {
		y[i] = (bp_real)softmax_of(&r, (int64_t)i);
		sum += r.log_of ? dy[i] : (double)dy[i] * y[i];
		if (acc)
			dx[i] = (bp_real)0.25;
	}
	guard_freeze(y, n);
	guard_freeze(dy, n);
	k->softmax_grad(r.n, r.log_of, y, dy, acc, dx);
	for (size_t i = 0; i < n; i++) {
		double want = (r.log_of ? dy[i] - exp(y[i]) * sum : y[i] * (dy[i] - sum)) + (acc ? 0.25 : 0);
		check_near(k, "softmax_grad", i, dx[i], want, rounding(n));
	}
	guard_free(y, n);
	guard_free(dy, n);
	guard_free(dx, n);
	guard_free(r.x, n);
}
