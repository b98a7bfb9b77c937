/*
 * loss.h - what a loss is: a row in a table, one file each.
 *
 * Every loss of the library is a mean over the samples of a batch of a value that belongs to one sample, so a mean
 * over many batches counts each by its size. Called by the trainer and the predictor, outside parallel regions.
 */
#ifndef BP_LOSSES_LOSS_H
#define BP_LOSSES_LOSS_H

#include "base/item.h"
#include "kernels/kernels.h"

/* What a loss compares the net's output with. */
enum bp_target_kind {
	BP_TARGET_LABEL, /* one class index a sample */
	BP_TARGET_VALUES /* as many values as the output has */
};

struct bp_loss_batch {
	int n;
	int64_t size;           /* outputs of a sample */
	const bp_real *out;     /* n x size */
	const int32_t *labels;  /* n class indices below size, with BP_TARGET_LABEL */
	const bp_real *targets; /* n x size, laid out as out, with BP_TARGET_VALUES */
	double *ret_rows;       /* n: the loss of each sample */
	bp_real *ret_gradient;  /* n x size: of the mean over the batch, through out; NULL when it is not wanted */
};

struct bp_loss_ops {
	struct bp_item_info info;
	enum bp_target_kind target;
	bool flat_only; /* the output must be (features), not a map */
	/* Fills what belongs to sample i of the batch. Each sample has one writer and its own sum: any number of
	 * threads gives the same bits. */
	void (*sample)(const struct bp_item *item, const struct bp_kernels *k, const struct bp_loss_batch *b, int i);
};

#define LOSS(id) extern const struct bp_loss_ops bp_loss_##id;
#include "losses/losses.def"

/* NULL when type is out of range. Static. */
const struct bp_loss_ops *bp_loss_at(int type);

/* The loss of every sample of a batch, and its gradient. */
void bp_loss_run(const struct bp_item *loss, const struct bp_ctx *ctx, const struct bp_loss_batch *b);

#endif
