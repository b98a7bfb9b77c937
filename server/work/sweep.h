/* sweep.h - at start, before any worker or client: files that no row knows are removed. Main thread. */
#ifndef WORK_SWEEP_H
#define WORK_SWEEP_H

#include "store/store.h"

/* Uploads, packed data sets and checkpoints of state_dir that a crash left between the file and its row. */
void sweep_state(struct store *store, const char *state_dir);

#endif
