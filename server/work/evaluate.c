/* evaluate.c - see evaluate.h. */
#include "work/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "base/clock.h"

enum { SLICE_SAMPLES = 1024 };

/* Entries [first, first + n) of data, as a view of its own; index holds n. */
static struct bp_data slice_of(const struct bp_data *data, int64_t first, int64_t n, uint32_t *index)
{
	struct bp_data slice = *data;
	for (int64_t i = 0; i < n; i++)
		index[i] = data->index ? data->index[first + i] : (uint32_t)(first + i);
	slice.index = index;
	slice.count = n;
	return slice;
}

bool evaluate_net(const struct bp_net *net, const struct spec_job *job, const struct bp_data *data,
	int (*threads)(void *user), void *user, struct report_test *ret, bool *ret_done, struct failure *f)
{
	struct bp_predictor *predictor = NULL;
	struct bp_error err;
	bool ok = false;
	double loss_sum = 0, weight = 0, accuracy_sum = 0, started = clock_mono();
	uint32_t *index = malloc(SLICE_SAMPLES * sizeof(*index));
	*ret_done = false;
	if (!index) {
		failure_from_memory(f, "There was not enough memory for the test.");
		return false;
	}
	if (bp_predictor_new(net, job->params.batch_size, job->params.max_threads, &predictor, &err) != BP_OK) {
		failure_from_core(f, "evaluation_failed", &err);
		goto out;
	}
	for (int64_t first = 0, n; first < data->count; first += n) {
		struct bp_evaluation part;
		int now = threads(user);
		if (now == 0) {
			ok = true;
			goto out;
		}
		bp_predictor_set_threads(predictor, now);
		n = data->count - first < SLICE_SAMPLES ? data->count - first : SLICE_SAMPLES;
		struct bp_data slice = slice_of(data, first, n, index);
		if (bp_predictor_evaluate(predictor, &slice, &job->params.loss, &part, &err) != BP_OK) {
			failure_from_core(f, "evaluation_failed", &err);
			goto out;
		}
		if (part.weight > 0)
			loss_sum += part.loss * part.weight;
		weight += part.weight;
		accuracy_sum += part.accuracy * (double)n;
	}
	ret->loss = loss_sum / weight;
	ret->accuracy = accuracy_sum / (double)data->count;
	ret->samples = data->count;
	ret->seconds = clock_mono() - started;
	*ret_done = ok = true;
out:
	bp_predictor_free(predictor);
	free(index);
	return ok;
}
