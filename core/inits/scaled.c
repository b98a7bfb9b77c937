/*
 * scaled.c - initialisations whose spread follows from the size of the tensor: Kaiming (He et al., "Delving deep into
 * rectifiers", 2015) and Xavier (Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
 * networks", 2010), as torch.nn.init defines them. Called by net/start.c.
 */
#include "inits/init.h"

#include <math.h>

enum { MODE, NONLINEARITY, SLOPE, KAIMING_ARGS };
enum { FAN_IN, FAN_OUT };
enum { LINEAR, SIGMOID, TANH, RELU, LEAKY_RELU, SELU };

static const struct bp_arg kaiming_args[KAIMING_ARGS] = {
	[MODE] = {"mode", BP_ARG_CHOICE, false, {FAN_IN}, 0, 0, "fan_in|fan_out",
		"Whose spread is kept: the outputs' (fan_in) or the gradients' (fan_out)."},
	[NONLINEARITY] = {"nonlinearity", BP_ARG_CHOICE, false, {LEAKY_RELU}, 0, 0,
		"linear|sigmoid|tanh|relu|leaky_relu|selu", "What follows the layer."},
	[SLOPE] = {"a", BP_ARG_REAL, false, {0}, -1e6, 1e6, NULL, "Slope of leaky_relu below 0."},
};

static const struct bp_arg xavier_args[] = {
	{"gain", BP_ARG_REAL, false, {1}, 0, 1e6, NULL, "Times the spread."},
};

struct fans {
	double in, out;
};

/* As _calculate_fan_in_and_fan_out. */
static struct fans fans_of(const struct bp_param *p)
{
	double taps = (double)p->size / ((double)p->dim[0] * (double)p->dim[1]);
	return (struct fans){(double)p->dim[1] * taps, (double)p->dim[0] * taps};
}

/* As torch.nn.init.calculate_gain. */
static double gain_of(const struct bp_item *item)
{
	double slope = bp_item_real(item, SLOPE);
	switch (bp_item_int(item, NONLINEARITY)) {
	case TANH:
		return 5.0 / 3;
	case RELU:
		return sqrt(2);
	case LEAKY_RELU:
		return sqrt(2 / (1 + slope * slope));
	case SELU:
		return 0.75;
	}
	return 1;
}

static double kaiming_std(const struct bp_item *item, const struct bp_init_target *t)
{
	struct fans fans = fans_of(t->param);
	return gain_of(item) / sqrt(bp_item_int(item, MODE) == FAN_IN ? fans.in : fans.out);
}

static double xavier_std(const struct bp_item *item, const struct bp_init_target *t)
{
	struct fans fans = fans_of(t->param);
	return bp_item_real(item, 0) * sqrt(2 / (fans.in + fans.out));
}

/* U(-b, b) has the deviation b / sqrt(3). */
static enum bp_status fill_uniform(const struct bp_init_target *t, double std)
{
	bp_init_fill_uniform(t, -sqrt(3) * std, sqrt(3) * std);
	return BP_OK;
}

static enum bp_status fill_normal(const struct bp_init_target *t, double std)
{
	bp_init_fill_normal(t, 0, std);
	return BP_OK;
}

static enum bp_status kaiming_uniform(const struct bp_item *item, const struct bp_init_target *t)
{
	return fill_uniform(t, kaiming_std(item, t));
}

static enum bp_status kaiming_normal(const struct bp_item *item, const struct bp_init_target *t)
{
	return fill_normal(t, kaiming_std(item, t));
}

static enum bp_status xavier_uniform(const struct bp_item *item, const struct bp_init_target *t)
{
	return fill_uniform(t, xavier_std(item, t));
}

static enum bp_status xavier_normal(const struct bp_item *item, const struct bp_init_target *t)
{
	return fill_normal(t, xavier_std(item, t));
}

const struct bp_init_ops bp_init_kaiming_uniform = {
	.info = {.name = "kaiming_uniform",
		.help = "Uniform, as wide as keeps the spread of what passes through a rectifier.",
		.args = kaiming_args,
		.nargs = KAIMING_ARGS},
	.fill = kaiming_uniform,
};
const struct bp_init_ops bp_init_kaiming_normal = {
	.info = {.name = "kaiming_normal",
		.help = "Normal, as wide as keeps the spread of what passes through a rectifier.",
		.args = kaiming_args,
		.nargs = KAIMING_ARGS},
	.fill = kaiming_normal,
};
const struct bp_init_ops bp_init_xavier_uniform = {
	.info = {.name = "xavier_uniform",
		.help = "Uniform, as wide as keeps the spread of outputs and gradients alike.",
		.args = xavier_args,
		.nargs = BP_ARG_COUNT(xavier_args)},
	.fill = xavier_uniform,
};
const struct bp_init_ops bp_init_xavier_normal = {
	.info = {.name = "xavier_normal",
		.help = "Normal, as wide as keeps the spread of outputs and gradients alike.",
		.args = xavier_args,
		.nargs = BP_ARG_COUNT(xavier_args)},
	.fill = xavier_normal,
};
