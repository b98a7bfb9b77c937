/* test_job.c - jobs over HTTP: from the upload to the weights, and everything one can do to a job. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

#define ENDLESS "\"epochs\":1000000"

static const char *job_target(const char *id, const char *rest, char buf[160])
{
	snprintf(buf, 160, "/v1/jobs/%s%s", id, rest);
	return buf;
}

START_TEST(a_net_is_trained_over_http_from_upload_to_prediction)
{
	struct daemon d;
	char id[64], target[160];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 1024, 200);
	sample_submit(
		d.port, "quarters", "\"epochs\":8,\"batch_size\":32,\"optimizer\":{\"type\":\"Adam\",\"lr\":0.01}", id);
	struct client *c = client_open(d.port);
	struct client_event event;
	client_request(c, "GET", job_target(id, "/events", target), "Accept: text/event-stream\r\n", NULL, 0);
	struct response head = client_read_head(c);
	ck_assert_int_eq(head.status, 200);
	ck_assert_str_eq(response_header(&head, "Content-Type"), "text/event-stream");
	response_free(&head);
	int epochs = 0;
	while (client_read_event(c, &event)) {
		json_t *data = json_loads(event.data, 0, NULL);
		if (strcmp(event.type, "epoch") == 0) {
			ck_assert_int_eq(talk_int(data, "epoch"), ++epochs);
			ck_assert(talk_number(data, "grad_norm") > 0);
			ck_assert(talk_number(data, "samples_per_second") > 0);
			ck_assert_str_eq(talk_text(data, "layers.0.name"), "conv");
		}
		json_decref(data);
	}
	ck_assert_int_eq(epochs, 8);
	client_close(c);
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "epoch"), 8);
	ck_assert_msg(
		talk_number(job, "metrics.test_accuracy") > 0.95, "%f", talk_number(job, "metrics.test_accuracy"));
	ck_assert(talk_number(job, "finished_at") >= talk_number(job, "started_at"));
	json_decref(job);
	json_t *metrics = talk_get(d.port, job_target(id, "/metrics", target));
	ck_assert_uint_eq(json_array_size(talk_at(metrics, "x")), 8);
	ck_assert(talk_number(metrics, "series.loss.7") < talk_number(metrics, "series.loss.0"));
	json_decref(metrics);
	struct bytes weights = sample_weights(d.port, id, "best");
	ck_assert_uint_gt(weights.size, 300 * 4);
	bytes_free(&weights);
	json_t *p =
		talk(d.port, "POST", job_target(id, "/predict", target), "{\"dataset\":\"quarters\",\"count\":5}", 200);
	ck_assert_uint_eq(json_array_size(talk_at(p, "predictions")), 5);
	json_decref(p);
	daemon_done(&d);
}
END_TEST

START_TEST(a_dry_run_tells_the_plan_and_queues_nothing)
{
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 128, 0);
	char *body = sample_job(
		"quarters", "\"epochs\":3,\"augment\":[{\"type\":\"RandomCrop\",\"padding\":1},\"RandomCrop\"]");
	json_t *plan = talk(d.port, "POST", "/v1/jobs?dry_run=true", body, 200);
	ck_assert(json_is_true(talk_at(plan, "dry_run")));
	ck_assert_int_eq(talk_int(plan, "summary.parameters"), 300);
	ck_assert_int_eq(talk_int(plan, "plan.parameters"), 300);
	ck_assert_int_gt(talk_int(plan, "plan.memory.total"), 0);
	ck_assert_ptr_nonnull(json_object_get(talk_at(plan, "plan.estimate"), "seconds_per_epoch"));
	ck_assert_int_gt(talk_int(plan, "memory_limit"), talk_int(plan, "plan.memory.total"));
	ck_assert_str_eq(talk_text(plan, "training.loss.type"), "CrossEntropyLoss");
	ck_assert_int_eq(talk_int(plan, "training.epochs"), 3);
	ck_assert_str_eq(talk_text(plan, "training.augment.1.padding_mode"), "constant");
	ck_assert_uint_eq(json_array_size(talk_at(plan, "plan.warnings")), 1);
	ck_assert_str_eq(talk_text(plan, "plan.warnings.0.param"), "/training/augment/1");
	ck_assert_ptr_null(json_object_get(plan, "id"));
	json_decref(plan);
	json_t *list = talk_get(d.port, "/v1/jobs");
	ck_assert_uint_eq(json_array_size(talk_at(list, "data")), 0);
	json_decref(list);
	free(body);
	daemon_done(&d);
}
END_TEST

START_TEST(a_repeated_request_with_its_key_makes_one_job)
{
	static const char key[] = "Idempotency-Key: one\r\nContent-Type: application/json\r\n";
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 128, 0);
	char *body = sample_job("quarters", "\"epochs\":1"), *other = sample_job("quarters", "\"epochs\":2");
	struct response first = request_do(d.port, "POST", "/v1/jobs", key, body, strlen(body));
	struct response again = request_do(d.port, "POST", "/v1/jobs", key, body, strlen(body));
	struct response differs = request_do(d.port, "POST", "/v1/jobs", key, other, strlen(other));
	ck_assert_int_eq(first.status, 201);
	ck_assert_int_eq(again.status, 200);
	char *location = strdup(response_header(&first, "Location"));
	ck_assert_str_eq(location, response_header(&again, "Location"));
	talk_problem(&differs, 422, "idempotency_mismatch", "Idempotency-Key");
	json_t *list = talk_get(d.port, "/v1/jobs");
	ck_assert_uint_eq(json_array_size(talk_at(list, "data")), 1);
	json_decref(list);
	response_free(&first);
	response_free(&again);
	response_free(&differs);
	free(location);
	free(body);
	free(other);
	daemon_done(&d);
}
END_TEST

START_TEST(a_full_queue_takes_no_more_jobs)
{
	struct daemon d;
	char id[64];
	daemon_start(&d, (const char *const[]){"--workers=1", "--max-queued=1", NULL});
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", ENDLESS, id);
	sample_wait_epoch(d.port, id, 1);
	sample_submit(d.port, "quarters", ENDLESS, id);
	char *body = sample_job("quarters", ENDLESS);
	struct response r = request_json(d.port, "POST", "/v1/jobs", body);
	talk_problem(&r, 429, "too_many", "");
	ck_assert_ptr_nonnull(response_header(&r, "Retry-After"));
	response_free(&r);
	free(body);
	daemon_done(&d);
}
END_TEST

/* A job behind an endless one, so that it changes only when it is told to. */
static void start_waiting_job(struct daemon *d, char first[64], char waiting[64])
{
	static const char *const flags[] = {"--workers=1", NULL};
	daemon_start(d, flags);
	sample_upload(d->port, "quarters", 512, 0);
	sample_submit(d->port, "quarters", ENDLESS, first);
	sample_wait_epoch(d->port, first, 1);
	sample_submit(d->port, "quarters", "\"epochs\":1", waiting);
}

