/* test_kernels_each.c - cases of the element-wise kernels, dropout and transposition (kernel_cases.h). */
#include "kernel_cases.h"

#include "base/rng.h"
#include "kernels/dropout.h"

#include <check.h>
#include <math.h>

/* Rounding of the elementary functions: a few units in the last place. */
static const double ulps = sizeof(bp_real) == 8 ? 1e-15 : 5e-7;

static void check_value(const struct bp_kernels *k, const char *where, size_t i, bp_real got, double want)
{
	if (isinf(want) && got != (bp_real)want)
		ck_abort_msg("%s: %s[%zu] is %g, not %g", k->name, where, i, (double)got, want);
	if (!isinf(want))
		check_near(k, where, i, got, want, ulps);
}

struct arrays {
	size_t n;
	bp_real *v, *dy, *y; /* two inputs, one output */
	bp_real before[600]; /* what the output holds */
	bool acc;
};

/* Wide values, so that functions saturate; sometimes a zero, an infinity or a NaN. */
static bp_real draw_any(struct draw *d)
{
	switch (draw_int(d, 0, 40)) {
	case 0:
		return 0;
	case 1:
		return NAN;
	case 2:
		return draw_bool(d) ? INFINITY : -INFINITY;
	}
	return draw_real(d) * (bp_real)pow(10, draw_int(d, -4, 2));
}

static void arrays_init(struct arrays *a, struct draw *d)
{
	a->n = (size_t)draw_int(d, 0, 500);
	a->v = guard_new(a->n);
	a->dy = guard_new(a->n);
	a->y = guard_new(a->n);
	a->acc = draw_bool(d);
	for (size_t i = 0; i < a->n; i++) {
		a->v[i] = draw_any(d);
		a->dy[i] = draw_real(d);
		a->before[i] = draw_real(d);
		if (a->acc)
			a->y[i] = a->before[i];
	}
	guard_freeze(a->v, a->n);
	guard_freeze(a->dy, a->n);
}

static void arrays_done(struct arrays *a)
{
	guard_free(a->v, a->n);
	guard_free(a->dy, a->n);
	guard_free(a->y, a->n);
}

static double relu_of(double x)
{
	return x <= 0 ? 0 : x;
}
static double sigmoid_of(double x)
{
	return 1 / (1 + exp(-x));
}
static double leaky_of(double x)
{
	return x > 0 ? x : x * (bp_real)0.3;
}

static void check_map(const struct bp_kernels *k, const char *name, struct arrays *a, double (*want)(double))
{
	for (size_t i = 0; i < a->n; i++)
		check_value(k, name, i, a->y[i], want(a->v[i]));
	arrays_done(a);
}

void check_relu(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->relu(a.n, a.v, a.y);
	check_map(k, "relu", &a, relu_of);
}

void check_leaky_relu(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->leaky_relu(a.n, (bp_real)0.3, a.v, a.y);
	check_map(k, "leaky_relu", &a, leaky_of);
}

void check_sigmoid(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->sigmoid(a.n, a.v, a.y);
	check_map(k, "sigmoid", &a, sigmoid_of);
}

void check_tanh(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->tanh(a.n, a.v, a.y);
	/* Relative near 0, where it matters that tanh(x) is x. */
	for (size_t i = 0; i < a.n; i++)
		if (fabs(a.v[i]) < 1)
			ck_assert_double_le(fabs(a.y[i] - tanh(a.v[i])), 2 * ulps * fabs(a.v[i]));
	check_map(k, "tanh", &a, tanh);
}

static double relu_slope(double v, double dy)
{
	return v <= 0 ? 0 : dy;
}
static double leaky_slope(double v, double dy)
{
	return v > 0 ? dy : dy * (bp_real)0.3;
}
static double sigmoid_slope(double v, double dy)
{
	return dy * v * (1 - v);
}
static double tanh_slope(double v, double dy)
{
	return dy * (1 - v * v);
}

