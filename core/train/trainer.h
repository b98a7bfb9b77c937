/*
 * trainer.h - the trainer's inside, shared by the files of this room: its memory, its place in the training, and the
 * sums that an epoch's metrics are made of.
 */
#ifndef BP_TRAIN_TRAINER_H
#define BP_TRAIN_TRAINER_H

#include "schedules/schedule.h"
#include "train/batch.h"
#include "train/flat.h"
#include "train/update.h"

/* Where a training stands. With the vectors and the layers' health, all that makes the next bit; in checkpoints as it
 * is, so every field is 8 bytes wide. */
struct bp_progress {
	int64_t epoch;                /* from 0, the one being trained; params.epochs when all are done */
	int64_t batch;                /* batches done in it */
	int64_t step;                 /* optimizer steps done */
	int64_t correct, samples;     /* of the epoch so far */
	double loss_sum, weight;      /* over samples: weight x loss, and weight */
	double step_weight;           /* of the samples of the optimizer step that is not done yet */
	double norm_sum, clipped_sum; /* global gradient norms, over steps */
	double seconds;               /* spent in its batches and their callbacks */
	struct bp_schedule_state schedule;
};

/* The trainer's own block: byte offsets of its parts. Made from a net and parameters alone. */
struct bp_layout {
	size_t grads, sum, state[BP_UPDATE_STATES], average;
	size_t labels, targets, rows, tables[2], augment;
	size_t blocks, sums, layers, groups, group_of, health, epoch_health, stats;
	size_t total;
	int states;
	int64_t nblocks;
	int nslots;
};

struct bp_trainer {
	struct bp_net *net;
	struct bp_train_params params;
	struct bp_layout layout;
	char *block;         /* all but the executor and the order */
	uint32_t *order;     /* of the epoch's samples; NULL when they are not shuffled */
	int64_t order_epoch; /* which epoch order is of, or -1 */
	struct bp_batcher batcher;
	struct bp_feed train, val;
	struct bp_data plain;  /* the training samples as they were given */
	struct bp_chain chain; /* of train, when it has augmentations */
	bool has_val;
	int64_t batches; /* an epoch has */
	int64_t steps;   /* of the optimizer in an epoch */
	struct bp_updater updater;
	struct bp_vectors vectors;
	bool unseen; /* the statistics of the last step, */
	bool counts; /* which is one of the epoch's */
	struct bp_progress progress;
	struct bp_health *epoch_health; /* by slot: added up since the epoch began */
	struct bp_layer_stats *stats;   /* by slot: handed to the callback */
	double lr;                      /* of the last step; 0: this trainer has done none */
	double clock;                   /* when it was read last, seconds */
	int pool_threads;               /* whose floating-point mode is set; 0: none yet */
};

/* BP_ELIMIT when a size does not fit. */
enum bp_status bp_layout_make(
	const struct bp_net *net, const struct bp_train_params *p, struct bp_layout *ret, struct bp_error *err);
/* Adds the statistics of the last step to the epoch's, unless that was done, or it is none of them. It is done late,
 * for right after the step the roots would wait for sums: they took 2 % of the step of a 4-16-3 perceptron, 0.56 us. */
void bp_trainer_see(struct bp_trainer *tr);
/* Metrics of the epoch that has just been trained; val_* and seconds are the caller's. */
void bp_trainer_metrics(struct bp_trainer *tr, struct bp_epoch *ret);
/* The averaged weights, or what stands for them: the weights without averages or before the first step. */
const bp_real *bp_trainer_average(const struct bp_trainer *tr);
/* Forgets the epoch's sums. */
void bp_trainer_reset_sums(struct bp_trainer *tr);

#endif
