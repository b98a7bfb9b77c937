/*
 * test_kernels_pointwise.c - cases of the kernels pointwise and pointwise_grad (kernel_cases.h): every function of
 * pointwise.def against its definition in long double.
 */
#include "each_arrays.h"
#include "kernels/pointwise.h"

#include <check.h>
#include <math.h>

/* The constants with which each is tested. */
static const long double a_leaky = (bp_real)0.3, a_elu = (bp_real)0.7, b_elu = (bp_real)1.3;

static long double leaky_relu_of(long double x)
{
	return x > 0 ? x : x * a_leaky;
}
static long double leaky_relu_slope(long double x)
{
	return x > 0 ? 1 : a_leaky;
}

static long double sigmoid_of(long double x)
{
	return 1 / (1 + expl(-x));
}
static long double sigmoid_slope(long double x)
{
	return sigmoid_of(x) * sigmoid_of(-x);
}

static long double tanh_of(long double x)
{
	return tanhl(x);
}
static long double tanh_slope(long double x)
{
	return 1 / (coshl(x) * coshl(x));
}

static long double hardtanh_of(long double x)
{
	return x < -0.5L ? -0.5L : x > 6 ? 6 : x;
}
static long double hardtanh_slope(long double x)
{
	return x > -0.5L && x < 6;
}

static long double hardsigmoid_of(long double x)
{
	return x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6;
}
static long double hardsigmoid_slope(long double x)
{
	return x > -3 && x < 3 ? 1 / 6.0L : 0;
}

static long double elu_of(long double x)
{
	return x > 0 ? x * b_elu : a_elu * expm1l(x);
}
static long double elu_slope(long double x)
{
	return x > 0 ? b_elu : a_elu * expl(x);
}

static long double softplus_of(long double x)
{
	return 2 * x > 20 ? x : log1pl(expl(2 * x)) / 2;
}
static long double softplus_slope(long double x)
{
	return 2 * x > 20 ? 1 : sigmoid_of(2 * x);
}
static long double softplus_low_of(long double x)
{
	return x / 2 > 0.25L ? x : log1pl(expl(x / 2)) * 2;
}
static long double softplus_low_slope(long double x)
{
	return x / 2 > 0.25L ? 1 : sigmoid_of(x / 2);
}

static long double normal_below(long double x)
{
	return erfcl(-x / sqrtl(2)) / 2;
}
static long double gelu_of(long double x)
{
	return x * normal_below(x);
}
static long double gelu_slope(long double x)
{
	return normal_below(x) + x * expl(-x * x / 2) / sqrtl(2 * acosl(-1));
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u), which loses nothing below 0. */
static long double gelu_tanh_of(long double x)
{
	return x * sigmoid_of(2 * sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x));
}
static long double gelu_tanh_slope(long double x)
{
	long double u = sqrtl(2 / acosl(-1)) * (x + 0.044715L * x * x * x);
	return sigmoid_of(2 * u) + 2 * x * sigmoid_slope(2 * u) * sqrtl(2 / acosl(-1)) * (1 + 3 * 0.044715L * x * x);
}

static long double silu_of(long double x)
{
	return x * sigmoid_of(x);
}
static long double silu_slope(long double x)
{
	return sigmoid_of(x) + x * sigmoid_slope(x);
}

static long double mish_of(long double x)
{
	return x * tanhl(log1pl(expl(x)));
}
static long double mish_slope(long double x)
{
	long double t = tanhl(log1pl(expl(x)));
	return t + x * (1 - t * t) * sigmoid_of(x);
}

static long double hardswish_of(long double x)
{
	return x * hardsigmoid_of(x);
}
static long double hardswish_slope(long double x)
{
	return x <= -3 ? 0 : x >= 3 ? 1 : x / 3 + 0.5L;
}

static const struct bp_function trials[] = {
	{BP_FN_leaky_relu, true, (bp_real)0.3, 0},
	{BP_FN_leaky_relu, false, (bp_real)0.3, 0},
	{BP_FN_sigmoid, true, 0, 0},
	{BP_FN_tanh, true, 0, 0},
	{BP_FN_hardtanh, true, (bp_real)-0.5, 6},
	{BP_FN_hardsigmoid, true, 0, 0},
	{BP_FN_elu, true, (bp_real)0.7, (bp_real)1.3},
	{BP_FN_softplus, true, 2, 20},
	{BP_FN_softplus_low, false, (bp_real)0.5, (bp_real)0.25},
	{BP_FN_gelu, false, 0, 0},
	{BP_FN_gelu_tanh, false, 0, 0},
	{BP_FN_silu, false, 0, 0},
	{BP_FN_mish, false, 0, 0},
	{BP_FN_hardswish, false, 0, 0},
};
enum { TRIALS = sizeof trials / sizeof trials[0] };

static const struct {
	const char *name;
	long double (*of)(long double x);
	long double (*slope)(long double x);
} wanted[] = {
#define FUNCTION(name) [BP_FN_##name] = {#name, name##_of, name##_slope},
#include "kernels/pointwise.def"
};

/* Small relative error, also where f is close to 0; rounding of the argument grows with its powers. */
static bool is_near(bp_real x, bp_real got, long double want)
{
	const double smallest = sizeof(bp_real) == 8 ? 1e-300 : 1e-35;
	if (isnan(want) || isinf(want))
		return isnan(want) ? isnan(got) : got == (bp_real)want;
	return fabsl(got - want) <= 2 * ulps * (1 + fminl(x * x, 1e4L)) * fabsl(want) + smallest;
}

void check_pointwise(const struct bp_kernels *k, struct draw *d)
{
	for (int t = 0; t < TRIALS; t++) {
		struct arrays a;
		int kind = trials[t].kind;
		arrays_init(&a, d);
		k->pointwise(&trials[t], a.n, a.v, a.y);
		for (size_t i = 0; i < a.n; i++)
			if (!is_near(a.v[i], a.y[i], wanted[kind].of(a.v[i])))
				ck_abort_msg("%s: %s(%.9g) is %.9g, not %.9Lg", k->name, wanted[kind].name,
					(double)a.v[i], (double)a.y[i], wanted[kind].of(a.v[i]));
		arrays_done(&a);
	}
}

void check_pointwise_grad(const struct bp_kernels *k, struct draw *d)
{
	for (int t = 0; t < TRIALS; t++) {
		struct arrays a;
		int kind = trials[t].kind;
		arrays_init(&a, d);
		bp_real *y = guard_new(a.n);
		for (size_t i = 0; i < a.n; i++)
			y[i] = (bp_real)wanted[kind].of(a.v[i]);
		guard_freeze(y, a.n);
		k->pointwise_grad(&trials[t], a.n, trials[t].from_y ? y : a.v, a.dy, a.acc, a.y);
		for (size_t i = 0; i < a.n; i++) {
			long double want = wanted[kind].slope(a.v[i]) * a.dy[i] + (a.acc ? a.before[i] : 0);
			/* From y softplus knows it to exp(-20). */
			if (isfinite(a.v[i]))
				check_near(k, wanted[kind].name, i, a.y[i], (double)want,
					kind == BP_FN_softplus ? 4e-9 + 4 * ulps : 4 * ulps);
		}
		guard_free(y, a.n);
		arrays_done(&a);
	}
}