START_TEST(an_unchanged_job_is_not_sent_again_and_a_stale_change_is_refused)
{
	struct daemon d;
	char first[64], id[64], target[160], none[160], match[160];
	start_waiting_job(&d, first, id);
	job_target(id, "", target);
	struct response r = request_get(d.port, target);
	ck_assert_int_eq(r.status, 200);
	snprintf(none, sizeof none, "If-None-Match: %s\r\n", response_header(&r, "ETag"));
	snprintf(
		match, sizeof match, "If-Match: %s\r\nContent-Type: application/json\r\n", response_header(&r, "ETag"));
	response_free(&r);
	r = request_do(d.port, "GET", target, none, NULL, 0);
	ck_assert_int_eq(r.status, 304);
	response_free(&r);
	r = request_do(d.port, "PATCH", target, match, "{\"priority\":7}", 14);
	ck_assert_int_eq(r.status, 200);
	json_t *job = json_loads(r.body, 0, NULL);
	ck_assert_int_eq(talk_int(job, "priority"), 7);
	json_decref(job);
	response_free(&r);
	r = request_do(d.port, "PATCH", target, match, "{\"priority\":8}", 14);
	talk_problem(&r, 412, "precondition_failed", "If-Match");
	response_free(&r);
	r = request_do(d.port, "GET", target, none, NULL, 0);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	talk_refused(d.port, "PATCH", target, "{\"priority\":101}", 400, "out_of_range", "/priority");
	talk_refused(d.port, "PATCH", target, "{\"prioritty\":1}", 400, "unknown_field", "/prioritty");
	json_t *renamed = talk(d.port, "PATCH", target, "{\"name\":\"another name\"}", 200);
	ck_assert_str_eq(talk_text(renamed, "name"), "another name");
	json_decref(renamed);
	daemon_done(&d);
}
END_TEST

