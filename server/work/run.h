/*
 * run.h - what the files of work/ share: where a worker stands, and how a job can end.
 *
 * Worker threads only; a struct run belongs to the one worker that claimed its job.
 */
#ifndef WORK_RUN_H
#define WORK_RUN_H

#include <stdatomic.h>

#include "backprop.h"
#include "hub/hub.h"
#include "share/lease.h"
#include "store/store.h"

/* The same for all jobs of a daemon; read only but for stopping, which work_stop sets. */
struct work_context {
	struct store *store;
	struct hub *hub;
	const char *state_dir;
	struct leases *leases;
	int keep_checkpoints;
	double retry_seconds;   /* before the first retry of a failure that may pass */
	atomic_bool calibrated; /* a worker looks at the machine's speed when all are first idle */
	atomic_bool stopping;   /* go back to the queue at the next batch */
};

/* Why a job failed: a code for programs (job.status_reason) and a sentence for a person (job.status_detail). */
struct failure {
	const char *reason; /* static */
	char detail[400];
	enum { LASTS, MAY_PASS, DISK_FULL } kind; /* tried again: no; a few times; until there is room */
};
void failure_set(struct failure *f, const char *reason, const char *detail_fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Out of memory, which may pass. */
void failure_from_memory(struct failure *f, const char *detail);
/* A file could not be written; what for a person. */
void failure_from_errno(struct failure *f, const char *reason, int err, const char *what);
/* A core error: out_of_memory, or reason. */
void failure_from_core(struct failure *f, const char *reason, const struct bp_error *err);
/* The store could not write: disk_full or storage_failed. */
void failure_from_store(struct failure *f, enum store_status st);

/* Tells whoever listens that the job changed. */
void run_ring(const struct work_context *ctx, const char *job_id);

/* Runs a claimed job to its end or to the next stop; on return the row's status says which. */
void train_job(struct work_context *ctx, const struct job_row *row);

#endif
