/* job_json.c - a row of jobs as JSON. */
#include "api/job.h"

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* The resolved training, resources, plan ...: all members that the row itself does not speak for. */
static bool add_spec(json_t *json, const char *spec)
{
	json_t *members = answer_stored(spec);
	bool ok = members && (json_is_null(members) || json_object_update_missing(json, members) == 0);
	json_decref(members);
	return ok;
}

json_t *job_json(const struct job_row *row, bool brief, const char *history)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:o, s:o}", "object", "job", "id", row->id, "name", row->name,
		"status", job_status_name(row->status), "status_reason", text_or_null(row->status_reason),
		"status_detail", text_or_null(row->status_detail));
	json_t *more = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:b, s:o, s:o, s:o, s:o, s:I, s:I}", "dataset",
		row->dataset_name, "dataset_id", row->dataset_id, "priority", row->priority, "epochs", row->epochs,
		"epoch", row->epoch, "attempt", row->attempt, "cancel_requested", (int)row->cancel_requested, "metrics",
		answer_stored(row->metrics), "created_at", answer_time(row->created_at), "started_at",
		answer_time(row->started_at), "finished_at", answer_time(row->finished_at), "last_seq",
		(json_int_t)row->last_seq, "version", (json_int_t)row->version);
	bool ok = json && more && json_object_update(json, more) == 0;
	if (ok && !brief)
		ok = json_object_set_new(json, "model", answer_stored(row->model)) == 0 && add_spec(json, row->spec);
	if (ok && history)
		ok = json_object_set_new(json, "status_history", answer_stored(history)) == 0;
	json_decref(more);
	if (!ok) {
		json_decref(json);
		return NULL;
	}
	return json;
}
