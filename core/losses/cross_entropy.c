/*
 * cross_entropy.c - CrossEntropyLoss, as torch.nn.CrossEntropyLoss with reduction "mean": softmax and negative
 * log-likelihood of the labelled class in one. Called by the trainer and the predictor.
 */
#include "losses/loss.h"

#include <math.h>

/*
 * With m = max out, loss = log(sum exp(out - m)) - (out[label] - m): no overflow, and no logarithm of 0. The gradient
 * is (softmax - onehot) / n.
 */
static void sample(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b, int i)
{
	(void)item;
	const bp_real *out = b->out + i * b->size;
	bp_real *grad = b->ret_gradient ? b->ret_gradient + i * b->size : NULL;
	double sum;
	bp_real max = k->softmax_sum(out, b->size, grad, &sum);
	b->ret_rows[i] = log(sum) - ((double)out[b->labels[i]] - (double)max);
	if (!grad)
		return;
	bp_real scale = (bp_real)(1 / (sum * b->n));
	for (int64_t j = 0; j < b->size; j++)
		grad[j] *= scale;
	grad[b->labels[i]] -= (bp_real)(1.0 / b->n);
}

const struct bp_loss_ops bp_loss_cross_entropy = {
	.info = {.name = "CrossEntropyLoss", .help = "Softmax and negative log-likelihood of each sample's class."},
	.target = BP_TARGET_LABEL,
	.flat_only = true,
	.sample = sample,
};