static void check_grad(const struct bp_kernels *k, const char *name, struct arrays *a, double (*want)(double, double))
{
	for (size_t i = 0; i < a->n; i++) {
		double v = a->v[i], w = want(v, a->dy[i]) + (a->acc ? a->before[i] : 0);
		if (isinf(w))
			check_value(k, name, i, a->y[i], w);
		else
			check_near(k, name, i, a->y[i], w, isfinite(v) ? ulps * (1 + v * v) : ulps);
	}
	arrays_done(a);
}

void check_relu_grad(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->relu_grad(a.n, a.v, a.dy, a.acc, a.y);
	check_grad(k, "relu_grad", &a, relu_slope);
}

void check_leaky_relu_grad(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->leaky_relu_grad(a.n, (bp_real)0.3, a.v, a.dy, a.acc, a.y);
	check_grad(k, "leaky_relu_grad", &a, leaky_slope);
}

void check_sigmoid_grad(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->sigmoid_grad(a.n, a.v, a.dy, a.acc, a.y);
	check_grad(k, "sigmoid_grad", &a, sigmoid_slope);
}

void check_tanh_grad(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	k->tanh_grad(a.n, a.v, a.dy, a.acc, a.y);
	check_grad(k, "tanh_grad", &a, tanh_slope);
}

void check_sum(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	bool relu = draw_bool(d), in_place = a.acc;
	const bp_real *x[3] = {a.v, a.dy, a.dy};
	int terms = draw_int(d, 1, 3);
	if (in_place)
		x[0] = a.y;
	k->sum(a.n, terms, x, relu, a.y);
	for (size_t i = 0; i < a.n; i++) {
		double want = (in_place ? a.before[i] : a.v[i]) + (terms - 1) * (double)a.dy[i];
		check_value(k, "sum", i, a.y[i], relu ? relu_of(want) : want);
	}
	arrays_done(&a);
}

static uint32_t number_at(uint64_t seed, uint64_t i)
{
	uint32_t r[4];
	bp_rng_block(seed, BP_RNG_DROPOUT, 0, i / 4, r);
	return r[i % 4];
}

void check_dropout(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	static const uint64_t drops[] = {0, 1u << 31, 3u << 30, (uint64_t)1 << 32};
	struct bp_dropout p = {
		.n = a.n,
		.seed = draw_bits(d),
		/* Also where the counter passes 32 bits. */
		.first =
			draw_bool(d) ? ((uint64_t)1 << 34) - BP_DROPOUT_GROUP : BP_DROPOUT_GROUP * (draw_bits(d) >> 40),
		.drop = drops[draw_int(d, 0, 3)],
		.scale = 2,
		.x = a.v,
		.acc = a.acc,
		.y = a.y,
	};
	k->dropout(&p);
	for (size_t i = 0; i < a.n; i++) {
		double want = a.v[i] * (number_at(p.seed, p.first + i) >= p.drop ? 2.0 : 0.0);
		check_value(k, "dropout", i, a.y[i], want + (a.acc ? a.before[i] : 0));
	}
	arrays_done(&a);
}

void check_transpose(const struct bp_kernels *k, struct draw *d)
{
	size_t rows = (size_t)draw_int(d, 1, 40), cols = (size_t)draw_int(d, 1, 40), n = rows * cols;
	bp_real *x = guard_new(n), *y = guard_new(n);
	bool acc = draw_bool(d);
	draw_reals(d, x, n);
	for (size_t i = 0; acc && i < n; i++)
		y[i] = (bp_real)i;
	guard_freeze(x, n);
	k->transpose(rows, cols, x, acc, y);
	for (size_t i = 0; i < n; i++)
		check_near(k, "transpose", i, y[i], x[i % rows * cols + i / rows] + (acc ? (double)i : 0), ulps);
	guard_free(x, n);
	guard_free(y, n);
}
