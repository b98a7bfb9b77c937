/*
 * job_submit.c - POST /v1/jobs, and the end of a clone: everything that can be known to be wrong is told at once, and
 * nothing is queued before all of it is right. With dry_run the resolved job is shown instead of stored.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/dataset.h"
#include "api/eta.h"
#include "api/handlers.h"
#include "api/job.h"
#include "base/jsonmem.h"
#include "base/sha256.h"
#include "spec/spec.h"

/* What a body became. Everything is owned. */
struct submission {
	struct spec_job job;
	struct spec_model model;
	struct spec_dataset data; /* borrows from info */
	struct dataset_row dataset;
	struct bp_net *net;
	struct bp_memory memory;
	json_t *definition, *summary, *info, *spec;
	bool has_model, has_dataset;
};

static void submission_free(struct submission *s)
{
	if (!s)
		return;
	bp_net_free(s->net);
	if (s->has_model)
		spec_model_done(&s->model);
	if (s->has_dataset)
		dataset_row_done(&s->dataset);
	json_decref(s->definition);
	json_decref(s->summary);
	json_decref(s->info);
	json_decref(s->spec);
	free(s);
}

/* The model of the body: a definition, or the id of a stored one. */
static void read_model(
	const struct http_request *rq, const json_t *body, struct submission *s, struct problems *problems)
{
	const json_t *given = json_object_get(body, "model");
	if (json_is_object(given)) {
		s->has_model = spec_model_parse(given, "/model", problems, &s->model);
		return;
	}
	if (!json_is_string(given))
		return; /* spec_job_parse has said so */
	struct model_row row;
	const char *id = json_string_value(given);
	enum store_status st = store_model_get(answer_api(rq)->store, id, &row);
	if (st == STORE_OK && !auth_sees(rq, row.owner)) {
		model_row_done(&row);
		st = STORE_NOT_FOUND;
	}
	if (st == STORE_NOT_FOUND) {
		problems_add(problems, ERR_UNKNOWN_NAME, "/model", "There is no model '%.64s'.", id);
	} else if (st != STORE_OK) {
		problems_add(problems, ERR_INTERNAL, "/model", "The server's database failed.");
	} else {
		json_t *definition = answer_stored(row.definition);
		s->has_model = spec_model_parse(definition, "/model", problems, &s->model);
		json_decref(definition);
		model_row_done(&row);
	}
}

static void read_dataset(
	const struct http_request *rq, const json_t *body, struct submission *s, struct problems *problems)
{
	const char *name = json_string_value(json_object_get(body, "dataset"));
	if (!name || !name[0])
		return; /* spec_job_parse has said so */
	enum store_status st = dataset_get(rq, name, &s->dataset);
	s->has_dataset = st == STORE_OK;
	if (st == STORE_NOT_FOUND) {
		char shown[NAME_MAX_BYTES + 1];
		snprintf(shown, sizeof shown, "%s", name);
		dataset_unknown(rq, shown, "/dataset", problems);
	} else if (st != STORE_OK) {
		problems_add(problems, ERR_INTERNAL, "/dataset", "The server's database failed.");
	} else if (strcmp(s->dataset.status, "ready") != 0) {
		problems_add(
			problems, ERR_CONFLICT, "/dataset", "The data set is still being received: commit it first.");
	} else {
		s->info = answer_stored(s->dataset.info);
		if (!spec_dataset_parse(s->info, &s->data))
			problems_add(problems, ERR_INTERNAL, "/dataset", "The data set's description cannot be read.");
	}
}

/* How long it will take. */
static json_t *estimate_json(const struct api *api, const struct submission *s)
{
	char *model = jsonmem_dumps(s->definition, JSON_COMPACT);
	int64_t val = spec_job_validation_samples(&s->job, s->data.train);
	struct eta_work work = {.model = model,
		.training_flops = (double)json_integer_value(json_object_get(s->summary, "training_flops")),
		.flops = (double)json_integer_value(json_object_get(s->summary, "flops")),
		.train = s->data.train - val,
		.val = s->job.validation_on_test ? s->data.test : val,
		.batch_size = s->job.params.batch_size,
		.epochs = s->job.params.epochs};
	json_t *estimate = model ? eta_estimate(api, &work) : NULL;
	free(model);
	return estimate;
}

