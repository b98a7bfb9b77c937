/*
 * cross_entropy.c - CrossEntropyLoss, as torch.nn.CrossEntropyLoss with reduction "mean": softmax and negative
 * log-likelihood of the labelled class in one, with class weights and label smoothing (Szegedy et al., "Rethinking the
 * Inception architecture for computer vision", 2016). Called by the trainer and the predictor.
 */
#include "kernels/cross_entropy.h"
#include "losses/class_weights.h"

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
 * Makes of sample i's plain loss and gradient those with weights and smoothing. The loss is the sum of target[j] *
 * -log p[j], with the label's target (1 - smoothing) * weight beside its share, and the gradient is (softmax * sum of
 * targets - targets) / weight of the batch. -log p[j] is the plain loss plus out[label] - out[j].
 */
static void spread(const struct bp_item *item, const struct bp_loss_batch *b, int i)
{
	const bp_real *out = b->out + i * b->size;
	const int32_t label = b->labels[i];
	const double own = (1 - bp_item_real(item, LABEL_SMOOTHING)) * bp_loss_weight(item, label);
	const double plain = b->ret_rows[i], scale = bp_loss_scale(b);
	const bool smooth = bp_item_real(item, LABEL_SMOOTHING) > 0;
	double row = own * plain, shares = 0;
	for (int64_t j = 0; j < b->size && smooth; j++) {
		shares += share(item, b, j);
		row += share(item, b, j) * (plain + ((double)out[label] - (double)out[j]));
	}
	b->ret_rows[i] = row;
	if (!b->ret_gradient)
		return;
	bp_real *grad = b->ret_gradient + i * b->size;
	for (int64_t j = 0; j < b->size; j++)
		grad[j] = (bp_real)((own + shares) * (double)grad[j] - (smooth ? share(item, b, j) * scale : 0));
	grad[label] += (bp_real)(shares * scale);
}

static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	k->cross_entropy(&(struct bp_cross_entropy){.rows = (size_t)b->n,
		.n = (size_t)b->size,
		.x = b->out,
		.labels = b->labels,
		.scale = (bp_real)bp_loss_scale(b),
		.ret_loss = b->ret_rows,
		.ret_gradient = b->ret_gradient});
	if (!item->list && bp_item_real(item, LABEL_SMOOTHING) == 0)
		return;
	for (int i = 0; i < b->n; i++)
		spread(item, b, i);
}

const struct bp_loss_ops bp_loss_cross_entropy = {
	.info = {.name = "CrossEntropyLoss",
		.help = "Softmax and negative log-likelihood of each sample's class.",
		.args = args,
		.nargs = NARGS,
		.target = BP_TARGET_LABEL},
	.flat_only = true,
	.weights = 1 + WEIGHT,
	.samples = samples,
};
