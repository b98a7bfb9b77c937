/*
 * schedule.h - the learning rate of each step: a schedule's course by epoch, after a linear warm-up by step.
 *
 * A schedule is a row in a table, one file each. Most are pure functions of the place: a training resumed anywhere, or
 * prolonged, needs no state of them. One that watches the losses has a state, which is in checkpoints. Called by the
 * trainer.
 */
#ifndef BP_SCHEDULES_SCHEDULE_H
#define BP_SCHEDULES_SCHEDULE_H

#include "base/item.h"

/* What a schedule that watches remembers; in checkpoints as it is, so every field is 8 bytes wide. */
struct bp_schedule_state {
	double scale;          /* what the optimizer's lr is multiplied by; above 0 */
	double best;           /* loss so far; infinite before the first */
	int64_t bad, cooldown; /* epochs since it was reached, and epochs of rest that are left */
};

/* A place in the course, which begins when the warm-up has ended. */
struct bp_course {
	double lr;           /* the optimizer's */
	int epoch, epochs;   /* from 0; of how many (>= 1) */
	int64_t step, steps; /* from 0; of how many (>= 1) */
	const struct bp_schedule_state *state;
};

struct bp_schedule_ops {
	struct bp_item_info info;
	/* Learning rate at a place, which may be past the end of the course. */
	double (*rate)(const struct bp_item *item, const struct bp_course *at);
	/* An epoch of the course is over; val_loss is NULL without validation. No function when the schedule is pure.
	 */
	void (*observe)(const struct bp_item *item, double lr, double loss, const double *val_loss,
		struct bp_schedule_state *state);
};

#define SCHEDULE(id) extern const struct bp_schedule_ops bp_schedule_##id;
#include "schedules/schedules.def"

void bp_schedule_start(struct bp_schedule_state *ret);

/*
 * Learning rate of optimizer step `step` (from 0) of a training at lr whose epochs have `batches` steps. Warm-up: with
 * w = warmup_epochs * batches (rounded up) steps, step s < w runs at lr * (s + 1) / w; a schedule that does not start
 * at lr is then warmed up to lr all the same. The schedule's epoch 0 and step 0 are those of the first whole epoch
 * after the warm-up; what is left of an epoch in which a fractional warm-up ended runs at step 0's rate too. The course
 * is as long as the epochs that are left.
 */
double bp_schedule_lr(const struct bp_train_params *params, double lr, int64_t batches, int64_t step,
	const struct bp_schedule_state *state);
/* An epoch is over, of which these are the metrics. Epochs of the warm-up are not looked at. */
void bp_schedule_observe(const struct bp_train_params *params, double lr, const struct bp_epoch *metrics,
	bool validated, struct bp_schedule_state *state);

#endif
