/* l1.c - L1Loss, as torch.nn.L1Loss with reduction "mean". Called by the trainer and the predictor. */
#include "losses/loss.h"

#include <math.h>

/* |d|; at 0 the slope is 0, and a NaN is its own. */
static double point(double d, double arg, double *ret_slope)
{
	(void)arg;
	*ret_slope = d > 0 ? 1 : d < 0 ? -1 : d;
	return fabs(d);
}

static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)item, (void)k;
	bp_loss_differences(b, point, 0);
}

const struct bp_loss_ops bp_loss_l1 = {
	.info = {.name = "L1Loss",
		.help = "Mean of the absolute differences to the target values.",
		.target = BP_TARGET_VALUES},
	.samples = samples,
};
