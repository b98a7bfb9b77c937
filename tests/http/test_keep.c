/* test_keep.c - the real daemon: what retention takes and says, and what a user may take of the disk. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "http/users.h"
#include "runner.h"

/* Waits until retention has taken something from the job. New reference. */
static json_t *wait_removed(int port, const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s", id);
	for (;;) {
		json_t *events, *job = talk_get(port, target);
		if (json_is_number(talk_at(job, "weights_removed_at")))
			return job;
		json_decref(job);
		events = talk_get(port, "/v1/events?after=0&limit=1"); /* a turn for the keeper */
		json_decref(events);
	}
}

static int count_checkpoints(int port, const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s/checkpoints", id);
	json_t *list = talk_get(port, target);
	int n = (int)json_array_size(talk_at(list, "data"));
	json_decref(list);
	return n;
}

static double metric(int port, const char *name)
{
	struct response r = request_get(port, "/metrics");
	const char *at = strstr(r.body, name);
	ck_assert_msg(at, "no %s", name);
	double value = strtod(at + strlen(name), NULL);
	response_free(&r);
	return value;
}

START_TEST(only_the_best_checkpoint_of_an_ended_job_stays)
{
	static const char *const flags[] = {"--retain-only-best=1", NULL};
	struct daemon d;
	char id[64], target[160], folder[100];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 256, 16);
	sample_submit(d.port, "quarters", "\"epochs\":4", id);
	json_decref(sample_wait(d.port, id, "succeeded"));
	json_t *job = wait_removed(d.port, id);
	ck_assert_str_eq(talk_text(job, "weights_kept"), "best");
	json_decref(job);
	ck_assert_int_eq(count_checkpoints(d.port, id), 1);
	snprintf(folder, sizeof folder, "checkpoints/%s", id);
	while (daemon_files(&d, folder) > 1) /* rows go first */
		json_decref(talk_get(d.port, "/v1/whoami"));
	ck_assert_int_eq(daemon_files(&d, folder), 1);
	struct bytes best = sample_weights(d.port, id, "best");
	ck_assert_uint_gt(best.size, 100);
	bytes_free(&best);
	snprintf(target, sizeof target, "/v1/jobs/%s/checkpoints/99/weights", id);
	talk_refused(d.port, "GET", target, NULL, 410, "weights_removed", "checkpoint");
	ck_assert(metric(d.port, "backpropd_retention_removed_total{what=\"checkpoints\"} ") >= 1);
	daemon_done(&d);
}
END_TEST

/* With 1 MiB for all checkpoints, sized by rows that say so, the first to have ended loses its weights; the one that
 * runs does not. */
START_TEST(beyond_its_bytes_the_first_that_ended_loses_its_weights)
{
	static const char *const flags[] = {"--retain-weights-mb=1", NULL};
	struct daemon d;
	char first[64], running[64], target[160];
	static const char big[] =
		"{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Flatten\"},{\"type\":\"Linear\","
		"\"out_features\":3000},{\"type\":\"ReLU\"},{\"type\":\"Linear\",\"out_features\":4}]}";
	char body[600];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 256, 16);
	snprintf(body, sizeof body,
		"{\"dataset\":\"quarters\",\"model\":%s,\"training\":{\"epochs\":1,\"batch_size\":16,\"loss\":"
		"\"CrossEntropyLoss\","
		"\"optimizer\":{\"type\":\"Adam\",\"lr\":0.001}}}",
		big);
	json_t *job = talk(d.port, "POST", "/v1/jobs", body, 201);
	snprintf(first, sizeof first, "%s", talk_text(job, "id"));
	json_decref(job);
	json_decref(wait_removed(d.port, first));
	ck_assert_int_eq(count_checkpoints(d.port, first), 0);
	snprintf(target, sizeof target, "/v1/jobs/%s/checkpoints/best/weights", first);
	talk_refused(d.port, "GET", target, NULL, 410, "weights_removed", "checkpoint");
	snprintf(target, sizeof target, "/v1/jobs/%s/predict", first);
	talk_refused(d.port, "POST", target, "{\"dataset\":\"quarters\"}", 410, "weights_removed", "checkpoint");
	sample_submit(d.port, "quarters", "\"epochs\":1000000", running);
	sample_wait_epoch(d.port, running, 2);
	ck_assert_int_ge(count_checkpoints(d.port, running), 1);
	daemon_done(&d);
}
END_TEST

START_TEST(an_upload_beyond_a_users_share_is_refused_before_its_body)
{
	static const char *const flags[] = {"--max-disk-mb-per-user=1", NULL};
	struct daemon d;
	daemon_start(&d, flags);
	struct client *c = client_open(d.port);
	ck_assert(
		client_sendf(c, "PUT /v1/datasets/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1048577\r\n\r\n"));
	struct response r = client_read(c, false);
	talk_problem(&r, 507, "quota_exceeded", "");
	response_free(&r);
	client_close(c);
	/* Two at once have one share together: the first, whose body is on its way, counts with all of it. */
	struct client *one = client_open(d.port), *two = client_open(d.port);
	ck_assert(client_sendf(one, "PUT /v1/datasets/a/files/x HTTP/1.1\r\nHost: localhost\r\n"
				    "Content-Length: 700000\r\n\r\nx"));
	while (daemon_files(&d, "uploads") < 1)
		json_decref(talk_get(d.port, "/v1/whoami"));
	ck_assert(client_sendf(
		two, "PUT /v1/datasets/b/files/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 700000\r\n\r\n"));
	r = client_read(two, false);
	talk_problem(&r, 507, "quota_exceeded", "");
	response_free(&r);
	client_close(two);
	client_close(one);
	while (daemon_files(&d, "uploads") > 0)
		json_decref(talk_get(d.port, "/v1/whoami"));
	sample_upload(d.port, "quarters", 256, 16);
	json_t *me = talk_get(d.port, "/v1/whoami");
	ck_assert_int_eq(talk_int(me, "disk.limit_bytes"), 1 << 20);
	ck_assert_int_gt(talk_int(me, "disk.dataset_bytes"), 0);
	ck_assert_int_eq(talk_int(me, "disk.upload_bytes"), 0);
	ck_assert_int_eq(talk_int(me, "disk.total_bytes"), talk_int(me, "disk.dataset_bytes"));
	json_decref(me);
	daemon_done(&d);
}
END_TEST

