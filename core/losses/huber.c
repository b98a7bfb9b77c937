/*
 * huber.c - HuberLoss, as torch.nn.HuberLoss with reduction "mean" (Huber, "Robust estimation of a location parameter",
 * 1964): delta times SmoothL1Loss. Called by the trainer and the predictor.
 */
#include "losses/loss.h"

#include <math.h>

static const struct bp_arg args[] = {
	{.name = "delta",
		.kind = BP_ARG_REAL,
		.def = {1},
		.min = 1e-12,
		.max = 1e6,
		.help = "Differences up to it count by their square."},
};

/* d^2 / 2 for |d| <= delta, else delta * (|d| - delta / 2). */
static double point(double d, double delta, double *ret_slope)
{
	if (fabs(d) <= delta) {
		*ret_slope = d;
		return d * d / 2;
	}
	*ret_slope = d > 0 ? delta : d < 0 ? -delta : d;
	return delta * (fabs(d) - delta / 2);
}

static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)k;
	bp_loss_differences(b, point, bp_item_real(item, 0));
}

const struct bp_loss_ops bp_loss_huber = {
	.info = {.name = "HuberLoss",
		.help = "Squared differences up to delta, and beyond as steep as there.",
		.args = args,
		.nargs = BP_ARG_COUNT(args),
		.target = BP_TARGET_VALUES},
	.samples = samples,
};
