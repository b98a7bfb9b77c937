/*
 * checkpoints.h - the checkpoints of one running job: files under checkpoints/<job>/ and their rows.
 *
 * A file is written first and its row after it, so a row always has a file; files without a row are swept at the next
 * start. Worker threads; one object belongs to the worker that runs the job.
 *
 * Two kinds of files: epoch-NNNNNN.ckpt at the end of an epoch, and step-NNNNNNNNNNNN.ckpt, written in mid-epoch when
 * the server stops, which goes as soon as a newer one is recorded.
 */
#ifndef WORK_CHECKPOINTS_H
#define WORK_CHECKPOINTS_H

#include <limits.h>

#include "work/report.h"
#include "work/run.h"

enum { CHECKPOINT_FILE_MAX = 32 };

struct checkpoints {
	const struct work_context *ctx;
	const char *job_id;
	char dir[PATH_MAX];
	double best; /* lowest loss of a recorded epoch, NaN = none yet */
};

/* Makes the job's directory and learns the best so far. False with a failure. */
bool checkpoints_open(struct checkpoints *c, const struct work_context *ctx, const char *job_id, struct failure *f);

/* Restores the newest that is sound; those that are not are removed, and a "warning" event says so. *ret_restored:
 * false when there was none, and the trainer is as it was. False with a failure. */
bool checkpoints_restore(struct checkpoints *c, struct bp_trainer *tr, bool *ret_restored, struct failure *f);

/* Writes the trainer's state; the caller records it. loss decides whether it is the best; NaN never is, unless there
 * is none. In mid-epoch (whole false) it is never. */
bool checkpoints_write(struct checkpoints *c, const struct bp_trainer *tr, bool whole, struct report_checkpoint *ckpt,
	double loss, char ret_file[CHECKPOINT_FILE_MAX], struct failure *f);

/* After the row was recorded: notes the best, removes what is no longer kept. */
void checkpoints_recorded(struct checkpoints *c, const struct report_checkpoint *ckpt, double loss);

/* Loads the weights of the best, or of the newest when the best cannot be read. False with a failure. */
bool checkpoints_load_best(const struct checkpoints *c, struct bp_net *net, int *ret_epoch, struct failure *f);

/* The loss by which checkpoints are compared: val_loss, or loss when nothing was validated. */
static inline double checkpoint_loss(const struct bp_epoch *m, bool validated)
{
	return validated ? m->val_loss : m->loss;
}

#endif