/* Asks with the ETag of before; 412 for all of them, and nothing has happened. */
START_TEST(verbs_of_another_version_are_refused)
{
	static const char *const verbs[] = {"/pause", "/resume", "/stop", "/cancel", "/clone", ""};
	struct daemon d;
	char first[64], id[64], target[160], stale[160], fresh[160];
	start_waiting_job(&d, first, id);
	job_target(id, "", target);
	struct response r = request_get(d.port, target);
	const char *line = "If-Match: %s\r\nContent-Type: application/json\r\n";
	snprintf(stale, sizeof stale, line, response_header(&r, "ETag"));
	response_free(&r);
	json_decref(talk(d.port, "PATCH", target, "{\"priority\":7}", 200));
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		job_target(id, verbs[i], target);
		bool clones = strcmp(verbs[i], "/clone") == 0;
		r = request_do(
			d.port, verbs[i][0] ? "POST" : "DELETE", target, stale, clones ? "{}" : NULL, clones * 2);
		talk_problem(&r, 412, "precondition_failed", "If-Match");
		response_free(&r);
	}
	r = request_get(d.port, job_target(id, "", target));
	snprintf(fresh, sizeof fresh, line, response_header(&r, "ETag"));
	json_t *job = json_loads(r.body, 0, NULL);
	ck_assert_str_eq(talk_text(job, "status"), "queued");
	json_decref(job);
	response_free(&r);
	r = request_do(d.port, "POST", job_target(id, "/clone", target), fresh, "{}", 2);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	r = request_do(d.port, "POST", job_target(id, "/cancel", target), fresh, NULL, 0);
	ck_assert_int_eq(r.status, 200);
	snprintf(fresh, sizeof fresh, line, response_header(&r, "ETag"));
	response_free(&r);
	r = request_do(d.port, "DELETE", job_target(id, "", target), fresh, NULL, 0);
	ck_assert_int_eq(r.status, 204);
	response_free(&r);
	daemon_done(&d);
}
END_TEST

START_TEST(a_long_poll_ends_when_the_job_changes)
{
	struct daemon d;
	char first[64], id[64], target[160], waiting[200];
	start_waiting_job(&d, first, id);
	json_t *job = talk_get(d.port, job_target(id, "", target));
	long long version = talk_int(job, "version");
	json_decref(job);
	snprintf(waiting, sizeof waiting, "%s?wait=60&version=%lld", target, version);
	struct client *c = client_open(d.port);
	ck_assert(client_request(c, "GET", waiting, NULL, NULL, 0));
	json_decref(talk(d.port, "PATCH", target, "{\"priority\":3}", 200));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	job = json_loads(r.body, 0, NULL);
	ck_assert_int_gt(talk_int(job, "version"), version);
	ck_assert_int_eq(talk_int(job, "priority"), 3);
	json_decref(job);
	response_free(&r);
	client_close(c);
	daemon_done(&d);
}
END_TEST

