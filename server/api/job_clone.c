/* job_clone.c - POST /v1/jobs/{id}/clone: a job's request as it was resolved, with a merge patch, submitted anew. */
#include "api/handlers.h"
#include "api/job.h"
#include "spec/spec.h"

/* What a client could have sent to get this job. */
static json_t *request_of(const struct job_row *row)
{
	static const char *const derived[] = {"normalization", "plan", "classes"};
	json_t *body = job_spec_json(row), *model = answer_stored(row->model);
	if (!json_is_object(body) || !model) {
		json_decref(body);
		json_decref(model);
		return NULL;
	}
	for (size_t i = 0; i < sizeof derived / sizeof derived[0]; i++)
		json_object_del(body, derived[i]);
	json_object_set_new(body, "model", model);
	json_object_set_new(body, "name", json_string(row->name));
	json_object_set_new(body, "priority", json_integer(row->priority));
	return body;
}

void api_job_clone(struct http_request *rq)
{
	struct job_row row;
	if (!job_find(rq, &row))
		return;
	int64_t version;
	if (!job_version_wanted(rq, &row, &version)) {
		job_row_done(&row);
		return;
	}
	json_t *request = request_of(&row);
	json_t *body = request ? spec_merge(request, http_json(rq)) : NULL;
	if (body)
		job_submit(rq, body, row.id);
	else
		http_reply_json(rq, 500, NULL);
	json_decref(body);
	json_decref(request);
	job_row_done(&row);
}
