/*
 * test_clock.c - the wall clock jumps by years, forward and back, while the daemon runs and while it does not: order
 * holds, and nothing grows old by it but tokens.
 */
#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "http/clock.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

#define YEARS (3652.0 * 86400)
#define ENDLESS "\"epochs\":1000000,\"max_runtime_seconds\":3600"

static struct clock_rig rig;

static void start_it(void)
{
	static const char *const flags[] = {"--workers=1", "--retain-jobs-days=30", "--retain-weights-days=20",
		"--retain-datasets-days=30", "--retain-uploads-days=30", NULL};
	clock_open(&rig, flags);
	daemon_start_again(&rig.d);
}

static void stop_it(void)
{
	daemon_done(&rig.d);
}

static json_t *job_get(const char *id)
{
	char target[160];
	snprintf(target, sizeof target, "/v1/jobs/%s", id);
	return talk_get(rig.d.port, target);
}

/* The running job goes on: three more epochs. */
static void goes_on(const char *id)
{
	json_t *job = job_get(id);
	sample_wait_epoch(rig.d.port, id, (int)talk_int(job, "epoch") + 3);
	json_decref(job);
	job = job_get(id);
	ck_assert_str_eq(talk_text(job, "status"), "running");
	ck_assert_double_le(talk_number(job, "runtime_seconds"), 600);
	json_decref(job);
}

/* The ended one is there, with all its weights. */
static void is_kept(const char *id)
{
	json_t *job = job_get(id);
	ck_assert_str_eq(talk_text(job, "weights_kept"), "all");
	json_decref(job);
	struct bytes weights = sample_weights(rig.d.port, id, "last");
	ck_assert_uint_gt(weights.size, 100);
	bytes_free(&weights);
}

/* A new job, which is the newest of the list. */
static void is_newest(double offset, char ret_id[64])
{
	sample_submit(rig.d.port, "quarters", "\"epochs\":1", ret_id);
	json_t *list = talk_get(rig.d.port, "/v1/jobs?limit=2");
	ck_assert_str_eq(talk_text(list, "data.0.id"), ret_id);
	ck_assert_double_eq_tol(talk_number(list, "data.0.created_at"), (double)time(NULL) + offset, 60);
	ck_assert(strcmp(talk_text(list, "data.1.id"), ret_id) < 0);
	json_decref(list);
}

START_TEST(jumps_of_the_clock_change_no_order_and_age_nothing)
{
	static const double offsets[] = {YEARS, -2 * 86400.0, YEARS / 2, 0};
	char ended[64], running[64], ids[2 * sizeof offsets / sizeof offsets[0]][64];
	int n = 0;
	sample_upload(rig.d.port, "quarters", 256, 16);
	sample_submit(rig.d.port, "quarters", "\"epochs\":2", ended);
	json_decref(sample_wait(rig.d.port, ended, "succeeded"));
	sample_submit(rig.d.port, "quarters", ENDLESS, running);
	goes_on(running);
	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		clock_set(&rig, offsets[i]);
		is_newest(offsets[i], ids[n++]); /* wakes the keeper too */
		goes_on(running);
		is_kept(ended);
	}
	for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
		daemon_stop(&rig.d);
		clock_set(&rig, offsets[i]);
		daemon_start_again(&rig.d);
		is_newest(offsets[i], ids[n++]);
		goes_on(running);
		is_kept(ended);
	}
	for (int i = 1; i < n; i++)
		ck_assert(strcmp(ids[i - 1], ids[i]) < 0);
	json_t *told = talk_get(rig.d.port, "/v1/events?limit=1000");
	const json_t *list = talk_at(told, "data");
	for (size_t i = 1; i < json_array_size(list); i++)
		ck_assert_int_lt(talk_int(json_array_get(list, i - 1), "global_seq"),
			talk_int(json_array_get(list, i), "global_seq"));
	json_decref(told);
}
END_TEST

TEST_SUITE(clock, 60)
{
	tcase_add_checked_fixture(tc, start_it, stop_it);
	tcase_add_test(tc, jumps_of_the_clock_change_no_order_and_age_nothing);
}
