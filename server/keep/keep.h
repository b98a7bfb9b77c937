/*
 * keep.h - the keeper: a thread that lets go of what need not be kept any longer (retention), and lets jobs go on whose
 * owners have room again, or for whose checkpoints the disk has.
 */
#ifndef KEEP_KEEP_H
#define KEEP_KEEP_H

#include "hub/hub.h"
#include "store/store.h"

/* 0 keeps for ever, or any amount. */
struct keep_rules {
	double jobs, weights, datasets, uploads; /* seconds of kept time */
	int64_t weights_bytes;                   /* of all checkpoints */
	bool only_best;                          /* of jobs that have ended */
};
struct keep_options {
	struct store *store;
	struct hub *hub;
	const char *state_dir; /* must outlive the keeper */
	struct keep_rules rules;
	double look_seconds; /* how long to wait between two looks whether a full disk has room */
};
struct keeper;
/* Its thread sweeps the files of ended jobs (sweep.h), then passes over all rules, the oldest first, whenever the queue
 * has changed and every ten minutes. NULL (logged). */
struct keeper *keep_start(const struct keep_options *o);
void keep_stop(struct keeper *k); /* takes NULL */

#endif
