/*
 * train.h - one claimed job on its worker: what the files that run it share.
 *
 * train.c is the callback, examine.c what it finds wrong, attempt.c the way from the claim to the end of the training,
 * finish.c the test and the status at the end. One worker thread; a struct run is its own.
 */
#ifndef WORK_TRAIN_H
#define WORK_TRAIN_H

#include "work/changes.h"
#include "work/checkpoints.h"
#include "work/diagnose.h"
#include "work/ending.h"
#include "work/prepare.h"
#include "work/report.h"

enum outcome {
	OUT_RUNNING,
	OUT_INTERRUPTED, /* the server stops */
	OUT_PAUSED,
	OUT_GAVE_WAY, /* back to the queue, for a user who has no job running */
	OUT_ROLLBACK, /* back to the last good checkpoint, and on */
	OUT_CANCELLED,
	OUT_FAILED,
	OUT_SUCCEEDED
};

struct run {
	struct work_context *ctx;
	const struct job_row *row;
	struct lease *lease; /* of threads; NULL before it has any */
	struct prepared prepared;
	struct checkpoints checkpoints;
	struct changes changes;
	struct ending ending;
	struct diagnosis diagnosis;
	json_t *findings; /* told so far */
	enum outcome outcome;
	int fewest;        /* threads in this epoch */
	const char *ended; /* why the training ended before its last epoch; NULL: it did not */
	bool over_quota;   /* why it is paused: its owner takes too much of the disk */
	struct failure failure;
	int told;                         /* epochs that have their event */
	double claimed;                   /* monotonic; all below too */
	double started;                   /* of the training */
	double charged;                   /* when its user was charged last */
	uint64_t queue_seen;              /* HUB_QUEUE when it last looked whether to give way */
	double looked, progressed, saved; /* last look for requests, progress event, checkpoint */
	int64_t last_step;                /* steps done */
	int64_t batches_run;              /* since started */
	int64_t batches_told;             /* of them at the last progress event */
	double epoch_loss;                /* sum over the batches seen of this epoch */
	int64_t epoch_batches;
};

/* The callback of the trainer; user is the run. */
enum bp_answer run_event(void *user, struct bp_trainer *tr, const struct bp_event *ev);
/* Writes an event; data is used up. False with a failure. */
bool run_append(
	struct run *r, const char *type, char *data, int epoch, const char *metrics, const struct checkpoint_new *ckpt);
/* What holds from step on; asked: what it answers, or NULL. With rollbacks: from there the training goes on. False with
 * a failure. */
bool run_change(
	struct run *r, struct bp_trainer *tr, const struct report_change *change, const struct job_asked *asked);
/* Takes up the learning rate and epochs that were asked for; at most as few epochs as have begun. */
bool run_take_up(struct run *r, struct bp_trainer *tr, const struct job_asked *asked, int64_t step, int begun);
/* Adds what it used since the last time to what its user has used. Losing that loses nothing else. */
void run_charge(struct run *r);
/* Whether its owner takes all of the disk that a user may: then it pauses. */
bool run_over_quota(struct run *r);
/* Asked while nothing is trained: waiting for threads, and in the test. False: the outcome says why not. A stop changes
 * nothing there: it is looked for before the first batch, and the test belongs to the end. */
bool run_goes_on(struct run *r);
/* Whether the job has used up its time. */
bool run_out_of_time(const struct run *r);

/* Findings: what was told before, and the epochs before this attempt; then each epoch. */
void run_examine_begin(struct run *r, const struct past_epoch *past, int n);
void run_examine(struct run *r, struct bp_trainer *tr, const struct bp_epoch *m, bool broken);
void run_examine_done(struct run *r);

/* The chosen checkpoint on the test split. */
void run_test(struct run *r);
/* Moves the job to what the outcome says. */
void run_finish(struct run *r);

#endif
