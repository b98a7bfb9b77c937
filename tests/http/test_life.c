/* test_life.c - what one can ask of a job over HTTP: pause, resume, stop, clone, changes, and when it is refused. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

#define ENDLESS "\"epochs\":1000000"

static const char *job_target(const char *id, const char *rest, char buf[160])
{
	snprintf(buf, 160, "/v1/jobs/%.63s%s", id, rest);
	return buf;
}

/* The status after a verb; 200 or 202. */
static void ask(int port, const char *id, const char *verb, const char *status, int code)
{
	char target[160];
	json_t *job = talk(port, "POST", job_target(id, verb, target), NULL, code);
	ck_assert_str_eq(talk_text(job, "status"), status);
	json_decref(job);
}

static void wait_status(int port, const char *id, const char *status)
{
	char target[160];
	long long version = 0;
	for (bool there = false; !there;) {
		snprintf(target, sizeof target, "/v1/jobs/%s?wait=20&version=%lld", id, version);
		json_t *job = talk_get(port, target);
		version = talk_int(job, "version");
		there = strcmp(talk_text(job, "status"), status) == 0;
		json_decref(job);
	}
}

static void start(struct daemon *d, char id[64])
{
	static const char *const flags[] = {"--workers=1", NULL};
	daemon_start(d, flags);
	sample_upload(d->port, "quarters", 512, 64);
	sample_submit(d->port, "quarters", ENDLESS, id);
	sample_wait_epoch(d->port, id, 1);
}

START_TEST(a_job_is_paused_resumed_and_stopped)
{
	struct daemon d;
	char id[64];
	start(&d, id);
	ask(d.port, id, "/pause", "pausing", 202);
	wait_status(d.port, id, "paused");
	ask(d.port, id, "/pause", "paused", 200);
	ask(d.port, id, "/resume", "queued", 200);
	wait_status(d.port, id, "running");
	ask(d.port, id, "/resume", "running", 200);
	ask(d.port, id, "/stop", "stopping", 202);
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_str_eq(talk_text(job, "status_reason"), "stopped");
	ck_assert(json_is_true(talk_at(job, "stop_requested")));
	ck_assert(talk_number(job, "runtime_seconds") > 0);
	ck_assert(talk_number(job, "metrics.test_accuracy") >= 0);
	static const char *const statuses[] = {
		"queued", "running", "pausing", "paused", "queued", "running", "stopping", "succeeded"};
	const json_t *history = talk_at(job, "status_history");
	ck_assert_uint_eq(json_array_size(history), sizeof statuses / sizeof statuses[0]);
	for (size_t i = 0; i < json_array_size(history); i++)
		ck_assert_str_eq(talk_text(json_array_get(history, i), "status"), statuses[i]);
	json_decref(job);
	struct bytes weights = sample_weights(d.port, id, "best");
	ck_assert_uint_gt(weights.size, 0);
	bytes_free(&weights);
	daemon_done(&d);
}
END_TEST

START_TEST(a_queued_job_is_held_and_released)
{
	struct daemon d;
	char first[64], id[64], target[160];
	start(&d, first);
	sample_submit(d.port, "quarters", "\"epochs\":1", id);
	ask(d.port, id, "/pause", "paused", 200);
	json_t *job = talk_get(d.port, job_target(id, "", target)), *queue = talk_get(d.port, "/v1/queue");
	ck_assert_str_eq(talk_text(job, "status_reason"), "held");
	ck_assert_uint_eq(json_array_size(talk_at(queue, "data")), 0);
	json_decref(job);
	json_decref(queue);
	ask(d.port, first, "/cancel", "cancelling", 202);
	wait_status(d.port, first, "cancelled");
	ask(d.port, id, "/resume", "queued", 200);
	json_decref(sample_wait(d.port, id, "succeeded"));
	daemon_done(&d);
}
END_TEST

