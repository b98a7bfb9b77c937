/*
 * flat.h - sweeps over whole flat vectors: gradients that are added up over batches, and averaged weights. Called by
 * the trainer, outside parallel regions. Each element is computed alone, so no number of threads changes a bit.
 */
#ifndef BP_TRAIN_FLAT_H
#define BP_TRAIN_FLAT_H

#include "train/update.h"

/* Where a batch stands among those of one optimizer step. */
struct bp_share {
	double weight;    /* of its samples in the loss: their number, when they weigh alike */
	double total;     /* with last: of all samples of the step */
	bool first, last; /* both: the step has one batch */
};

/* Adds the batch's gradients, which are a mean, times its weight to v->sum; after the last batch v->grads holds the
 * mean over all samples of the step. */
void bp_flat_accumulate(int threads, const struct bp_vectors *v, const struct bp_share *share);
/* v->average after a step, as torch.optim.swa_utils.get_ema_multi_avg_fn: a + (1 - decay) (w - a); w when it is the
 * first. */
void bp_flat_average(int threads, const struct bp_vectors *v, double decay, bool first);
/* Exchanges v->weights and v->average. */
void bp_flat_swap(int threads, const struct bp_vectors *v);

#endif