/* What the job will need, shown with it. */
static json_t *plan_json(const struct api *api, const struct submission *s)
{
	const struct bp_memory *m = &s->memory;
	json_t *memory = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "parameters", (json_int_t)m->parameters,
		"gradients", (json_int_t)m->gradients, "optimizer_state", (json_int_t)m->optimizer_state, "activations",
		(json_int_t)m->activations, "workspace", (json_int_t)m->workspace, "indices", (json_int_t)m->indices,
		"total", (json_int_t)m->total, "dataset", (json_int_t)s->dataset.bytes);
	return json_pack("{s:O, s:O, s:o, s:o, s:o}", "parameters", json_object_get(s->summary, "parameters"),
		"training_flops", json_object_get(s->summary, "training_flops"), "memory", memory, "estimate",
		estimate_json(api, s), "warnings", spec_job_warnings(&s->job));
}

/* Checks the body in full. NULL with problems. */
static struct submission *submission_read(const struct http_request *rq, const json_t *body, struct problems *problems)
{
	const struct api *api = answer_api(rq);
	struct submission *s = calloc(1, sizeof *s);
	if (!s) {
		problems_add(problems, ERR_INTERNAL, "", "The server is out of memory.");
		return NULL;
	}
	bool parsed = spec_job_parse(body, api->threads, problems, &s->job);
	read_model(rq, body, s, problems);
	read_dataset(rq, body, s, problems);
	if (s->has_model)
		s->net = spec_model_build(&s->model, "/model", problems);
	const struct spec_job_context context = {
		.model = &s->model, .net = s->net, .ds = &s->data, .memory_limit = api->memory_limit};
	if (parsed && s->net && s->info && !problems_any(problems))
		spec_job_check(&s->job, &context, problems, &s->memory);
	if (!problems_any(problems)) {
		s->definition = spec_model_to_json(&s->model);
		s->summary = spec_model_summary(&s->model, s->net);
		s->spec = spec_job_to_json(&s->job, &s->data);
		if (!s->definition || !s->summary || json_object_set_new(s->spec, "plan", plan_json(api, s)) < 0)
			problems_add(problems, ERR_INTERNAL, "", "The server is out of memory.");
	}
	if (!problems_any(problems))
		return s;
	submission_free(s);
	return NULL;
}

/* The job's own name, else its model's, else its data set's. */
static const char *submission_name(const struct submission *s)
{
	if (s->job.name[0])
		return s->job.name;
	return s->model.name[0] ? s->model.name : s->dataset.name;
}

static void reply_dry(struct http_request *rq, const struct api *api, const struct submission *s)
{
	json_t *json = json_pack("{s:s, s:b, s:s, s:s, s:s, s:O, s:i, s:i, s:O, s:I}", "object", "job", "dry_run", 1,
		"name", submission_name(s), "dataset", s->dataset.name, "dataset_id", s->dataset.id, "model",
		s->definition, "priority", s->job.priority, "epochs", s->job.params.epochs, "summary", s->summary,
		"memory_limit", (json_int_t)api->memory_limit);
	if (json && json_object_update_missing(json, s->spec) < 0) {
		json_decref(json);
		json = NULL;
	}
	http_reply_json(rq, 200, json);
}

/* A key of 1 to 255 printable characters, or none. */
static const char *idempotency_key(const struct http_request *rq, struct problems *problems)
{
	const char *key = http_header(rq, "Idempotency-Key");
	size_t size = key ? strlen(key) : 1;
	for (size_t i = 0; key && i < size; i++)
		if (key[i] < ' ' || key[i] == 0x7f)
			size = 0;
	if (size < 1 || size > 255)
		problems_add(
			problems, ERR_INVALID_REQUEST, "Idempotency-Key", "A key has 1 to 255 printable characters.");
	return key;
}

