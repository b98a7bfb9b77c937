/*
 * smooth_l1.c - SmoothL1Loss, as torch.nn.SmoothL1Loss with reduction "mean" (Girshick, "Fast R-CNN", 2015). Called by
 * the trainer and the predictor.
 */
#include "losses/loss.h"

#include <math.h>

static const struct bp_arg args[] = {
	{.name = "beta",
		.kind = BP_ARG_REAL,
		.def = {1},
		.min = 0,
		.max = 1e6,
		.help = "Differences below it count by their square; 0 is L1Loss."},
};

/* d^2 / (2 beta) for |d| < beta, else |d| - beta / 2. */
static double point(double d, double beta, double *ret_slope)
{
	if (fabs(d) < beta) {
		*ret_slope = d / beta;
		return d * d / beta / 2;
	}
	*ret_slope = d > 0 ? 1 : d < 0 ? -1 : d;
	return fabs(d) - beta / 2;
}

static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)k;
	bp_loss_differences(b, point, bp_item_real(item, 0));
}

const struct bp_loss_ops bp_loss_smooth_l1 = {
	.info = {.name = "SmoothL1Loss",
		.help = "Squared differences where they are small, absolute ones where they are large.",
		.args = args,
		.nargs = BP_ARG_COUNT(args),
		.target = BP_TARGET_VALUES},
	.samples = samples,
};
