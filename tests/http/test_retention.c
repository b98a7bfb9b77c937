/*
 * test_retention.c - days go by at the real daemon: what is old goes, with its rows, its events and its files; what is
 * in use stays however old it is; log and metrics tell.
 *
 * Ages are in kept time, which a stop of the daemon carries on by at most half a day (store/keep.c). So each half day
 * here is a stop, a clock set ahead and a start. A pass of the keeper looks at data sets last: when one of them has
 * gone that became a day old with the others, all the rest of the pass is done.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/clock.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

#define HALF_DAY (12 * 3600.0)
#define LONG_JOB "\"epochs\":100,\"checkpoint\":{\"every_epochs\":1}"
enum { USED = 256, MARK0 = 96, MARK1 = 104 };

static struct clock_rig rig;
static double ahead; /* of the machine's clock */
static char old[64], young[64], paused[64];

static void begin(const char *const *flags)
{
	ahead = 0;
	clock_open(&rig, flags);
	daemon_start_again(&rig.d);
}

static void begin_days(void)
{
	static const char *const flags[] = {"--workers=1", "--retain-jobs-days=2", "--retain-weights-days=1",
		"--retain-datasets-days=1", "--retain-uploads-days=1", "--retain-only-best=1", NULL};
	begin(flags);
}

static void half_a_day_goes_by(void)
{
	daemon_stop(&rig.d);
	ahead += HALF_DAY;
	clock_set(&rig, ahead);
	daemon_start_again(&rig.d);
}

/* ---- what there is ---- */
static int status_of(const char *what, const char *id, const char *rest)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/%s/%s%s", what, id, rest);
	struct response r = request_get(rig.d.port, target);
	int status = r.status;
	response_free(&r);
	return status;
}

static void wait_gone(const char *what, const char *id)
{
	while (status_of(what, id, "") != 404)
		;
}

static json_t *job_get(const char *id, const char *rest)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s%s", id, rest);
	return talk_get(rig.d.port, target);
}

static void weights_kept(const char *id, const char *what, size_t rows)
{
	json_t *job = job_get(id, ""), *list = job_get(id, "/checkpoints");
	ck_assert_str_eq(talk_text(job, "weights_kept"), what);
	ck_assert_uint_eq(json_array_size(talk_at(list, "data")), rows);
	json_decref(job);
	json_decref(list);
	ck_assert_int_eq(status_of("jobs", id, "/checkpoints/best/weights"), rows ? 200 : 410);
}

static long long last_event(const char *id)
{
	json_t *page = job_get(id, "/events?limit=1000"), *job = job_get(id, "");
	long long last = talk_int(job, "last_seq");
	ck_assert_uint_eq(json_array_size(talk_at(page, "data")), (size_t)last);
	json_decref(page);
	json_decref(job);
	return last;
}

static int files_of(const char *id)
{
	char folder[100];
	snprintf(folder, sizeof folder, "checkpoints/%s", id);
	return daemon_files(&rig.d, folder);
}

static long long removed(const char *what)
{
	char line[100];
	struct response r = request_get(rig.d.port, "/metrics");
	snprintf(line, sizeof line, "backpropd_retention_removed_total{what=\"%s\"} ", what);
	const char *at = strstr(r.body, line);
	ck_assert_ptr_nonnull(at);
	long long n = atoll(at + strlen(line));
	response_free(&r);
	return n;
}

static void pause_it(const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s/pause", id);
	json_decref(talk(rig.d.port, "POST", target, NULL, 202));
	for (bool there = false; !there;) {
		json_t *job = job_get(id, "");
		there = strcmp(talk_text(job, "status"), "paused") == 0;
		ck_assert_str_ne(talk_text(job, "status"), "succeeded");
		json_decref(job);
	}
}

static void end_one(const char *dataset, char ret_id[64])
{
	sample_submit(rig.d.port, dataset, "\"epochs\":4", ret_id);
	json_decref(sample_wait(rig.d.port, ret_id, "succeeded"));
	for (bool best = false; !best;) {
		json_t *job = job_get(ret_id, "");
		best = strcmp(talk_text(job, "weights_kept"), "best") == 0;
		json_decref(job);
	}
}