/* Of the request that a key stands for. */
static void request_sha256(const struct http_request *rq, const char *from, char ret[65])
{
	size_t size = 0;
	const char *bytes = http_body_bytes(rq, &size);
	char whole[65 + ID_MAX];
	sha256_hex(bytes, size, ret);
	if (from[0]) {
		int n = snprintf(whole, sizeof whole, "%s %s", from, ret);
		sha256_hex(whole, (size_t)n, ret);
	}
}

static void store_submission(struct http_request *rq, const struct submission *s, const char *key, const char *from)
{
	struct api *api = answer_api(rq);
	char *model = jsonmem_dumps(s->definition, JSON_COMPACT), *spec = jsonmem_dumps(s->spec, JSON_COMPACT);
	char sha256[65], location[ID_MAX + 16];
	request_sha256(rq, from, sha256);
	const json_t *estimate = json_object_get(json_object_get(s->spec, "plan"), "estimate");
	struct job_new job = {.owner = auth_user(rq),
		.name = submission_name(s),
		.dataset_id = s->dataset.id,
		.model = model,
		.spec = spec,
		.priority = s->job.priority,
		.epochs = s->job.params.epochs,
		.threads = s->job.threads_auto ? 0 : s->job.threads,
		.planned_bytes = s->memory.total,
		.epoch_seconds = json_number_value(json_object_get(estimate, "seconds_per_epoch")),
		.max_seconds = s->job.life.max_runtime_seconds,
		.idempotency_key = key,
		.request_sha256 = sha256,
		.max_queued = api->config->max_queued,
		.max_queued_of_owner = api->config->max_queued_per_user};
	struct job_row row;
	bool existing = false;
	enum store_status st =
		model && spec && !jsonmem_ran_out() ? store_job_add(api->store, &job, &row, &existing) : STORE_ERROR;
	free(model);
	free(spec);
	if (st == STORE_CONFLICT) {
		http_reply_error(
			rq, ERR_IDEMPOTENCY_MISMATCH, "Idempotency-Key", "The key was used with another body.");
	} else if (st == STORE_NOT_FOUND) {
		http_reply_error(rq, ERR_UNKNOWN_NAME, "/dataset", "The data set was deleted meanwhile.");
	} else if (st == STORE_MANY && store_disk_left(api->store, auth_user(rq)) <= 0) {
		http_reply_error(rq, ERR_OVER_QUOTA, "",
			"Your data sets and checkpoints take all of the disk that a user may (max_disk_mb_per_user): "
			"delete some of them, or jobs. /v1/whoami shows what you take.");
	} else if (st != STORE_OK) {
		answer_store(rq, st, "job",
			"Too many jobs are waiting, yours or all together (max_queued_per_user, max_queued).");
	} else {
		if (!existing)
			answer_ring(api, row.id);
		snprintf(location, sizeof location, "/v1/jobs/%s", row.id);
		http_reply_header(rq, "Location", location);
		job_reply(rq, existing ? 200 : 201, row.id);
		job_row_done(&row);
	}
}

void job_submit(struct http_request *rq, const json_t *body, const char *from)
{
	struct api *api = answer_api(rq);
	struct problems problems = {0};
	bool dry_run = false;
	http_query_only(rq, (const char *const[]){"dry_run"}, 1, &problems);
	answer_query_bool(rq, "dry_run", &dry_run, &problems);
	const char *key = idempotency_key(rq, &problems);
	struct submission *s = submission_read(rq, body, &problems);
	if (!answer_refused(rq, &problems)) {
		if (dry_run)
			reply_dry(rq, api, s);
		else
			store_submission(rq, s, key, from);
	}
	submission_free(s);
}

void api_job_create(struct http_request *rq)
{
	job_submit(rq, http_json(rq), "");
}
