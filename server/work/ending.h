/*
 * ending.h - whether an epoch is a training's last: early stopping, and a target that was reached. Pure; worker
 * threads.
 *
 * Nothing of it is in checkpoints: it follows from the epochs so far, which are the job's events. Numbers are taken
 * with the nine digits that events have, so a training that goes on after a restart ends where it would have ended.
 */
#ifndef WORK_ENDING_H
#define WORK_ENDING_H

#include "spec/spec.h"
#include "store/store.h"

enum verdict { GOES_ON, STOPS_EARLY, REACHED_TARGET };

struct ending {
	const struct spec_life *life;
	double best; /* of the monitored metric; NaN = none yet */
	int best_epoch, wait;
};

void ending_init(struct ending *e, const struct spec_life *life);
/* The next epoch: what was monitored, and the target's metric (NaN: it has none). */
enum verdict ending_epoch(struct ending *e, int epoch, double monitored, double reached);
/* The value of a metric of an epoch; NaN when it was not computed. */
double ending_metric(const struct bp_epoch *m, int metric);
/* As if it had seen the job's epochs 1 to upto, from its events; *ret: of the last of them. */
enum store_status ending_replay(struct ending *e, struct store *store, const char *job_id, int upto, enum verdict *ret);

#endif
