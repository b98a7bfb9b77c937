/* job_ask.c - what is asked of a job that exists: pause, resume, stop, cancel, and PATCH. */
#include <stdio.h>

#include "api/handlers.h"
#include "api/job.h"
#include "spec/spec.h"

/* ---- verbs -------------------------------------------------------------------------------------------- */

/* Why a status does not allow a verb, for a person. */
static void refuse(struct http_request *rq, const struct job_row *row, enum job_verb verb)
{
	static const char *const words[JOB_VERB_COUNT] = {"paused", "resumed", "stopped", "cancelled"};
	if (job_status_terminal(row->status))
		http_reply_error(rq, ERR_ILLEGAL_MOVE, "", "The job has ended already (%s): it cannot be %s.",
			job_status_name(row->status), words[verb]);
	else if (verb == JOB_VERB_STOP && (row->status == JOB_QUEUED || row->status == JOB_PAUSED))
		http_reply_error(
			rq, ERR_ILLEGAL_MOVE, "", "The job has learned nothing yet that could be kept: cancel it.");
	else
		http_reply_error(rq, ERR_ILLEGAL_MOVE, "", "The job is %s: it cannot be %s.",
			job_status_name(row->status), words[verb]);
}

/* 200 when it is done, 202 when the job's worker will do it at its next batch. */
static void ask(struct http_request *rq, enum job_verb verb)
{
	struct api *api = answer_api(rq);
	struct job_row row;
	int64_t version;
	if (answer_query_refused(rq) || !job_find(rq, &row))
		return;
	if (!job_version_wanted(rq, &row, &version)) {
		job_row_done(&row);
		return;
	}
	enum store_status st = store_job_ask(api->store, row.id, verb, version);
	char id[ID_MAX];
	snprintf(id, sizeof id, "%s", row.id);
	if (st == STORE_CONFLICT) {
		refuse(rq, &row, verb);
	} else if (st != STORE_OK) {
		answer_store(rq, st, "job", "");
	} else {
		job_row_done(&row);
		answer_ring(api, id);
		if (!job_find(rq, &row))
			return;
		bool waits = row.status == JOB_PAUSING || row.status == JOB_STOPPING || row.status == JOB_CANCELLING;
		job_reply_row(rq, waits ? 202 : 200, &row);
	}
	job_row_done(&row);
}

void api_job_pause(struct http_request *rq)
{
	ask(rq, JOB_VERB_PAUSE);
}

void api_job_resume(struct http_request *rq)
{
	ask(rq, JOB_VERB_RESUME);
}

void api_job_stop(struct http_request *rq)
{
	ask(rq, JOB_VERB_STOP);
}

void api_job_cancel(struct http_request *rq)
{
	ask(rq, JOB_VERB_CANCEL);
}

/* ---- PATCH -------------------------------------------------------------------------------------------- */

/* name is where edit's name lies. */
static void read_edit(struct http_request *rq, const struct job_row *row, struct problems *problems,
	char name[NAME_MAX_BYTES + 1], struct job_edit *ret)
{
	struct spec_reader reader;
	struct spec_retune retune = {0};
	int64_t priority = -1;
	if (!spec_reader_begin(&reader, http_json(rq), "", problems))
		return;
	spec_read_title(&reader, "name", false, name, NAME_MAX_BYTES + 1);
	spec_read_int(&reader, "priority", false, 0, 100, &priority);
	const json_t *training = spec_read(&reader, "training");
	if (training) {
		json_t *spec = answer_stored(row->spec);
		spec_retune_parse(training, spec, job_status_terminal(row->status) ? 0 : row->epoch, problems, &retune);
		json_decref(spec);
	}
	spec_reader_end(&reader);
	ret->name = name[0] ? name : NULL;
	ret->priority = (int)priority;
	ret->lr = retune.lr;
	ret->epochs = retune.epochs;
}

void api_job_edit(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct problems problems = {0};
	char name[NAME_MAX_BYTES + 1] = "";
	struct job_edit edit = {.priority = -1, .if_version = -1};
	struct job_row row;
	http_query_only(rq, NULL, 0, &problems);
	if (!job_find(rq, &row))
		return;
	read_edit(rq, &row, &problems, name, &edit);
	if (!answer_refused(rq, &problems) && job_version_wanted(rq, &row, &edit.if_version)) {
		enum store_status st = store_job_edit(api->store, row.id, &edit);
		if (st == STORE_OK) {
			answer_ring(api, row.id);
			job_reply(rq, 200, row.id);
		} else if (st == STORE_CONFLICT) {
			http_reply_error(rq, ERR_ILLEGAL_MOVE, "", "%s",
				job_status_terminal(row.status) ? "The job has ended: only its name can be changed."
								: "The job's last epoch is over and its end is being "
								  "made: clone it to train on.");
		} else {
			answer_store(rq, st, "job", "");
		}
	}
	job_row_done(&row);
}
