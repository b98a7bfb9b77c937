/*
 * checkpoints.h - the checkpoints of one running job: files under checkpoints/<job>/ and their rows.
 *
 * A file is written first and its row after it, so a row always has a file; files without a row are swept at the next
 * start. Worker threads; one object belongs to the worker that runs the job.
 *
 * Two kinds of files: epoch-NNNNNN.ckpt at the end of an epoch, and step-NNNNNNNNNNNN.ckpt, written in mid-epoch when
 * the job is paused or stopped, when the server stops, and after a while; it goes as soon as a newer one is recorded.
 */
#ifndef WORK_CHECKPOINTS_H
#define WORK_CHECKPOINTS_H

#include <limits.h>

#include "spec/spec.h"
#include "work/report.h"
#include "work/run.h"

enum { CHECKPOINT_FILE_MAX = 32 };

struct checkpoints {
	const struct work_context *ctx;
	const char *job_id;
	const struct spec_life *life;
	char dir[PATH_MAX];
	double best; /* score of the recorded ones, NaN = none yet */
};

/* One to be written. Scores are the monitored metric, or its negative when it should rise: the lowest is the best. */
struct checkpoint {
	enum { CHECKPOINT_EPOCH, CHECKPOINT_STEP, CHECKPOINT_FINAL } kind; /* final: in mid-epoch, and the last */
	struct report_checkpoint row;
	double score; /* NaN in mid-epoch */
	char file[CHECKPOINT_FILE_MAX];
};

/* Makes the job's directory and learns the best so far. False with a failure. */
bool checkpoints_open(struct checkpoints *c, const struct work_context *ctx, const char *job_id,
	const struct spec_life *life, struct failure *f);

/* The score of an epoch. */
double checkpoints_score(const struct checkpoints *c, const struct bp_epoch *m);
/* Whether a checkpoint with that score would be the best. */
bool checkpoints_better(const struct checkpoints *c, double score);

/* Restores the newest that is sound; those that are not are removed, and a "warning" event says so. *ret: its place;
 * step -1 when there was none, and the trainer is as it was unless it is spoiled. whole: only one of the end of an
 * epoch, and newer ones are removed. False with a failure. */
struct checkpoint_place {
	int64_t step;
	int epoch;    /* finished */
	int begun;    /* finished or begun */
	bool spoiled; /* there were some, but none could be read to its end: the trainer may hold parts of them */
};
bool checkpoints_restore(
	struct checkpoints *c, struct bp_trainer *tr, bool whole, struct checkpoint_place *ret, struct failure *f);

/* Writes the trainer's state; fills file, bytes and is_best; the caller records it. In mid-epoch it is the best only
 * when it is final and there is no other. */
bool checkpoints_write(struct checkpoints *c, struct bp_trainer *tr, struct checkpoint *ckpt, struct failure *f);

/* After the row was recorded: notes the best, removes what is no longer kept. */
void checkpoints_recorded(struct checkpoints *c, const struct checkpoint *ckpt);

/* Loads the weights of the best, or of the newest when that is wanted or the best cannot be read. False with a failure.
 */
bool checkpoints_load(const struct checkpoints *c, bool best, struct bp_net *net, int *ret_epoch, struct failure *f);

#endif
