/*
 * schedule.h - the learning rate of each step: a schedule's course by epoch, after a linear warm-up by step.
 *
 * A schedule is a row in a table, one file each, and a pure function: a training resumed anywhere, or prolonged, needs
 * no state of it. Called by the trainer.
 */
#ifndef BP_SCHEDULES_SCHEDULE_H
#define BP_SCHEDULES_SCHEDULE_H

#include "base/item.h"

struct bp_schedule_ops {
	struct bp_item_info info;
	/* Learning rate of epoch (from 0) of a course that is epochs (>= 1) long and starts at lr. */
	double (*rate)(const struct bp_item *item, double lr, int epoch, int epochs);
};

#define SCHEDULE(id) extern const struct bp_schedule_ops bp_schedule_##id;
#include "schedules/schedules.def"

/* NULL when type is out of range. Static. */
const struct bp_schedule_ops *bp_schedule_at(int type);

/*
 * Learning rate of optimizer step `step` (from 0) of a training at lr whose epochs have `batches` steps. Warm-up: with
 * w = warmup_epochs * batches (rounded up) steps, step s < w runs at lr * (s + 1) / w. The schedule's epoch 0 is then
 * the first whole epoch after the warm-up; what is left of an epoch in which a fractional warm-up ended runs at epoch
 * 0's rate too. The course is as long as the epochs that are left.
 */
double bp_schedule_lr(const struct bp_train_params *params, double lr, int64_t batches, int64_t step);

#endif
