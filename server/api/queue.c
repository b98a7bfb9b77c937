/* queue.c - what waits, why, and when it will start. */
#include <stdlib.h>

#include "api/auth.h"
#include "api/eta.h"
#include "api/handlers.h"
#include "spec/spec.h"

/* The first in the queue wait for a worker, the others for those before them; one with a free worker starts now. */
static const char *queue_reason(int position, int64_t free_workers)
{
	if (position <= free_workers)
		return "starting";
	return position == 1 ? "waiting_for_worker" : "waiting_in_queue";
}

/* When each of the queued jobs will start; NULL: not known. The caller frees. */
static double *starts_of(struct api *api, const struct job_row *queued, int n)
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
		left[i] = eta_left(&queued[i]);
	if (busy && left && starts) {
		eta_starts((int)api->config->workers, busy, nrunning, left, n, starts);
	} else {
		free(starts);
		starts = NULL;
	}
	free(busy);
	free(left);
	free(rows);
	return starts;
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
	struct job_row *rows = NULL;
	struct job_counts counts;
	int n = 0;
	enum store_status st = store_job_counts(api->store, &counts);
	if (st == STORE_OK)
		st = store_job_queue(api->store, (int)limit, &rows, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "queue", "");
		return;
	}
	int64_t busy = counts.by_status[JOB_RUNNING] + counts.by_status[JOB_PAUSING] + counts.by_status[JOB_STOPPING] +
		       counts.by_status[JOB_CANCELLING];
	json_t *data = json_array();
	double *starts = starts_of(api, rows, n);
	for (int i = 0; i < n; i++) {
		bool mine = auth_sees(rq, rows[i].owner); /* of others' jobs one sees that they are before one's own */
		const char *reason = queue_reason(i + 1, api->config->workers - busy);
		json_array_append_new(data,
			json_pack("{s:i, s:s, s:s?, s:s?, s:s?, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o}", "position",
				i + 1, "owner", rows[i].owner, "id", mine ? rows[i].id : NULL, "name",
				mine ? rows[i].name : NULL, "dataset", mine ? rows[i].dataset_name : NULL, "reason",
				reason, "priority", rows[i].priority, "epochs", rows[i].epochs, "epoch", rows[i].epoch,
				"attempt", rows[i].attempt, "created_at", answer_time(rows[i].created_at),
				"starts_in_seconds", starts ? spec_number(starts[i]) : json_null(), "eta_seconds",
				starts ? spec_number(starts[i] + eta_left(&rows[i])) : json_null()));
		job_row_done(&rows[i]);
	}
	free(rows);
	free(starts);
	json_t *list = answer_list(data, counts.by_status[JOB_QUEUED] > n);
	if (list) {
		json_object_set_new(list, "queued", json_integer((json_int_t)counts.by_status[JOB_QUEUED]));
		json_object_set_new(list, "running", json_integer((json_int_t)busy));
		json_object_set_new(list, "workers", json_integer((json_int_t)api->config->workers));
	}
	http_reply_json(rq, 200, list);
}
