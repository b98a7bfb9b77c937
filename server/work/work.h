/*
 * work.h - the training wing: worker threads claim jobs from the store and run them through the core.
 *
 * Started and stopped by main. Each worker is one pthread that lives as long as the daemon (libgomp keeps one pool of
 * threads per pthread, which ends with the job). Jobs are only ever known through the store; the api never calls in
 * here.
 */
#ifndef WORK_WORK_H
#define WORK_WORK_H

#include "base/config.h"
#include "hub/hub.h"
#include "share/lease.h"
#include "store/store.h"

struct work_options {
	struct store *store;
	struct hub *hub;
	const char *state_dir; /* datasets/ and checkpoints/ are below it */
	struct leases *leases; /* of the cores that jobs train on */
	int workers, keep_checkpoints;
	int retry_seconds; /* before a job that failed for a passing reason is tried again; doubles */
};
struct work;
struct work *work_start(const struct work_options *o); /* NULL (logged) */
/* Asks every running job to checkpoint at its next batch and go back to the queue (server_restart), and waits. */
void work_stop(struct work *w);

#endif