static double monotonic(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

START_TEST(a_long_poll_of_an_unchanged_job_ends_with_its_time)
{
	struct daemon d;
	char first[64], id[64], target[160], waiting[200];
	start_waiting_job(&d, first, id);
	json_t *job = talk_get(d.port, job_target(id, "", target));
	long long version = talk_int(job, "version");
	json_decref(job);
	snprintf(waiting, sizeof waiting, "%s?wait=1&version=%lld", target, version);
	double start = monotonic();
	job = talk_get(d.port, waiting);
	ck_assert(monotonic() - start > 0.9);
	ck_assert_int_eq(talk_int(job, "version"), version);
	json_decref(job);
	daemon_done(&d);
}
END_TEST

START_TEST(lists_are_filtered_by_status_data_set_and_name)
{
	struct daemon d;
	char first[64], id[64], target[160];
	start_waiting_job(&d, first, id);
	json_decref(talk(d.port, "PATCH", job_target(id, "", target), "{\"name\":\"mine\"}", 200));
	static const struct {
		const char *query;
		size_t n;
	} cases[] = {{"", 2}, {"?status=queued", 1}, {"?status=running", 1}, {"?status=failed", 0}, {"?name=mine", 1},
		{"?dataset=quarters", 2}, {"?dataset=others", 0}, {"?limit=1", 1}, {"?status=running&name=mine", 0}};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		snprintf(target, sizeof target, "/v1/jobs%s", cases[i].query);
		json_t *list = talk_get(d.port, target);
		ck_assert_msg(json_array_size(talk_at(list, "data")) == cases[i].n, "%s", cases[i].query);
		json_decref(list);
	}
	talk_refused(d.port, "GET", "/v1/jobs?status=sleeping", NULL, 400, "invalid_query", "status");
	daemon_done(&d);
}
END_TEST

START_TEST(a_waiting_job_is_cancelled_at_once)
{
	struct daemon d;
	char first[64], id[64], target[160];
	start_waiting_job(&d, first, id);
	json_t *job = talk(d.port, "POST", job_target(id, "/cancel", target), NULL, 200);
	ck_assert_str_eq(talk_text(job, "status"), "cancelled");
	json_decref(job);
	json_decref(talk(d.port, "POST", target, NULL, 200)); /* asking again is no error */
	json_t *running = talk_get(d.port, job_target(first, "", target));
	ck_assert_str_eq(talk_text(running, "status"), "running");
	json_decref(running);
	daemon_done(&d);
}
END_TEST

START_TEST(a_running_job_is_cancelled_and_then_deleted_with_its_files)
{
	struct daemon d;
	char id[64], target[160], folder[128];
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 512, 0);
	sample_submit(d.port, "quarters", ENDLESS, id);
	sample_wait_epoch(d.port, id, 2);
	snprintf(folder, sizeof folder, "checkpoints/%s", id);
	ck_assert_int_gt(daemon_files(&d, folder), 0);
	talk_refused(d.port, "DELETE", job_target(id, "", target), NULL, 409, "conflict", "");
	struct response r = request_do(d.port, "POST", job_target(id, "/cancel", target), NULL, NULL, 0);
	ck_assert_int_eq(r.status, 202);
	response_free(&r);
	json_t *job = sample_wait(d.port, id, "cancelled");
	const json_t *history = talk_at(job, "status_history");
	ck_assert_uint_ge(json_array_size(history), 4);
	json_decref(job);
	talk(d.port, "DELETE", job_target(id, "", target), NULL, 204);
	ck_assert_int_eq(daemon_files(&d, folder), -1);
	talk_refused(d.port, "GET", target, NULL, 404, "not_found", "");
	talk_refused(d.port, "GET", job_target(id, "/events", target), NULL, 404, "not_found", "");
	daemon_done(&d);
}
END_TEST

TEST_SUITE(job, 60)
{
	tcase_add_test(tc, a_net_is_trained_over_http_from_upload_to_prediction);
	tcase_add_test(tc, a_dry_run_tells_the_plan_and_queues_nothing);
	tcase_add_test(tc, a_repeated_request_with_its_key_makes_one_job);
	tcase_add_test(tc, a_full_queue_takes_no_more_jobs);
	tcase_add_test(tc, an_unchanged_job_is_not_sent_again_and_a_stale_change_is_refused);
	tcase_add_test(tc, verbs_of_another_version_are_refused);
	tcase_add_test(tc, a_long_poll_ends_when_the_job_changes);
	tcase_add_test(tc, a_long_poll_of_an_unchanged_job_ends_with_its_time);
	tcase_add_test(tc, lists_are_filtered_by_status_data_set_and_name);
	tcase_add_test(tc, a_waiting_job_is_cancelled_at_once);
	tcase_add_test(tc, a_running_job_is_cancelled_and_then_deleted_with_its_files);
}
