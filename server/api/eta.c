/* eta.c - see eta.h. */
#include "api/eta.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/job.h"
#include "base/sha256.h"
#include "spec/spec.h"

static double number(const json_t *v)
{
	return json_is_number(v) ? json_number_value(v) : NAN;
}

double eta_left(const struct job_row *row)
{
	json_t *metrics = answer_stored(row->metrics);
	double epoch = number(json_object_get(metrics, "seconds"));
	if (!(epoch > 0))
		epoch = row->epoch_seconds > 0 ? row->epoch_seconds : NAN;
	double left = epoch * (row->epochs > row->epoch ? row->epochs - row->epoch : 0);
	if (row->max_seconds > 0)
		left = fmin(left, fmax(row->max_seconds - job_runtime(row), 0)); /* also of a NaN */
	json_decref(metrics);
	return row->stop_requested ? 0 : left;
}

/* The place of the smallest; what is not known comes last. */
static int smallest(const double *v, int n)
{
	int best = 0;
	for (int i = 1; i < n; i++)
		if (v[i] < v[best] || (isnan(v[best]) && !isnan(v[i])))
			best = i;
	return best;
}

void eta_starts(int workers, const double *busy, int nbusy, const double *left, int n, double *ret_starts)
{
	enum { WORKERS_MAX = 64 };
	double free_at[WORKERS_MAX] = {0};
	workers = workers > WORKERS_MAX ? WORKERS_MAX : workers < 1 ? 1 : workers;
	for (int i = 0; i < workers && i < nbusy; i++)
		free_at[i] = busy[i];
	for (int i = 0; i < n; i++) {
		int w = smallest(free_at, workers);
		ret_starts[i] = free_at[w];
		free_at[w] += left[i];
	}
}

json_t *eta_estimate(const struct api *api, const struct eta_work *w)
{
	struct speed speed = {.batch_size = w->batch_size, .training_flops = w->training_flops};
	bool exact = false;
	sha256_hex(w->model, strlen(w->model), speed.model_sha256);
	if (!(w->training_flops > 0) || store_speed_find(api->store, &speed, &exact) != STORE_OK)
		return json_pack(
			"{s:n, s:n, s:n, s:n}", "seconds_per_epoch", "total_seconds", "flops_per_second", "basis");
	double per_second = speed.samples_per_second * w->training_flops;
	double epoch = ((double)w->train * w->training_flops + (double)w->val * w->flops) / per_second;
	return json_pack("{s:f, s:f, s:f, s:s}", "seconds_per_epoch", epoch, "total_seconds", epoch * w->epochs,
		"flops_per_second", per_second, "basis", exact ? "same_model" : "similar_work");
}
