/*
 * nll.c - NLLLoss, as torch.nn.NLLLoss with reduction "mean": for nets that end with LogSoftmax. Called by the trainer
 * and the predictor.
 */
#include "losses/class_weights.h"

#include <string.h>

static const struct bp_arg args[] = {BP_CLASS_WEIGHTS};

/* The loss is -out[label]. An output that is not a number is seen in the sum, whichever it is. */
static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)k;
	if (b->ret_gradient)
		memset(b->ret_gradient, 0, (size_t)(b->n * b->size) * sizeof(*b->ret_gradient));
	for (int i = 0; i < b->n; i++) {
		const bp_real *out = b->out + i * b->size;
		const int32_t label = b->labels[i];
		double weight = bp_loss_weight(item, label), unseen = 0;
		for (int64_t j = 0; j < b->size; j++)
			unseen += out[j] != out[j] ? (double)out[j] : 0;
		b->ret_rows[i] = -weight * (double)out[label] + unseen;
		if (b->ret_gradient)
			b->ret_gradient[i * b->size + label] = (bp_real)(-weight * bp_loss_scale(b));
	}
}

const struct bp_loss_ops bp_loss_nll = {
	.info = {.name = "NLLLoss",
		.help = "Negative log-likelihood of each sample's class, for outputs that are logarithms of "
			"probabilities.",
		.args = args,
		.nargs = BP_ARG_COUNT(args),
		.target = BP_TARGET_LABEL},
	.flat_only = true,
	.weights = 1,
	.samples = samples,
};
