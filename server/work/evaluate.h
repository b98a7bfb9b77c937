/* evaluate.h - the last word on a trained job: its best checkpoint on the test split. Worker threads. */
#ifndef WORK_EVALUATE_H
#define WORK_EVALUATE_H

#include "work/prepare.h"
#include "work/report.h"

/* Mean loss, and accuracy when there are labels, over all of data with net's weights. Goes in slices, before each of
 * which it asks how many threads it may use, at most job's max_threads; 0 ends it early with *ret_done false. False
 * with a failure. */
bool evaluate_net(const struct bp_net *net, const struct spec_job *job, const struct bp_data *data,
	int (*threads)(void *user), void *user, struct report_test *ret, bool *ret_done, struct failure *f);

#endif
