/* test_kernels_each.c - cases of the element-wise kernels, dropout and transposition (kernel_cases.h). */
#include "each_arrays.h"

#include "base/rng.h"
#include "kernels/dropout.h"

#include <check.h>
#include <math.h>

static double relu_of(double x)
{
	return x <= 0 ? 0 : x;
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

static double relu_slope(double v, double dy)
{
	return v <= 0 ? 0 : dy;
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

void check_product(const struct bp_kernels *k, struct draw *d)
{
	struct arrays a;
	arrays_init(&a, d);
	const bp_real *x[3] = {a.v, a.dy, a.dy};
	int terms = draw_int(d, 1, 3);
	bool in_place = !a.acc && draw_bool(d);
	for (size_t i = 0; i < a.n && in_place; i++)
		a.y[i] = a.before[i];
	if (in_place)
		x[0] = a.y;
	k->product(a.n, terms, x, a.acc, a.y);
	for (size_t i = 0; i < a.n; i++) {
		double want = in_place ? a.before[i] : a.v[i];
		for (int j = 1; j < terms; j++)
			want *= (double)a.dy[i];
		if (a.acc && isfinite(want))
			check_near(k, "product", i, a.y[i], want + a.before[i], ulps * (1 + fabs(want)));
		else
			check_value(k, "product", i, a.y[i], want);
	}
	arrays_done(&a);
}

void check_philox(const struct bp_kernels *k, struct draw *d)
{
	enum { MOST = 5 };
	const size_t n = 8 * (size_t)draw_int(d, 1, MOST);
	const uint64_t seed = draw_bits(d), beyond_32_bits = UINT64_C(0xfffffffc);
	const uint64_t counter = draw_bool(d) ? beyond_32_bits : draw_bits(d);
	const uint32_t sub = (uint32_t)draw_bits(d);
	uint32_t got[4 * 8 * MOST + 1];
	got[4 * n] = 1;
	k->philox(seed, BP_RNG_SHUFFLE, sub, counter, n, got);
	ck_assert_uint_eq(got[4 * n], 1);
	for (size_t i = 0; i < n; i++) {
		uint32_t want[4];
		bp_rng_block(seed, BP_RNG_SHUFFLE, sub, counter + i, want);
		ck_assert_msg(memcmp(got + 4 * i, want, sizeof want) == 0, "%s: philox: block %zu", k->name, i);
	}
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
