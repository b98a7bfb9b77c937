/* job_json.c - a row of jobs as JSON. */
#include "api/eta.h"
#include "api/job.h"
#include "base/clock.h"
#include "spec/spec.h"

static json_t *text_or_null(const char *text)
{
	return text ? json_string(text) : json_null();
}

/* A member of an object of an object; NULL when it is not there. */
static json_t *deep(const json_t *json, const char *first, const char *second)
{
	return json_object_get(json_object_get(json, first), second);
}

json_t *job_spec_json(const struct job_row *row)
{
	json_t *spec = answer_stored(row->spec), *training = json_object_get(spec, "training");
	if (!training)
		return spec;
	json_object_set_new(training, "epochs", json_integer(row->epochs));
	if (row->lr > 0 && json_is_object(deep(spec, "training", "optimizer")))
		json_object_set_new(deep(spec, "training", "optimizer"), "lr", spec_number(row->lr));
	return spec;
}

/* The resolved training, resources, plan ...: all members that the row itself does not speak for. */
static bool add_spec(json_t *json, const struct job_row *row)
{
	json_t *members = job_spec_json(row);
	bool ok = members && (json_is_null(members) || json_object_update_missing(json, members) == 0);
	json_decref(members);
	return ok;
}

/* What its worker was asked for and has not taken up yet; null: nothing. */
static json_t *asked_json(const struct job_row *row)
{
	if (row->asked_lr <= 0 && row->asked_epochs <= 0)
		return json_null();
	return json_pack("{s:o, s:o}", "lr", row->asked_lr > 0 ? json_real(row->asked_lr) : json_null(), "epochs",
		row->asked_epochs > 0 ? json_integer(row->asked_epochs) : json_null());
}

double job_runtime(const struct job_row *row)
{
	/* Whoever has it now claimed it in this boot. */
	double since = row->claimed_mono > 0 ? clock_mono() - row->claimed_mono : 0;
	return row->runtime_seconds + (since > 0 ? since : 0);
}

/* What its life so far says. */
static json_t *life_json(const struct job_row *row)
{
	static const char *const kept[] = {[WEIGHTS_NONE] = "none", [WEIGHTS_BEST] = "best", [WEIGHTS_ALL] = "all"};
	return json_pack("{s:b, s:b, s:i, s:o, s:f, s:o, s:o, s:s, s:o}", "cancel_requested",
		(int)row->cancel_requested, "stop_requested", (int)row->stop_requested, "retries", row->retries,
		"not_before", answer_time(row->not_before), "runtime_seconds", job_runtime(row), "asked",
		asked_json(row), "diagnosis", row->diagnosis ? answer_stored(row->diagnosis) : json_array(),
		"weights_kept", kept[row->weights_kept], "weights_removed_at", answer_time(row->weights_removed_at));
}

json_t *job_json_brief(const struct api *api, const struct job_row *row)
{
	int threads = row->claimed_at > 0 ? lease_held_by(api->leases, row->id) : 0;
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o}", "object", "job", "id", row->id, "owner",
		row->owner, "name", row->name, "status", job_status_name(row->status), "status_reason",
		text_or_null(row->status_reason), "status_detail", text_or_null(row->status_detail));
	json_t *more = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:o, s:o, s:o, s:o, s:I, s:I, s:i}", "dataset",
		row->dataset_name, "dataset_id", row->dataset_id, "priority", row->priority, "epochs", row->epochs,
		"epoch", row->epoch, "attempt", row->attempt, "metrics", answer_stored(row->metrics), "created_at",
		answer_time(row->created_at), "started_at", answer_time(row->started_at), "finished_at",
		answer_time(row->finished_at), "last_seq", (json_int_t)row->last_seq, "version",
		(json_int_t)row->version, "threads", threads);
	json_t *life = life_json(row);
	bool ok = json && more && life && json_object_update(json, more) == 0 && json_object_update(json, life) == 0;
	json_decref(more);
	json_decref(life);
	if (ok)
		return json;
	json_decref(json);
	return NULL;
}

json_t *job_place_json(const struct job_place *place)
{
	return json_pack("{s:i, s:s, s:s, s:i, s:b, s:o, s:o}", "position", place->position, "reason",
		order_code(place->verdict), "detail", place->detail, "level", place->level, "fast_lane",
		(int)place->fast, "waited_seconds", spec_number(place->waited), "used_core_seconds",
		spec_number(place->core_seconds));
}

/* Its place in the queue; null when it has left it meanwhile. */
static json_t *waiting_json(const struct api *api, const char *id)
{
	struct job_place place;
	return store_job_place(api->store, id, &place) == STORE_OK ? job_place_json(&place) : json_null();
}

json_t *job_json(const struct api *api, const struct job_row *row, const char *history)
{
	json_t *json = job_json_brief(api, row);
	bool ok = json;
	if (ok && row->status == JOB_QUEUED)
		ok = json_object_set_new(json, "waiting", waiting_json(api, row->id)) == 0;
	if (ok && row->claimed_at > 0)
		ok = json_object_set_new(json, "eta_seconds", spec_number(eta_left(row))) == 0;
	if (ok)
		ok = json_object_set_new(json, "model", answer_stored(row->model)) == 0 && add_spec(json, row);
	if (ok && history)
		ok = json_object_set_new(json, "status_history", answer_stored(history)) == 0;
	if (ok)
		return json;
	json_decref(json);
	return NULL;
}
