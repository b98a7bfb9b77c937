/* queue.c - what waits, why, and when it will start. */
#include <math.h>
#include <stdlib.h>

#include "api/auth.h"
#include "api/eta.h"
#include "api/handlers.h"
#include "api/job.h"
#include "spec/spec.h"

/* When each of the queued jobs will start; NULL: not known. The caller frees. */
static double *starts_of(struct api *api, const struct queued_job *queued, int n)
{
	struct job_filter running = {.status = JOB_RUNNING};
	struct page page = {.limit = LIST_MAX};
	struct job_row *rows = NULL;
	int nrunning = 0;
	if (store_job_list(api->store, &running, &page, &rows, &nrunning) != STORE_OK)
		return NULL;
	double *busy = calloc((size_t)nrunning + 1, sizeof *busy), *left = calloc((size_t)n + 1, sizeof *left);
	double *starts = calloc((size_t)n + 1, sizeof *starts);
	for (int i = 0; i < nrunning; i++) {
		if (busy)
			busy[i] = eta_left(&rows[i]);
		job_row_done(&rows[i]);
	}
	for (int i = 0; left && i < n; i++)
		left[i] = eta_left(&queued[i].row);
	if (busy && left && starts) {
		eta_starts(api->workers, busy, nrunning, left, n, starts);
	} else {
		free(starts);
		starts = NULL;
	}
	free(busy);
	free(left);
	free(rows);
	return starts;
}

/* Of others' jobs one sees that they are before one's own, and why they wait, but not what they are. */
static json_t *entry_json(const struct http_request *rq, const struct queued_job *job, double starts)
{
	const struct job_row *row = &job->row;
	bool mine = auth_sees(rq, row->owner);
	json_t *json = json_pack("{s:s, s:s?, s:s?, s:s?, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "owner", row->owner,
		"id", mine ? row->id : NULL, "name", mine ? row->name : NULL, "dataset",
		mine ? row->dataset_name : NULL, "priority", row->priority, "epochs", row->epochs, "epoch", row->epoch,
		"attempt", row->attempt, "created_at", answer_time(row->created_at), "starts_in_seconds",
		spec_number(starts), "eta_seconds", spec_number(starts + eta_left(row)));
	json_t *place = job_place_json(&job->place);
	if (!mine)
		json_object_set_new(place, "detail", json_null());
	if (!json || json_object_update(json, place) < 0) {
		json_decref(json);
		json = NULL;
	}
	json_decref(place);
	return json;
}

void api_queue(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct problems problems = {0};
	int64_t limit = LIST_DEFAULT;
	http_query_only(rq, (const char *const[]){"limit"}, 1, &problems);
	http_query_int(rq, "limit", 1, LIST_MAX, &limit, &problems);
	if (answer_refused(rq, &problems))
		return;
	struct queued_job *jobs = NULL;
	struct job_counts counts;
	int n = 0;
	enum store_status st = store_job_counts(api->store, &counts);
	if (st == STORE_OK)
		st = store_job_queue(api->store, (int)limit, &jobs, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "queue", "");
		return;
	}
	int64_t busy = counts.by_status[JOB_RUNNING] + counts.by_status[JOB_PAUSING] + counts.by_status[JOB_STOPPING] +
		       counts.by_status[JOB_CANCELLING];
	json_t *data = json_array();
	double *starts = starts_of(api, jobs, n);
	for (int i = 0; i < n; i++) {
		json_array_append_new(data, entry_json(rq, &jobs[i], starts ? starts[i] : NAN));
		job_row_done(&jobs[i].row);
	}
	free(jobs);
	free(starts);
	json_t *list = answer_list(data, counts.by_status[JOB_QUEUED] > n);
	if (list) {
		json_object_set_new(list, "queued", json_integer((json_int_t)counts.by_status[JOB_QUEUED]));
		json_object_set_new(list, "running", json_integer((json_int_t)busy));
		json_object_set_new(list, "workers", json_integer((json_int_t)api->workers));
	}
	http_reply_json(rq, 200, list);
}
