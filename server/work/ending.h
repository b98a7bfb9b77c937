/*
 * ending.h - whether an epoch is a training's last: early stopping, and a target that was reached. Pure; worker
 * threads.
 *
 * Nothing of it is in checkpoints: it follows from the epochs so far, which are the job's events, in the numbers that
 * those tell. So a training that goes on after a restart ends where it would have ended.
 */
#ifndef WORK_ENDING_H
#define WORK_ENDING_H

#include "work/history.h"

enum verdict { GOES_ON, STOPS_EARLY, REACHED_TARGET };

struct ending {
	const struct spec_life *life;
	double best; /* of the monitored metric; NaN = none yet */
	int best_epoch, wait;
};

void ending_init(struct ending *e, const struct spec_life *life);
/* The next epoch. */
enum verdict ending_epoch(struct ending *e, int epoch, const struct past_epoch *p);
/* Anew, over epochs 1 to n: what the last of them says. */
enum verdict ending_replay(struct ending *e, const struct past_epoch *past, int n);

#endif
