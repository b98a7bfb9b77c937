/*
 * test_contain.c - a job whose thread, or a thread of whose team, crashes the daemon: it is tried again at most three
 * times, then fails, and another job that ran all the while ends as if nothing had been.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "http/fault.h"
#include "http/sample.h"
#include "http/state.h"
#include "http/talk.h"
#include "runner.h"

enum { CRASHES = 4, EPOCHS = 30, TRAIN = 512 };

/* Two threads each, in regions that are large enough to have both. */
static const char *const flags[] = {"--workers=2", "--threads=4", NULL};
static const char healthy[] =
	"\"epochs\":30,\"batch_size\":64,\"seed\":5,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002}";
static const char doomed[] = "\"epochs\":100000,\"batch_size\":64,\"seed\":6,\"checkpoint\":{\"every_epochs\":100000}";

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
	job = sample_wait(r.d.port, good, "succeeded");
	ck_assert_int_eq(talk_int(job, "retries"), 0);
	json_decref(job);
	state_check_log(r.d.port, good, EPOCHS);
	struct bytes got = sample_weights(r.d.port, good, "last");
	ck_assert_uint_eq(got.size, want.size);
	ck_assert(memcmp(got.at, want.at, got.size) == 0);
	ck_assert_int_eq(daemon_end(&r.d, true), 0);
	state_check(&r.d);
	bytes_free(&got);
	bytes_free(&want);
	fault_close(&r);
}
END_TEST

TEST_SUITE(contain, 120)
{
	tcase_add_loop_test(tc, a_job_that_crashes_fails_alone, 0, WAYS);
}
