/* mse.c - MSELoss, as torch.nn.MSELoss with reduction "mean". Called by the trainer and the predictor. */
#include "losses/loss.h"

/* A sample's loss is the mean of (out - target)^2 over its values; the batch's is the mean over all. */
static void sample(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b, int i)
{
	(void)item, (void)k;
	const bp_real *out = b->out + i * b->size, *target = b->targets + i * b->size;
	double sum = 0;
	for (int64_t j = 0; j < b->size; j++) {
		double d = (double)out[j] - (double)target[j];
		sum += d * d;
	}
	b->ret_rows[i] = sum / (double)b->size;
	if (!b->ret_gradient)
		return;
	bp_real scale = (bp_real)(2.0 / ((double)b->n * (double)b->size)), *grad = b->ret_gradient + i * b->size;
	for (int64_t j = 0; j < b->size; j++)
		grad[j] = scale * (out[j] - target[j]);
}

const struct bp_loss_ops bp_loss_mse = {
	.info = {.name = "MSELoss", .help = "Mean of the squared differences to the target values."},
	.target = BP_TARGET_VALUES,
	.sample = sample,
};