/* Rows, events and files of the job that is paused, and its data set, stay as they were. */
static void paused_stays(int files, long long events)
{
	json_t *job = job_get(paused, "");
	ck_assert_str_eq(talk_text(job, "status"), "paused");
	ck_assert_str_eq(talk_text(job, "weights_kept"), "all");
	json_decref(job);
	ck_assert_int_eq(files_of(paused), files);
	ck_assert_int_eq(last_event(paused), events);
	ck_assert_int_eq(status_of("datasets", "used", "/samples/0"), 200);
}

START_TEST(what_is_old_goes_and_what_is_in_use_stays)
{
	struct bytes file = sample_idx_labels(0, 10);
	begin_days();
	sample_upload(rig.d.port, "used", USED, 0);
	sample_upload(rig.d.port, "twin", USED, 0); /* of the same file */
	sample_upload(rig.d.port, "mark0", MARK0, 0);
	json_decref(talk_put(rig.d.port, "/v1/datasets/half/files/labels", file.at, file.size, 201));
	bytes_free(&file);
	sample_submit(rig.d.port, "used", LONG_JOB, paused);
	sample_wait_epoch(rig.d.port, paused, 5);
	pause_it(paused);
	const int files = files_of(paused);
	const long long events = last_event(paused);
	ck_assert_int_gt(files, 1);
	end_one("mark0", old);
	weights_kept(old, "best", 1);

	half_a_day_goes_by();
	sample_upload(rig.d.port, "mark1", MARK1, 0);
	end_one("mark1", young); /* its end was a turn of the keeper */
	weights_kept(old, "best", 1);
	ck_assert_int_eq(status_of("datasets", "mark0", ""), 200);
	ck_assert_int_eq(daemon_files(&rig.d, "uploads"), 1);

	half_a_day_goes_by();
	wait_gone("datasets", "mark0");
	wait_gone("datasets", "twin");
	weights_kept(old, "none", 0);
	ck_assert_int_eq(files_of(old), -1);
	ck_assert_int_gt(last_event(old), 4);
	ck_assert_int_eq(status_of("datasets", "half", ""), 404);
	ck_assert_int_eq(daemon_files(&rig.d, "uploads"), 0);
	weights_kept(young, "best", 1);
	ck_assert_int_eq(files_of(young), 1);
	ck_assert_int_eq(daemon_files(&rig.d, "datasets"), 2);
	paused_stays(files, events);
	ck_assert(daemon_logged(&rig.d, "nobody committed its files (retain_uploads_days)"));
	ck_assert(daemon_logged(&rig.d, "(retain_weights_days)"));
	ck_assert(daemon_logged(&rig.d, "no job used it for long enough (retain_datasets_days)"));
	ck_assert_int_eq(removed("uploads"), 1);
	ck_assert_int_eq(removed("datasets"), 2);
	ck_assert_int_eq(removed("jobs"), 0);

	half_a_day_goes_by();
	wait_gone("datasets", "mark1");
	weights_kept(young, "none", 0);
	ck_assert_int_eq(status_of("jobs", old, ""), 200);
	half_a_day_goes_by();
	wait_gone("jobs", old);
	ck_assert_int_eq(status_of("jobs", old, "/events"), 404);
	ck_assert_int_eq(status_of("jobs", young, "/events"), 200);
	half_a_day_goes_by();
	wait_gone("jobs", young);
	ck_assert_int_eq(daemon_files(&rig.d, "checkpoints"), 1);
	ck_assert_int_eq(removed("jobs"), 2);
	ck_assert_int_eq(removed("datasets"), 3);
	ck_assert(daemon_logged(&rig.d, "it was kept for long enough (retain_jobs_days)"));
	ck_assert(daemon_logged(&rig.d, "retention removed 1 job(s), 0 checkpoint(s), 0 data set(s), 0 upload(s)"));
	paused_stays(files, events);
	daemon_done(&rig.d);
}
END_TEST

