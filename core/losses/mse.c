/* mse.c - MSELoss, as torch.nn.MSELoss with reduction "mean". Called by the trainer and the predictor. */
#include "losses/loss.h"

static double point(double d, double arg, double *ret_slope)
{
	(void)arg;
	*ret_slope = 2 * d;
	return d * d;
}

static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)item, (void)k;
	bp_loss_differences(b, point, 0);
}

const struct bp_loss_ops bp_loss_mse = {
	.info = {.name = "MSELoss",
		.help = "Mean of the squared differences to the target values.",
		.target = BP_TARGET_VALUES},
	.samples = samples,
};
