/*
 * changes.h - the learning rate and the number of epochs of a job, which may change while it runs.
 *
 * Every change is a "change" event that names the step after which it holds. A training that goes on from an older
 * checkpoint passes those steps again and makes the same changes there, so it has the same bits. A change at an earlier
 * step than those before it (the training went back) takes them back. Worker threads.
 */
#ifndef WORK_CHANGES_H
#define WORK_CHANGES_H

#include "work/run.h"

struct change {
	int64_t step; /* done when it was made */
	double lr;    /* in force from there on */
	int epochs;
};

struct changes {
	struct change *list; /* by step; the first is what the job began with, at step 0 */
	int n, room;
	int next;      /* the first that is not yet in force */
	int rollbacks; /* how many of the events told of one */
};

/* Reads the job's; lr and epochs are what its spec says. False with a failure; changes_done in either case. */
bool changes_open(struct changes *c, const struct work_context *ctx, const char *job_id, const struct change *start,
	struct failure *f);
void changes_done(struct changes *c);
/* The present one, and the newest, which may still be ahead. */
const struct change *changes_now(const struct changes *c);
const struct change *changes_newest(const struct changes *c);
/* The largest number of epochs that ever held. */
int changes_most_epochs(const struct changes *c);
/* Sets the trainer to what holds after step steps: at the start, and after each batch. */
void changes_restart(struct changes *c, struct bp_trainer *tr, int64_t step);
void changes_reach(struct changes *c, struct bp_trainer *tr, int64_t step);
/* A new one, in force at once. False: out of memory. */
bool changes_add(struct changes *c, struct bp_trainer *tr, const struct change *change);

#endif
