/*
 * bce_with_logits.c - BCEWithLogitsLoss, as torch.nn.BCEWithLogitsLoss with reduction "mean": each output is a yes or
 * no of its own. Called by the trainer and the predictor.
 */
#include "losses/loss.h"

#include <math.h>

enum { POS_WEIGHT, NARGS };

static const struct bp_arg args[] = {
	[POS_WEIGHT] = {.name = "pos_weight",
		.kind = BP_ARG_WEIGHTS,
		.def = {BP_UNSET},
		.min = 0,
		.max = 1e6,
		.help = "What a yes counts for beside a no: one number for all outputs, or one an output."},
};

/*
 * With target t, weight p of a yes and s(x) = 1 / (1 + exp(-x)), an output's loss is
 *	-(p t log s(x) + (1 - t) log(1 - s(x))) = (1 - t) x + (1 + (p - 1) t) log(1 + exp(-x))
 * and its slope (1 - t) - (1 + (p - 1) t) s(-x). log(1 + exp(-x)) = max(-x, 0) + log1p(exp(-|x|)) does not overflow.
 */
static double point(double x, double t, double p, double *ret_slope)
{
	double e = exp(-fabs(x)), factor = 1 + (p - 1) * t;
	*ret_slope = (1 - t) - factor * (x > 0 ? e : 1) / (1 + e);
	return (1 - t) * x + factor * (fmax(-x, 0) + log1p(e));
}

/* weights may be in PyTorch's order of outputs, but a map has one for all: see bp_loss_check. */
static void samples(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b)
{
	(void)k;
	const bp_real *out = b->out, *target = b->targets;
	const double scale = bp_loss_scale(b) / (double)b->size;
	const bool each = item->args[POS_WEIGHT].n > 1;
	bp_real *grad = b->ret_gradient;
	for (int i = 0; i < b->n; i++, out += b->size, target += b->size) {
		double sum = 0;
		for (int64_t j = 0; j < b->size; j++) {
			double slope, p = item->list ? item->list[each ? j : 0] : 1;
			sum += point((double)out[j], (double)target[j], p, &slope);
			if (grad)
				*grad++ = (bp_real)(scale * slope);
		}
		b->ret_rows[i] = sum / (double)b->size;
	}
}

const struct bp_loss_ops bp_loss_bce_with_logits = {
	.info = {.name = "BCEWithLogitsLoss",
		.help = "Sigmoid and binary cross-entropy of each output: a yes or no of one output, or of several at "
			"once.",
		.args = args,
		.nargs = NARGS,
		.target = BP_TARGET_SHARES},
	.weights = 1 + POS_WEIGHT,
	.samples = samples,
};
