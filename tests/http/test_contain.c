/*
 * test_contain.c - a job whose thread, or a thread of whose team, crashes the daemon: it is tried again at most three
 * times, then fails, and another job that ran all the while ends as if nothing had been. So it does when a job's data
 * set can no longer be read, and when the kernel kills the daemon whenever a job runs.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/fault.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum { CRASHES = 4, EPOCHS = 30, TRAIN = 512, SLOW_TRAIN = 8192, KILLS = 16 };

/* Two threads each, in regions that are large enough to have both. */
static const char *const flags[] = {"--workers=2", "--threads=4", NULL};
static const char *const no_wait[] = {"--retry-seconds=0", NULL};
static const char healthy[] =
	"\"epochs\":30,\"batch_size\":64,\"seed\":5,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002}";
static const char doomed[] = "\"epochs\":100000,\"batch_size\":64,\"seed\":6,\"checkpoint\":{\"every_epochs\":100000}";

/* Its first checkpoint comes long after the first batch. */
static const char slow[] = "\"epochs\":40,\"batch_size\":64,\"seed\":5,\"checkpoint\":{\"every_epochs\":10}";

static const struct {
	int sig, team;
} ways[] = {{SIGSEGV, 0}, {SIGSEGV, 1}};
enum { WAYS = sizeof ways / sizeof ways[0] };

/* Waits for the next crash, and starts anew. */
static void crash(struct fault_rig *r, int sig)
{
	int status = daemon_end(&r->d, false);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == sig, "wait status %d", status);
	daemon_start_again(&r->d);
}

/* The healthy one has ended as if nothing had been. */
static void check_healthy(struct fault_rig *r, const char *id, struct bytes *want)
{
	json_t *job = sample_wait(r->d.port, id, "succeeded");
	ck_assert_int_eq(talk_int(job, "retries"), 0);
	json_decref(job);
	state_check_log(r->d.port, id, EPOCHS);
	struct bytes got = sample_weights(r->d.port, id, "last");
	ck_assert_uint_eq(got.size, want->size);
	ck_assert(memcmp(got.at, want->at, got.size) == 0);
	bytes_free(&got);
	bytes_free(want);
}

START_TEST(a_job_that_crashes_fails_alone)
{
	struct fault_rig r;
	char bad[64], good[64], target[128];
	struct bytes want = sample_undisturbed(flags, TRAIN, healthy);
	fault_open(&r, flags);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	sample_submit(r.d.port, "quarters", healthy, good);
	sample_submit(r.d.port, "quarters", doomed, bad);
	snprintf(r.control->doomed, sizeof r.control->doomed, "%s", bad);
	atomic_store(&r.control->doom_team, ways[_i].team);
	atomic_store(&r.control->doom_signal, ways[_i].sig);
	for (int i = 0; i < CRASHES; i++)
		crash(&r, ways[_i].sig);
	snprintf(target, sizeof target, "/v1/jobs/%s", bad);
	json_t *job = talk_get(r.d.port, target);
	ck_assert_str_eq(talk_text(job, "status"), "failed");
	ck_assert_str_eq(talk_text(job, "status_reason"), "worker_crash");
	ck_assert_int_eq(talk_int(job, "attempt"), CRASHES);
	json_decref(job);
	check_healthy(&r, good, &want);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	state_check(&r.d);
	fault_close(&r);
}
END_TEST

static void wait_running(int port, const char *id)
{
	char target[128];
	snprintf(target, sizeof target, "/v1/jobs/%s", id);
	for (;;) {
		json_t *job = talk_get(port, target);
		bool runs = strcmp(talk_text(job, "status"), "running") == 0;
		snprintf(target, sizeof target, "/v1/jobs/%s/events?after=%lld&wait=10", id, talk_int(job, "last_seq"));
		json_decref(job);
		if (runs)
			return;
		json_decref(talk_get(port, target)); /* until the next event */
		snprintf(target, sizeof target, "/v1/jobs/%s", id);
	}
}

/* Nobody can be blamed for a SIGKILL, as the kernel sends it when memory is short. */
START_TEST(a_job_that_gets_the_daemon_killed_fails_and_no_other)
{
	struct daemon d;
	char bad[64], good[64], target[128];
	int kills = 0;
	struct bytes want = sample_undisturbed(flags, SLOW_TRAIN, slow);
	daemon_start(&d, flags);
	sample_upload(d.port, "quarters", SLOW_TRAIN, 0);
	sample_submit(d.port, "quarters", slow, good);
	sample_submit(d.port, "quarters", doomed, bad);
	snprintf(target, sizeof target, "/v1/jobs/%s", bad);
	for (bool ended = false; !ended;) {
		wait_running(d.port, bad);
		daemon_kill(&d);
		kills++;
		daemon_start_again(&d);
		json_t *job = talk_get(d.port, target);
		ended = strcmp(talk_text(job, "status"), "failed") == 0;
		if (ended)
			ck_assert_str_eq(talk_text(job, "status_reason"), "worker_crash");
		json_decref(job);
	}
	ck_assert_int_eq(kills, KILLS);
	json_decref(sample_wait(d.port, good, "succeeded"));
	struct bytes got = sample_weights(d.port, good, "last");
	ck_assert_uint_eq(got.size, want.size);
	ck_assert(memcmp(got.at, want.at, got.size) == 0);
	bytes_free(&got);
	bytes_free(&want);
	daemon_stop(&d);
	state_check(&d);
	daemon_done(&d);
}
END_TEST

