/* history.h - the epochs that a job has told so far, from its events. Worker threads. */
#ifndef WORK_HISTORY_H
#define WORK_HISTORY_H

#include "spec/spec.h"
#include "store/store.h"

/* One epoch in its numbers; NaN where there was none or it was not finite. */
struct past_epoch {
	double metric[SPEC_METRIC_COUNT];
	double grad_norm;
};

/* Epochs 1 to upto, at index epoch - 1; one that was told again (after the training went back) counts as it was told
 * last. Heap, the caller's; one more than upto entries, so that it is never NULL unless memory is out. */
enum store_status history_epochs(struct store *store, const char *job_id, int upto, struct past_epoch **ret);
/* The same numbers of an epoch that has just been trained, as its event tells them. */
struct past_epoch history_epoch(const struct bp_epoch *m);

#endif
