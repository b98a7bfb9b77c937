/*
 * loss.h - what a loss is: a row in a table, one file each.
 *
 * Every loss of the library is a mean over samples of a value that belongs to one sample. Where classes have weights, a
 * sample has its class's, and the mean is the sum of weight x value over the sum of weights, as in PyTorch; else each
 * weighs 1. So a mean over many batches follows from two sums. Called by the trainer and the predictor, outside
 * parallel regions.
 */
#ifndef BP_LOSSES_LOSS_H
#define BP_LOSSES_LOSS_H

#include "base/item.h"
#include "kernels/kernels.h"

struct bp_loss_batch {
	int n;
	int64_t size;           /* outputs of a sample */
	const bp_real *out;     /* n x size */
	const int32_t *labels;  /* n class indices below size, with BP_TARGET_LABEL */
	const bp_real *targets; /* n x size, laid out as out, with the other kinds */
	double weight;          /* of all its samples: what the sum of rows is divided by; n without weights */
	double *ret_rows;       /* n: weight x loss of each sample */
	bp_real *ret_gradient;  /* n x size: of the mean over the batch, through out; NULL when it is not wanted */
};

struct bp_loss_ops {
	struct bp_item_info info;
	bool flat_only; /* the output must be (features), not a map */
	int weights;    /* 1 + the place of its argument of kind BP_ARG_WEIGHTS; 0: it has none */
	/* Fills rows and gradients of b, which may be a part of a batch. Each sample has its own sum: any number of
	 * threads gives the same bits. */
	void (*samples)(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b);
};

#define LOSS(id) extern const struct bp_loss_ops bp_loss_##id;
#include "losses/losses.def"

/* NULL when type is out of range. Static. */
const struct bp_loss_ops *bp_loss_at(int type);

/* What a sample of that label counts for, with BP_TARGET_LABEL. */
static inline double bp_loss_weight(const struct bp_item *loss, int32_t label)
{
	return loss->list ? loss->list[label] : 1;
}
/* What the gradient of a sample's weight x loss is multiplied by; 0 for a batch of no weight, which teaches nothing. */
static inline double bp_loss_scale(const struct bp_loss_batch *b)
{
	return b->weight > 0 ? 1 / b->weight : 0;
}

/* Value and slope, at d = out - target, of a loss that is a mean of values of single differences. */
typedef double (*bp_difference_fn)(double d, double arg, double *ret_slope);
/* The samples of such a loss; arg is handed to fn, which becomes part of the loop. */
static inline void bp_loss_differences(const struct bp_loss_batch *b, bp_difference_fn fn, double arg)
{
	const double scale = bp_loss_scale(b) / (double)b->size;
	const bp_real *out = b->out, *target = b->targets;
	bp_real *grad = b->ret_gradient;
	for (int i = 0; i < b->n; i++, out += b->size, target += b->size) {
		double sum = 0;
		for (int64_t j = 0; j < b->size; j++) {
			double slope;
			sum += fn((double)out[j] - (double)target[j], arg, &slope);
			if (grad)
				*grad++ = (bp_real)(scale * slope);
		}
		b->ret_rows[i] = sum / (double)b->size;
	}
}

/* The loss of every sample of a batch, and its gradient. */
void bp_loss_run(const struct bp_item *loss, const struct bp_ctx *ctx, const struct bp_loss_batch *b);

#endif