/* Two data sets and a job on each; the second data set's file in ret_path. */
static void two_jobs(struct fault_rig *r, char good[64], char bad[64], char ret_path[256])
{
	char name[96];
	fault_open(r, flags);
	daemon_start_again(&r->d);
	sample_upload(r->d.port, "quarters", TRAIN, 0);
	sample_upload(r->d.port, "others", TRAIN - 8, 0);
	json_t *dataset = talk_get(r->d.port, "/v1/datasets/others");
	snprintf(name, sizeof name, "datasets/%.64s", talk_text(dataset, "sha256"));
	json_decref(dataset);
	daemon_path(&r->d, name, ret_path, 256);
	sample_submit(r->d.port, "quarters", healthy, good);
	sample_submit(r->d.port, "others", doomed, bad);
}

/* Pages that a file no longer has are a signal to who reads them in a mapping. */
START_TEST(a_data_set_that_is_cut_short_under_a_job_fails_it_after_one_crash)
{
	struct fault_rig r;
	char bad[64], good[64], path[256];
	struct bytes want = sample_undisturbed(flags, TRAIN, healthy);
	two_jobs(&r, good, bad, path);
	sample_wait_epoch(r.d.port, bad, 1);
	ck_assert_int_eq(chmod(path, 0600), 0);
	ck_assert_int_eq(truncate(path, 100), 0);
	crash(&r, SIGBUS);
	json_t *job = sample_wait(r.d.port, bad, "failed");
	ck_assert_str_eq(talk_text(job, "status_reason"), "dataset_unreadable");
	ck_assert_int_eq(talk_int(job, "attempt"), 2);
	json_decref(job);
	check_healthy(&r, good, &want);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	fault_close(&r);
}
END_TEST

START_TEST(a_data_set_that_the_disk_cannot_read_fails_its_job_and_crashes_nothing)
{
	struct fault_rig r;
	char id[64];
	fault_open(&r, no_wait);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	atomic_store(&r.control->place, FAULT_DATASET);
	fault_arm(&r, FAULT_READ, EIO, 1, true);
	json_t *job = sample_wait(r.d.port, sample_submit(r.d.port, "quarters", healthy, id), "failed");
	ck_assert_str_eq(talk_text(job, "status_reason"), "dataset_unreadable");
	ck_assert_int_eq(talk_int(job, "attempt"), 4); /* it might have passed */
	json_decref(job);
	fault_disarm(&r);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	fault_close(&r);
}
END_TEST

/* They are read by row, so it is an answer, and not the daemon's end. */
START_TEST(samples_that_the_disk_cannot_read_are_an_error_of_the_request)
{
	static const char sample[] = "/v1/datasets/quarters/samples/7?split=train";
	static const char rows[] = "{\"dataset\":\"quarters\",\"split\":\"train\",\"first\":3,\"count\":9}";
	struct fault_rig r;
	char id[64], target[128];
	fault_open(&r, flags);
	daemon_start_again(&r.d);
	sample_upload(r.d.port, "quarters", TRAIN, 0);
	json_decref(sample_wait(r.d.port, sample_submit(r.d.port, "quarters", healthy, id), "succeeded"));
	snprintf(target, sizeof target, "/v1/jobs/%s/predict", id);
	atomic_store(&r.control->place, FAULT_DATASET);
	static const int errors[] = {EIO, EINTR};
	for (size_t i = 0; i < sizeof errors / sizeof errors[0]; i++) {
		fault_arm(&r, FAULT_READ, errors[i], 1, true);
		json_decref(talk(r.d.port, "GET", sample, NULL, 503));
		json_decref(talk(r.d.port, "POST", target, rows, 503));
		ck_assert(atomic_load(&r.control->file.hits) >= 2);
		fault_disarm(&r);
	}
	json_decref(talk(r.d.port, "GET", sample, NULL, 200));
	json_t *answer = talk(r.d.port, "POST", target, rows, 200);
	ck_assert_uint_eq(json_array_size(talk_at(answer, "predictions")), 9);
	json_decref(answer);
	ck_assert(daemon_logged(&r.d, "data set quarters"));
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	fault_close(&r);
}
END_TEST

TEST_SUITE(contain, 120)
{
	tcase_add_loop_test(tc, a_job_that_crashes_fails_alone, 0, WAYS);
	tcase_add_test(tc, a_job_that_gets_the_daemon_killed_fails_and_no_other);
	tcase_add_test(tc, a_data_set_that_is_cut_short_under_a_job_fails_it_after_one_crash);
	tcase_add_test(tc, a_data_set_that_the_disk_cannot_read_fails_its_job_and_crashes_nothing);
	tcase_add_test(tc, samples_that_the_disk_cannot_read_are_an_error_of_the_request);
}
