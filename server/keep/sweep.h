/*
 * sweep.h - files that no row knows are removed: what a crash left between a file and its row.
 *
 * At start, before any worker or client, on the main thread: uploads, packed data sets, and checkpoints of jobs that
 * will go on or are gone. Those of ended jobs, of which there may be a hundred thousand, are nobody's business any more
 * and are looked at later, while the server runs, by the keeper.
 */
#ifndef KEEP_SWEEP_H
#define KEEP_SWEEP_H

#include <stdatomic.h>

#include "store/store.h"

void sweep_state(struct store *store, const char *state_dir);
/* Ends early once *stop. */
void sweep_ended(struct store *store, const char *state_dir, const atomic_bool *stop);
/* Of one job that no worker has: its checkpoints without a row. */
void sweep_job_files(struct store *store, const char *state_dir, const char *job_id);

#endif