START_TEST(what_a_status_does_not_allow_is_refused_with_its_code)
{
	static const struct {
		const char *path;
		int status; /* of the answer for the running, the queued and the cancelled job */
	} verbs[][3] = {
		{{"/stop", 0}, {"/stop", 409}, {"/stop", 409}},
		{{"/pause", 0}, {"/pause", 0}, {"/pause", 409}},
		{{"/resume", 200}, {"/resume", 200}, {"/resume", 409}},
		{{"/cancel", 0}, {"/cancel", 0}, {"/cancel", 200}},
	};
	struct daemon d;
	char ids[3][64], target[160];
	start(&d, ids[0]);
	sample_submit(d.port, "quarters", "\"epochs\":1", ids[1]);
	sample_submit(d.port, "quarters", "\"epochs\":1", ids[2]);
	ask(d.port, ids[2], "/cancel", "cancelled", 200);
	for (size_t v = 0; v < sizeof verbs / sizeof verbs[0]; v++) {
		for (int j = 0; j < 3; j++) {
			if (!verbs[v][j].status)
				continue;
			job_target(ids[j], verbs[v][j].path, target);
			if (verbs[v][j].status == 409)
				talk_refused(d.port, "POST", target, NULL, 409, "illegal_move", "");
			else
				json_decref(talk(d.port, "POST", target, NULL, verbs[v][j].status));
		}
		talk_refused(
			d.port, "POST", job_target("job_none", verbs[v][0].path, target), NULL, 404, "not_found", "");
	}
	talk_refused(d.port, "PATCH", job_target(ids[2], "", target), "{\"priority\":3}", 409, "illegal_move", "");
	json_decref(talk(d.port, "PATCH", target, "{\"name\":\"late\"}", 200));
	daemon_done(&d);
}
END_TEST

START_TEST(the_rate_and_the_epochs_of_a_running_job_are_changed)
{
	struct daemon d;
	char id[64], target[160];
	start(&d, id);
	job_target(id, "", target);
	talk_refused(d.port, "PATCH", target, "{\"training\":{\"optimizer\":{\"lr\":-1}}}", 400, "out_of_range",
		"/training/optimizer/lr");
	talk_refused(d.port, "PATCH", target, "{\"training\":{\"epochs\":1}}", 400, "out_of_range", "/training/epochs");
	talk_refused(d.port, "PATCH", target, "{\"training\":{\"seed\":1}}", 400, "unknown_field", "/training/seed");
	json_decref(talk(d.port, "PATCH", target, "{\"training\":{\"optimizer\":{\"lr\":0.00025}}}", 200));
	struct client *c = sample_events(d.port, id, "change");
	struct client_event event = {.type = ""};
	ck_assert(client_read_event(c, &event));
	json_t *change = json_loads(event.data, 0, NULL);
	ck_assert_double_eq(talk_number(change, "lr"), 0.00025);
	ck_assert_str_eq(talk_text(change, "reason"), "client_request");
	json_decref(change);
	client_close(c);
	daemon_kill(&d);
	daemon_start_again(&d);
	json_t *job = talk_get(d.port, target);
	ck_assert_double_eq(talk_number(job, "training.optimizer.lr"), 0.00025);
	char body[80];
	snprintf(body, sizeof body, "{\"training\":{\"epochs\":%lld}}", talk_int(job, "epoch") + 500);
	json_decref(job);
	json_decref(talk(d.port, "PATCH", target, body, 200));
	job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "training.epochs"), talk_int(job, "epoch"));
	ck_assert_double_eq(talk_number(job, "metrics.lr"), 0.00025);
	ck_assert(json_is_null(talk_at(job, "asked")));
	json_decref(job);
	daemon_done(&d);
}
END_TEST

