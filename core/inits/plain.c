/* plain.c - initialisations that say their numbers themselves: normal, trunc_normal, uniform, constant, zeros and ones
 * of torch.nn.init. Called by net/start.c. */
#include "inits/init.h"

#include <math.h>

#include "base/status.h"

enum { MEAN, STD, LOW, HIGH };
#define MEAN_ARG                                                                                                       \
	{                                                                                                              \
		"mean", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL, "Mean."                                              \
	}
#define STD_ARG                                                                                                        \
	{                                                                                                              \
		"std", BP_ARG_REAL, false, {1}, 0, 1e6, NULL, "Standard deviation."                                    \
	}

static const struct bp_arg normal_args[] = {[MEAN] = MEAN_ARG, [STD] = STD_ARG};
static const struct bp_arg trunc_args[] = {
	[MEAN] = MEAN_ARG,
	[STD] = STD_ARG,
	[LOW] = {"a", BP_ARG_REAL, false, {-2}, -1e6, 1e6, NULL, "Least value."},
	[HIGH] = {"b", BP_ARG_REAL, false, {2}, -1e6, 1e6, NULL, "Largest value."},
};
enum { UNIFORM_LOW, UNIFORM_HIGH };
static const struct bp_arg uniform_args[] = {
	[UNIFORM_LOW] = {"a", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL, "Least value."},
	[UNIFORM_HIGH] = {"b", BP_ARG_REAL, false, {1}, -1e6, 1e6, NULL, "Largest value."},
};
static const struct bp_arg constant_args[] = {
	{"val", BP_ARG_REAL, true, {0}, -1e6, 1e6, NULL, "The value."},
};

static enum bp_status check_order(double low, double high, struct bp_error *err)
{
	if (low <= high)
		return BP_OK;
	return bp_fail(err, BP_EINVAL, -1, "a", "a must not be above b, and %g is above %g", low, high);
}

static enum bp_status check_uniform(const struct bp_item *item, const struct bp_param *p, struct bp_error *err)
{
	(void)p;
	return check_order(bp_item_real(item, UNIFORM_LOW), bp_item_real(item, UNIFORM_HIGH), err);
}

/* Phi(x) of the standard normal distribution. */
static double below(double x)
{
	return erfc(-x / sqrt(2)) / 2;
}

static double share(const struct bp_item *item, int bound)
{
	return below((bp_item_real(item, bound) - bp_item_real(item, MEAN)) / bp_item_real(item, STD));
}

static enum bp_status check_trunc(const struct bp_item *item, const struct bp_param *p, struct bp_error *err)
{
	(void)p;
	if (bp_item_real(item, STD) == 0)
		return bp_fail(err, BP_EINVAL, -1, "std", "std must be above 0");
	enum bp_status st = check_order(bp_item_real(item, LOW), bp_item_real(item, HIGH), err);
	if (!st && share(item, HIGH) - share(item, LOW) < 1e-9)
		st = bp_fail(err, BP_EINVAL, -1, "a", "next to nothing of the distribution lies between a and b");
	return st;
}

/* The polynomials of Giles, "Approximating the erfinv function", 2010, good to 7 digits, and one step of Newton's
 * method, which doubles them. u in (-1, 1). */
static double erf_inverse(double u)
{
	static const double near[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
		-0.00125372503, -0.00417768164, 0.246640727, 1.50140941};
	static const double far[] = {-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
		-0.0076224613, 0.00943887047, 1.00167406, 2.83297682};
	double w = -log((1 - u) * (1 + u)), t = w < 5 ? w - 2.5 : sqrt(w) - 3, x = 0;
	for (int i = 0; i < 9; i++)
		x = x * t + (w < 5 ? near[i] : far[i]);
	x *= u;
	return x - (erf(x) - u) / (1.1283791670955126 * exp(-x * x));
}

static enum bp_status trunc_normal(const struct bp_item *item, const struct bp_init_target *t)
{
	double low = share(item, LOW), high = share(item, HIGH), u[4];
	for (int64_t i = 0; i < t->param->size; i++) {
		if (i % 4 == 0)
			bp_init_units(t, i / 4, u);
		double x = sqrt(2) * erf_inverse(2 * (low + (high - low) * u[i % 4]) - 1);
		double v = bp_item_real(item, MEAN) + bp_item_real(item, STD) * x;
		bp_init_put(t, i, fmin(fmax(v, bp_item_real(item, LOW)), bp_item_real(item, HIGH)));
	}
	return BP_OK;
}

static enum bp_status normal(const struct bp_item *item, const struct bp_init_target *t)
{
	bp_init_fill_normal(t, bp_item_real(item, MEAN), bp_item_real(item, STD));
	return BP_OK;
}

static enum bp_status uniform(const struct bp_item *item, const struct bp_init_target *t)
{
	bp_init_fill_uniform(t, bp_item_real(item, UNIFORM_LOW), bp_item_real(item, UNIFORM_HIGH));
	return BP_OK;
}

static enum bp_status fill(const struct bp_init_target *t, double v)
{
	for (int64_t i = 0; i < t->param->size; i++)
		bp_init_put(t, i, v);
	return BP_OK;
}

static enum bp_status constant(const struct bp_item *item, const struct bp_init_target *t)
{
	return fill(t, bp_item_real(item, 0));
}

static enum bp_status zeros(const struct bp_item *item, const struct bp_init_target *t)
{
	(void)item;
	return fill(t, 0);
}

static enum bp_status ones(const struct bp_item *item, const struct bp_init_target *t)
{
	(void)item;
	return fill(t, 1);
}

const struct bp_init_ops bp_init_normal = {
	.info = {.name = "normal", .help = "Normal.", .args = normal_args, .nargs = BP_ARG_COUNT(normal_args)},
	.flat = true,
	.fill = normal,
};
const struct bp_init_ops bp_init_trunc_normal = {
	.info = {.name = "trunc_normal",
		.help = "Normal, without what lies beyond a and b.",
		.args = trunc_args,
		.nargs = BP_ARG_COUNT(trunc_args)},
	.flat = true,
	.check = check_trunc,
	.fill = trunc_normal,
};
const struct bp_init_ops bp_init_uniform = {
	.info = {.name = "uniform", .help = "Uniform.", .args = uniform_args, .nargs = BP_ARG_COUNT(uniform_args)},
	.flat = true,
	.check = check_uniform,
	.fill = uniform,
};
const struct bp_init_ops bp_init_constant = {
	.info = {.name = "constant", .help = "One value.", .args = constant_args, .nargs = BP_ARG_COUNT(constant_args)},
	.flat = true,
	.fill = constant,
};
const struct bp_init_ops bp_init_zeros = {
	.info = {.name = "zeros", .help = "Zeros."},
	.flat = true,
	.fill = zeros,
};
const struct bp_init_ops bp_init_ones = {
	.info = {.name = "ones", .help = "Ones."},
	.flat = true,
	.fill = ones,
};