/* After three days the job goes on where it was, to the bits that it would have had. */
START_TEST(a_job_that_was_paused_for_days_ends_as_if_nothing_had_been)
{
	static const char *const flags[] = {"--workers=1", NULL};
	char target[160];
	begin_days();
	sample_upload(rig.d.port, "used", USED, 0);
	sample_submit(rig.d.port, "used", LONG_JOB, paused);
	sample_wait_epoch(rig.d.port, paused, 5);
	pause_it(paused);
	for (int i = 0; i < 6; i++)
		half_a_day_goes_by();
	snprintf(target, sizeof target, "/v1/jobs/%s/resume", paused);
	json_decref(talk(rig.d.port, "POST", target, NULL, 200));
	json_decref(sample_wait(rig.d.port, paused, "succeeded"));
	struct bytes got = sample_weights(rig.d.port, paused, "last");
	struct bytes wanted = sample_undisturbed(flags, USED, LONG_JOB);
	ck_assert_uint_eq(got.size, wanted.size);
	ck_assert_mem_eq(got.at, wanted.at, wanted.size);
	bytes_free(&got);
	bytes_free(&wanted);
	state_check_log(rig.d.port, paused, 100);
	daemon_stop(&rig.d);
	state_check(&rig.d);
	daemon_done(&rig.d);
}
END_TEST

/* 64 x 500 x 4 of weights: a checkpoint has 139 KB. */
static void submit_wide(int epochs, char ret_id[64])
{
	static const char model[] = "{\"input\":{\"shape\":[1,8,8]},\"layers\":[{\"type\":\"Flatten\"},{\"type\":"
				    "\"Linear\",\"out_features\":500},{\"type\":\"ReLU\"},{\"type\":\"Linear\","
				    "\"out_features\":4}]}";
	char body[700];
	snprintf(body, sizeof body,
		"{\"dataset\":\"used\",\"model\":%s,\"training\":{\"epochs\":%d,\"batch_size\":64,\"loss\":"
		"\"CrossEntropyLoss\",\"optimizer\":{\"type\":\"SGD\",\"lr\":0.01}}}",
		model, epochs);
	json_t *job = talk(rig.d.port, "POST", "/v1/jobs", body, 201);
	snprintf(ret_id, 64, "%s", talk_text(job, "id"));
	json_decref(job);
}

static long long bytes_of(const char *id)
{
	long long bytes = 0;
	json_t *list = job_get(id, "/checkpoints");
	const json_t *data = talk_at(list, "data");
	for (size_t i = 0; i < json_array_size(data); i++)
		bytes += talk_int(json_array_get(data, i), "bytes");
	json_decref(list);
	return bytes;
}

START_TEST(beyond_so_many_bytes_weights_go_in_the_order_of_the_ends_and_no_more_than_needed)
{
	static const char *const flags[] = {"--workers=1", "--retain-weights-mb=1", "--keep-checkpoints=1", NULL};
	enum { JOBS = 9, LIMIT = 1 << 20 };
	char ids[JOBS][64];
	long long total = LIMIT + 1, each = 0;
	int gone = 0;
	begin(flags);
	sample_upload(rig.d.port, "used", USED, 0);
	submit_wide(100000, paused);
	sample_wait_epoch(rig.d.port, paused, 2);
	pause_it(paused);
	const long long held = bytes_of(paused);
	ck_assert_int_gt(held, 0);
	for (int i = 0; i < JOBS; i++) {
		submit_wide(1, ids[i]);
		json_decref(sample_wait(rig.d.port, ids[i], "succeeded"));
	}
	while (total > LIMIT) {
		total = held;
		for (int i = 0; i < JOBS; i++)
			total += bytes_of(ids[i]);
	}
	each = bytes_of(ids[JOBS - 1]);
	while (gone < JOBS && bytes_of(ids[gone]) == 0)
		gone++;
	ck_assert_int_gt(gone, 0);
	for (int i = 0; i < JOBS; i++)
		weights_kept(ids[i], i < gone ? "none" : "all", i >= gone);
	ck_assert_int_gt(total + each, LIMIT);
	ck_assert_int_eq(bytes_of(paused), held);
	ck_assert_int_eq(removed("checkpoints"), gone);
	ck_assert(daemon_logged(&rig.d, "1 checkpoint(s) removed (retain_weights_mb)"));
	daemon_done(&rig.d);
}
END_TEST

TEST_SUITE(retention, 60)
{
	tcase_add_test(tc, what_is_old_goes_and_what_is_in_use_stays);
	tcase_add_test(tc, a_job_that_was_paused_for_days_ends_as_if_nothing_had_been);
	tcase_add_test(tc, beyond_so_many_bytes_weights_go_in_the_order_of_the_ends_and_no_more_than_needed);
}