START_TEST(a_clone_is_the_same_request_with_a_merge_patch)
{
	static const char key[] = "Idempotency-Key: one\r\nContent-Type: application/merge-patch+json\r\n";
	struct daemon d;
	char id[64], target[160];
	start(&d, id);
	job_target(id, "/clone", target);
	static const char patch[] =
		"{\"name\":\"again\",\"priority\":70,\"training\":{\"epochs\":2,\"early_stopping\":"
		"{\"patience\":1},\"validation\":null,\"augment\":[{\"type\":\"RandomCrop\",\"padding\":2}]}}";
	json_t *copy = talk(d.port, "POST", target, "{}", 201), *job = talk_get(d.port, job_target(id, "", target));
	static const char *const same[] = {"model", "training", "dataset", "resources", "normalization"};
	for (size_t i = 0; i < sizeof same / sizeof same[0]; i++)
		ck_assert_msg(json_equal(talk_at(copy, same[i]), talk_at(job, same[i])), "%s", same[i]);
	ck_assert_str_ne(talk_text(copy, "id"), id);
	json_decref(copy);
	json_decref(job);
	job_target(id, "/clone", target);
	struct response r = request_do(d.port, "POST", target, key, patch, strlen(patch));
	ck_assert_int_eq(r.status, 201);
	job = json_loads(r.body, 0, NULL);
	ck_assert_str_eq(talk_text(job, "name"), "again");
	ck_assert_int_eq(talk_int(job, "priority"), 70);
	ck_assert_int_eq(talk_int(job, "epochs"), 2);
	ck_assert_int_eq(talk_int(job, "training.early_stopping.patience"), 1);
	ck_assert_int_eq(talk_int(job, "training.augment.0.padding.0"), 2);
	ck_assert_double_eq(talk_number(job, "training.validation.split"), 0.1);
	char other[160];
	struct response again = request_do(d.port, "POST", target, key, patch, strlen(patch));
	ck_assert_int_eq(again.status, 200);
	response_free(&again);
	/* The same patch of another job is another request. */
	again = request_do(
		d.port, "POST", job_target(talk_text(job, "id"), "/clone", other), key, patch, strlen(patch));
	talk_problem(&again, 422, "idempotency_mismatch", "Idempotency-Key");
	response_free(&again);
	json_decref(job);
	response_free(&r);
	talk_refused(d.port, "POST", target, "{\"training\":{\"epochs\":0}}", 400, "out_of_range", "/training/epochs");
	talk_refused(d.port, "PATCH", job_target(id, "", target), "{\"training\":{\"augment\":[]}}", 400,
		"unknown_field", "/training/augment");
	json_t *dry = talk(d.port, "POST", job_target(id, "/clone?dry_run=true", target), "{}", 200);
	ck_assert(json_is_true(talk_at(dry, "dry_run")));
	json_decref(dry);
	daemon_done(&d);
}
END_TEST

START_TEST(options_that_need_what_the_job_has_not_are_refused)
{
	struct daemon d;
	daemon_start(&d, NULL);
	sample_upload(d.port, "quarters", 128, 0);
	char *body =
		sample_job("quarters", "\"validation\":{\"split\":0},\"early_stopping\":{\"monitor\":\"val_loss\"}");
	talk_refused(d.port, "POST", "/v1/jobs", body, 400, "invalid_data", "/training/early_stopping/monitor");
	free(body);
	body = sample_job("quarters", "\"target\":{\"metric\":\"val_acuracy\",\"value\":1}");
	talk_refused(d.port, "POST", "/v1/jobs", body, 400, "unknown_name", "/training/target/metric");
	free(body);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(life, 60)
{
	tcase_add_test(tc, a_job_is_paused_resumed_and_stopped);
	tcase_add_test(tc, a_queued_job_is_held_and_released);
	tcase_add_test(tc, what_a_status_does_not_allow_is_refused_with_its_code);
	tcase_add_test(tc, the_rate_and_the_epochs_of_a_running_job_are_changed);
	tcase_add_test(tc, a_clone_is_the_same_request_with_a_merge_patch);
	tcase_add_test(tc, options_that_need_what_the_job_has_not_are_refused);
}
