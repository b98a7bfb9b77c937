/*
 * batch.h - samples on their way into a net and its outputs on their way to a loss: what the trainer and the predictor
 * have in common. Called on the thread that owns them, outside parallel regions.
 */
#ifndef BP_TRAIN_BATCH_H
#define BP_TRAIN_BATCH_H

#include "augments/chain.h"
#include "losses/loss.h"
#include "net/exec.h"

/* A data set and how its samples become the net's input. */
struct bp_feed {
	struct bp_data data; /* its arrays are borrowed */
	int64_t channels, area, size;
	bool indices;                 /* the net's input is whole numbers: they enter as they are */
	bp_real *table;               /* BP_U8 maps: the input for each channel and byte, channels x 256 */
	const struct bp_chain *chain; /* augmentations, borrowed; NULL for none */
};

/* Elements of a table for samples of that shape; 0 for flat ones. */
int64_t bp_feed_table(const struct bp_shape *shape);
/* table: bp_feed_table() elements, borrowed. */
void bp_feed_init(struct bp_feed *feed, const struct bp_data *data, const struct bp_net *net, bp_real *table);

/* n entries of a feed's view: first, first + 1, ... of the view, or of order when it is not NULL. */
struct bp_pick {
	const uint32_t *order;
	int64_t first;
	int n;
	uint64_t epoch; /* of a feed with augmentations: what they draw for */
};

/* A net ready to run, and room for what a loss reads of one batch. The caller owns what it points to. */
struct bp_batcher {
	struct bp_exec *exec;
	struct bp_ctx ctx;
	struct bp_shape out;
	int64_t out_size;
	int32_t *labels;  /* max batch */
	bp_real *targets; /* max batch x out_size; NULL when the loss reads none */
	double *rows;     /* max batch */
};

struct bp_score {
	double loss_sum; /* over samples: weight x loss */
	double weight;   /* over samples */
	int64_t correct; /* samples that are right: see struct bp_evaluation */
	int64_t samples;
};

/* Gathers the samples, normalised and channels-last, into the executor's input. */
void bp_batcher_gather(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick);
/* And runs them forward. */
const bp_real *bp_batcher_forward(
	struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick, const struct bp_pass *pass);
/* Loss of the outputs out of that batch, added to *score; with gradient, the executor's output gradient is filled.
 * Returns the batch's mean, 0 when
 * none of it has a weight. */
double bp_batcher_score(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_pick *pick,
	const struct bp_item *loss, const bp_real *out, bool gradient, struct bp_score *score);
/* Whether a share of correct samples can be told: the output is flat, and there are labels or the loss is of yes and
 * no. */
bool bp_batcher_judged(const struct bp_batcher *b, const struct bp_feed *feed, const struct bp_item *loss);
/* What is done between two batches of an evaluation; it may change b's number of threads. */
struct bp_between {
	void (*fn)(void *user, int64_t done, int64_t batches);
	void *user;
};
/* All of feed in evaluation mode, at most max_batch samples at a time. between may be NULL. */
void bp_batcher_evaluate(struct bp_batcher *b, const struct bp_feed *feed, const struct bp_item *loss, int max_batch,
	const struct bp_between *between, struct bp_evaluation *ret);

#endif
