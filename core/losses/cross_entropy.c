/*
 * cross_entropy.c - CrossEntropyLoss, as torch.nn.CrossEntropyLoss with reduction "mean": softmax and negative
 * log-likelihood of the labelled class in one, with class weights and label smoothing (Szegedy et al., "Rethinking the
 * Inception architecture for computer vision", 2016). Called by the trainer and the predictor.
 */
#include "losses/class_weights.h"

#include <math.h>

enum { WEIGHT, LABEL_SMOOTHING, NARGS };

static const struct bp_arg args[] = {
	[WEIGHT] = BP_CLASS_WEIGHTS,
	[LABEL_SMOOTHING] = {.name = "label_smoothing",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1,
		.help = "This share of each target is spread evenly over all classes."},
};

/* With c classes and weights w, class j's share of a sample's target is smoothing / c * w[j]. */
static double share(const struct bp_item *item, const struct bp_loss_batch *b, int64_t j)
{
	return bp_item_real(item, LABEL_SMOOTHING) / (double)b->size * bp_loss_weight(item, (int32_t)j);
}

/*
 * With m = max out, -log p[j] = log(sum exp(out - m)) - (out[j] - m): no overflow, and no logarithm of 0. A sample's
 * loss is the sum of target[j] * -log p[j], with the label's target (1 - smoothing) * weight beside its share; the
 * gradient is (softmax * sum of targets - targets) / weight of the batch.
 */
static void sample(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b, int i)
{
	const bp_real *out = b->out + i * b->size;
	bp_real *grad = b->ret_gradient ? b->ret_gradient + i * b->size : NULL;
	int32_t label = b->labels[i];
	double sum, target = (1 - bp_item_real(item, LABEL_SMOOTHING)) * bp_loss_weight(item, label), all = target;
	bool smooth = bp_item_real(item, LABEL_SMOOTHING) > 0;
	bp_real max = k->softmax_sum(out, b->size, grad, &sum);
	double log_sum = log(sum), row = target * (log_sum - ((double)out[label] - (double)max));
	for (int64_t j = 0; j < b->size && smooth; j++) {
		all += share(item, b, j);
		row += share(item, b, j) * (log_sum - ((double)out[j] - (double)max));
	}
	b->ret_rows[i] = row;
	if (!grad)
		return;
	bp_real scale = (bp_real)(all * bp_loss_scale(b) / sum);
	for (int64_t j = 0; j < b->size; j++)
		grad[j] *= scale;
	for (int64_t j = 0; j < b->size && smooth; j++)
		grad[j] -= (bp_real)(share(item, b, j) * bp_loss_scale(b));
	grad[label] -= (bp_real)(target * bp_loss_scale(b));
}

const struct bp_loss_ops bp_loss_cross_entropy = {
	.info = {.name = "CrossEntropyLoss",
		.help = "Softmax and negative log-likelihood of each sample's class.",
		.args = args,
		.nargs = NARGS,
		.target = BP_TARGET_LABEL},
	.flat_only = true,
	.weights = 1 + WEIGHT,
	.sample = sample,
};