START_TEST(what_packs_to_more_than_a_users_share_leaves_nothing_behind)
{
	static const char *const flags[] = {"--max-disk-mb-per-user=1", NULL};
	static const char *const names[] = {"x_train", "y_train"};
	enum { N = 2000, PIXELS = 1024 };
	struct daemon d;
	char *zeros = calloc(N, PIXELS);
	ck_assert_ptr_nonnull(zeros);
	daemon_start(&d, flags);
	struct bytes arrays[2] = {sample_npy("|u1", "(2000, 1, 32, 32)", zeros, (size_t)N * PIXELS),
		sample_npy("|u1", "(2000,)", zeros, N)};
	struct bytes npz = sample_npz(names, arrays, 2);
	struct response r = request_do(d.port, "PUT", "/v1/datasets/wide", NULL, npz.at, npz.size);
	ck_assert_int_eq(r.status, 507);
	response_free(&r);
	ck_assert_int_eq(daemon_files(&d, "datasets"), 0);
	r = request_get(d.port, "/v1/datasets/wide");
	ck_assert_int_eq(r.status, 404);
	response_free(&r);
	bytes_free(&npz);
	free(zeros);
	daemon_done(&d);
}
END_TEST

/* 64 x 500 x 4 of weights: a checkpoint has 139 KB. */
static void submit_wide(int port, int status, char ret_id[64])
{
	static const char body[] =
		"{\"dataset\":\"quarters\",\"model\":{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Flatten\"},"
		"{\"type\":\"Linear\",\"out_features\":500},{\"type\":\"ReLU\"},{\"type\":\"Linear\",\"out_features\":"
		"4}]},"
		"\"training\":{\"epochs\":4,\"batch_size\":16,\"seed\":5,\"loss\":\"CrossEntropyLoss\","
		"\"optimizer\":{\"type\":\"SGD\",\"lr\":0.01}}}";
	if (status != 201) {
		talk_refused(port, "POST", "/v1/jobs", body, status, "over_quota", "");
		return;
	}
	json_t *job = talk(port, "POST", "/v1/jobs", body, status);
	snprintf(ret_id, 64, "%s", talk_text(job, "id"));
	json_decref(job);
}

/* Waits until the job is paused; it must not end before. */
static void wait_paused(int port, const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s", id);
	for (;;) {
		json_t *job = talk_get(port, target);
		const char *status = talk_text(job, "status");
		bool paused = strcmp(status, "paused") == 0;
		ck_assert_str_ne(status, "succeeded");
		if (paused)
			ck_assert_str_eq(talk_text(job, "status_reason"), "disk_quota");
		json_decref(job);
		if (paused)
			return;
	}
}

START_TEST(a_job_over_its_users_share_pauses_and_goes_on_to_the_same_bits_when_there_is_room)
{
	static const char *const flags[] = {"--max-disk-mb-per-user=1", "--keep-checkpoints=1", NULL};
	struct daemon d;
	char id[64], alone[64];
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", 256, 16);
	sample_upload(d.port, "filler", 14500, 16);
	submit_wide(d.port, 201, id);
	wait_paused(d.port, id);
	ck_assert_int_ge(count_checkpoints(d.port, id), 1);
	submit_wide(d.port, 409, NULL);
	json_decref(talk(d.port, "DELETE", "/v1/datasets/filler", NULL, 204));
	json_t *job = sample_wait(d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "attempt"), 2);
	json_decref(job);
	submit_wide(d.port, 201, alone);
	job = sample_wait(d.port, alone, "succeeded");
	ck_assert_int_eq(talk_int(job, "attempt"), 1);
	json_decref(job);
	struct bytes paused = sample_weights(d.port, id, "last"), undisturbed = sample_weights(d.port, alone, "last");
	ck_assert_uint_eq(paused.size, undisturbed.size);
	ck_assert_mem_eq(paused.at, undisturbed.at, paused.size);
	bytes_free(&paused);
	bytes_free(&undisturbed);
	daemon_done(&d);
}
END_TEST

TEST_SUITE(keep, 60)
{
	tcase_add_test(tc, only_the_best_checkpoint_of_an_ended_job_stays);
	tcase_add_test(tc, beyond_its_bytes_the_first_that_ended_loses_its_weights);
	tcase_add_test(tc, an_upload_beyond_a_users_share_is_refused_before_its_body);
	tcase_add_test(tc, a_job_over_its_users_share_pauses_and_goes_on_to_the_same_bits_when_there_is_room);
	tcase_add_test(tc, what_packs_to_more_than_a_users_share_leaves_nothing_behind);
}
