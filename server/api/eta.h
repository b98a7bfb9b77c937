/* eta.h - when jobs will end and start, from what was measured. Pure; any thread. */
#ifndef API_ETA_H
#define API_ETA_H

#include "api/answer.h"

/* Seconds of training that a job has left; NaN: not known. */
double eta_left(const struct job_row *row);
/*
 * In how many seconds each of n queued jobs, in the order of the queue, will start: the worker that is free first takes
 * the next. busy: what the running ones have left (NaN: not known; a job after it may not know either). left: of the
 * queued ones.
 */
void eta_starts(int workers, const double *busy, int nbusy, const double *left, int n, double *ret_starts);
/* What a net of that work, that often, will take: {"seconds_per_epoch","total_seconds","flops_per_second","basis"};
 * basis is same_model or similar_work, and null when nothing was measured yet. New reference. */
struct eta_work {
	const char *model; /* resolved definition, compact */
	double training_flops, flops;
	int64_t train, val; /* samples */
	int batch_size, epochs;
};
json_t *eta_estimate(const struct api *api, const struct eta_work *w);

#endif
