/*
 * train_rig.h - a state directory with a small data set, a store, a hub and jobs for the worker: what the tests of
 * work/ share. One rig a test; nothing here opens an OpenMP region but the workers themselves.
 */
#ifndef TESTS_SERVER_TRAIN_RIG_H
#define TESTS_SERVER_TRAIN_RIG_H

#include <stddef.h>

#include "hub/hub.h"
#include "store/store.h"
#include "work/work.h"

struct rig {
	char dir[64];
	struct store *store;
	struct hub *hub;
	struct work *work;
	int retry_seconds;
	int cores, workers;    /* 0: two cores, one worker */
	struct leases *leases; /* while there are workers */
	char dataset_id[ID_MAX], dataset_sha256[65];
};

/* 96 training and 40 test pictures of 4 x 4 with three classes that a small net learns in a few epochs. */
void rig_init(struct rig *r);
void rig_done(struct rig *r); /* also removes the directory */
/* Opens the store as another boot, when it is not open. */
void rig_open(struct rig *r);
/* Opens the store if need be, requeues what ran, and starts one worker. */
void rig_start(struct rig *r, int keep_checkpoints);
/* A worker again, after work_stop, with the same store and hub. */
void rig_restart(struct rig *r, int keep_checkpoints);
void rig_stop(struct rig *r); /* as on SIGTERM */
/* Queues a job; training: JSON of its "training" object. */
void rig_submit(struct rig *r, const char *training, struct job_row *ret);
/* The same as another user. */
void rig_submit_as(struct rig *r, const char *owner, const char *training, struct job_row *ret);
/* Blocks until the job's epoch is at least that many, or it has ended. */
void rig_wait_epoch(struct rig *r, const char *job_id, int epoch);
/* Blocks until the job has ended; *ret is the row, the caller's. */
void rig_wait_end(struct rig *r, const char *job_id, struct job_row *ret);
/* Blocks until the job changes from now on, or a second has passed. */
void rig_wait_change(struct rig *r, const char *job_id);
/* Blocks until the job has that status; the test fails when it ends with another. */
void rig_wait_status(struct rig *r, const char *job_id, enum job_status status);
/* Asks it of the job, which must be allowed, and wakes whoever waits. */
void rig_ask(struct rig *r, const char *job_id, enum job_verb verb);
/* Blocks until the job has ended, which must be with that status and reason (NULL: none); the row is the caller's. */
struct job_row rig_end(struct rig *r, const char *job_id, enum job_status status, const char *reason);
/* A child process trains and kills itself, as hard as kill -9, once the job has that many epochs in that attempt. The
 * store is closed then. */
void rig_train_and_die(struct rig *r, const char *job_id, int attempt, int epoch);
/* The same with that signal, once the job has one epoch more than before. */
void rig_train_and_crash(struct rig *r, const char *job_id, int attempt, int sig);
/* The epoch of its best checkpoint. */
int rig_best_epoch(struct rig *r, const char *job_id);
/* What the job's "change" events say, at most max: their number. Their data are the caller's. */
int rig_changes(struct rig *r, const char *job_id, struct job_change *ret, int64_t *ret_steps, int max);
/* How many events of that type the job has. */
int rig_count_events(struct rig *r, const char *job_id, const char *type);
/* Fails unless the job's "epoch" events are 1, 2, ... epochs. */
void rig_check_epochs(struct rig *r, const char *job_id, int epochs);
/* The path of a checkpoint's file: which as in store_checkpoint_get. False: there is none. */
bool rig_checkpoint(struct rig *r, const char *job_id, const char *which, char *ret, size_t size);
/* The weights of the job's last checkpoint: count of floats in ret (room for max). */
int rig_weights(struct rig *r, const char *job_id, float *ret, int max);

#endif
