/* test_work_life.c - what is done to a job while it runs: pause, stop, changes, dying often. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/sha256.h"
#include "runner.h"
#include "train_rig.h"

enum { EPOCHS = 120, KEEP = 2, WEIGHTS_MAX = 1024 };
#define OPTIONS "\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.01}"
#define ENDLESS "\"epochs\":1000000,"
static const char training[] = "{\"epochs\":120," OPTIONS "}"; /* so long that what is asked of it comes in time */

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_done(&rig);
}

/* The weights of another job with that training and those "change" events from the start. */
static void check_as_undisturbed(const char *job_id, const char *options, const struct job_change *changes, int n)
{
	float mine[WEIGHTS_MAX], theirs[WEIGHTS_MAX];
	struct job_row job, end;
	int64_t seq;
	int size = rig_weights(&rig, job_id, mine, WEIGHTS_MAX);
	rig_stop(&rig);
	rig_open(&rig);
	rig_submit(&rig, options, &job);
	for (int i = 0; i < n; i++)
		ck_assert_int_eq(store_job_changed(rig.store, job.id, &changes[i], &seq), STORE_OK);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(rig_weights(&rig, job.id, theirs, WEIGHTS_MAX), size);
	ck_assert_mem_eq(mine, theirs, (size_t)size * sizeof(float));
	job_row_done(&job);
	job_row_done(&end);
}

START_TEST(a_paused_job_lets_others_run_and_goes_on_to_the_same_bits)
{
	struct job_row job, other, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	for (int epoch = 1; epoch <= 7; epoch += 3) {
		rig_wait_epoch(&rig, job.id, epoch);
		rig_ask(&rig, job.id, JOB_VERB_PAUSE);
		rig_wait_status(&rig, job.id, JOB_PAUSED);
		rig_submit(&rig, "{\"epochs\":1," OPTIONS "}", &other);
		end = rig_end(&rig, other.id, JOB_SUCCEEDED, NULL);
		job_row_done(&end);
		job_row_done(&other);
		rig_ask(&rig, job.id, JOB_VERB_RESUME);
	}
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_ge(end.attempt, 2); /* paused again while it was queued, it is not claimed anew */
	ck_assert_double_gt(end.runtime_seconds, 0);
	ck_assert_double_le(end.runtime_seconds, end.finished_at - end.started_at);
	rig_check_epochs(&rig, job.id, EPOCHS);
	check_as_undisturbed(job.id, training, NULL, 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_stopped_job_succeeds_and_keeps_its_best)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS "}", &job);
	rig_wait_epoch(&rig, job.id, 2);
	rig_ask(&rig, job.id, JOB_VERB_STOP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "stopped");
	ck_assert_int_ge(rig_best_epoch(&rig, job.id), 1);
	ck_assert_int_eq(rig_count_events(&rig, job.id, "test"), 1);
	ck_assert_int_eq(store_job_ask(rig.store, job.id, JOB_VERB_STOP, -1), STORE_OK);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_stopped_in_its_first_epoch_keeps_what_it_has)
{
	struct job_row job, end;
	struct checkpoint_row *rows;
	int n;
	rig_submit(&rig, "{" ENDLESS OPTIONS ",\"checkpoint\":{\"every_epochs\":1000000}}", &job);
	rig_start(&rig, KEEP);
	rig_wait_epoch(&rig, job.id, 1);
	rig_ask(&rig, job.id, JOB_VERB_STOP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "stopped");
	ck_assert_int_eq(store_checkpoint_list(rig.store, job.id, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert(rows[0].is_best && rows[0].is_last);
	checkpoint_row_done(&rows[0]);
	free(rows);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_stop_asked_for_before_the_server_died_is_done_at_the_next_start)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS "}", &job);
	rig_wait_epoch(&rig, job.id, 2);
	work_stop(rig.work); /* with a checkpoint */
	rig.work = NULL;
	rig_ask(&rig, job.id, JOB_VERB_STOP);
	rig_restart(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "stopped");
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_changed_rate_and_length_are_told_and_survive_a_restart_to_the_same_bits)
{
	struct job_row job, end;
	struct job_change changes[4];
	int64_t steps[4];
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS "}", &job);
	rig_wait_epoch(&rig, job.id, 2);
	struct job_edit edit = {.priority = -1, .if_version = -1, .lr = 0.0123456789012345};
	ck_assert_int_eq(store_job_edit(rig.store, job.id, &edit), STORE_OK);
	while (rig_count_events(&rig, job.id, "change") < 1)
		rig_wait_change(&rig, job.id);
	rig_stop(&rig);
	rig_start(&rig, KEEP);
	edit = (struct job_edit){.priority = -1, .if_version = -1, .epochs = 1};
	ck_assert_int_eq(store_job_edit(rig.store, job.id, &edit), STORE_OK);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	int n = rig_changes(&rig, job.id, changes, steps, 4);
	ck_assert_int_eq(n, 2);
	ck_assert_int_ge(steps[0], 2 * 22);
	ck_assert_int_ge(steps[1], steps[0]);
	ck_assert_double_eq(changes[0].lr, 0.0123456789012345);
	ck_assert_double_eq(end.lr, 0.0123456789012345);
	ck_assert_double_eq(end.asked_lr, 0);
	ck_assert_int_eq(end.epochs, end.epoch); /* the epoch that had begun was its last */
	ck_assert_int_eq(changes[1].epochs, end.epochs);
	ck_assert_int_eq(end.asked_epochs, 0);
	check_as_undisturbed(job.id, "{" ENDLESS OPTIONS "}", changes, n);
	for (int i = 0; i < n; i++)
		free((char *)changes[i].data);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(what_was_changed_before_the_start_holds_from_the_first_step)
{
	struct job_row job, end;
	rig_submit(&rig, training, &job);
	struct job_edit edit = {.priority = -1, .if_version = -1, .lr = 0.002, .epochs = 3};
	ck_assert_int_eq(store_job_edit(rig.store, job.id, &edit), STORE_OK);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(end.epoch, 3);
	check_as_undisturbed(job.id,
		"{\"epochs\":3,\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002}}", NULL, 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_that_crashes_again_and_again_without_a_checkpoint_fails)
{
	struct job_row job, end;
	rig_submit(
		&rig, "{" ENDLESS OPTIONS ",\"checkpoint\":{\"every_epochs\":1000000,\"every_seconds\":null}}", &job);
	for (int attempt = 1; attempt <= 1 + JOB_RETRIES_MAX; attempt++)
		rig_train_and_crash(&rig, job.id, attempt, attempt % 2 ? SIGSEGV : SIGABRT);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_FAILED, "worker_crash");
	ck_assert_int_eq(end.attempt, 1 + JOB_RETRIES_MAX);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_that_makes_progress_may_die_often)
{
	struct job_row job, end;
	rig_submit(&rig, training, &job);
	for (int attempt = 1; attempt <= 2 + JOB_RETRIES_MAX; attempt++)
		rig_train_and_die(&rig, job.id, attempt, 2 * attempt);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	rig_check_epochs(&rig, job.id, EPOCHS);
	check_as_undisturbed(job.id, training, NULL, 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(an_idle_worker_looks_how_fast_the_machine_is_and_a_job_notes_its_own_speed)
{
	struct job_row job, end;
	struct speed want = {.batch_size = 32, .training_flops = 1e6};
	bool exact = true;
	rig_start(&rig, KEEP);
	while (store_speed_find(rig.store, &want, &exact) == STORE_NOT_FOUND)
		rig_wait_change(&rig, HUB_QUEUE);
	ck_assert(!exact);
	ck_assert_double_gt(want.samples_per_second, 1);
	rig_submit(&rig, "{\"epochs\":4," OPTIONS "}", &job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	sha256_hex(job.model, strlen(job.model), want.model_sha256);
	ck_assert_int_eq(store_speed_find(rig.store, &want, &exact), STORE_OK);
	ck_assert(exact);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* So that no further file can be opened: what fails then may pass. The limit of before. */
static struct rlimit no_more_files(void)
{
	struct rlimit before, none;
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = 3;
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	return before;
}

/* While no file can be opened, SQLite may fail to read too: then it is asked again. */
static void wait_reason(const char *job_id, const char *reason)
{
	for (bool there = false; !there;) {
		struct job_row row;
		uint64_t seen = hub_seq(rig.hub, job_id);
		if (store_job_get(rig.store, job_id, &row) != STORE_OK) {
			hub_wait(rig.hub, job_id, seen, 10);
			continue;
		}
		there = row.status_reason && strcmp(row.status_reason, reason) == 0;
		ck_assert_msg(!job_status_terminal(row.status), "%s", row.status_detail);
		job_row_done(&row);
		if (!there)
			hub_wait(rig.hub, job_id, seen, -1);
	}
}

START_TEST(a_failure_that_passes_is_tried_again_to_the_same_bits)
{
	static const char longer[] = "{\"epochs\":60," OPTIONS "}";
	struct job_row job, end;
	rig.retry_seconds = 1;
	rig_start(&rig, KEEP);
	rig_submit(&rig, longer, &job);
	rig_wait_epoch(&rig, job.id, 2);
	struct rlimit before = no_more_files();
	wait_reason(job.id, "checkpoint_failed");
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(end.attempt, 2);
	ck_assert_int_eq(end.retries, 0);
	rig_check_epochs(&rig, job.id, 60);
	check_as_undisturbed(job.id, longer, NULL, 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

TEST_SUITE(work_life, 60)
{
	tcase_add_test(tc, a_failure_that_passes_is_tried_again_to_the_same_bits);
	tcase_add_test(tc, an_idle_worker_looks_how_fast_the_machine_is_and_a_job_notes_its_own_speed);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_paused_job_lets_others_run_and_goes_on_to_the_same_bits);
	tcase_add_test(tc, a_stopped_job_succeeds_and_keeps_its_best);
	tcase_add_test(tc, a_job_stopped_in_its_first_epoch_keeps_what_it_has);
	tcase_add_test(tc, a_stop_asked_for_before_the_server_died_is_done_at_the_next_start);
	tcase_add_test(tc, a_changed_rate_and_length_are_told_and_survive_a_restart_to_the_same_bits);
	tcase_add_test(tc, what_was_changed_before_the_start_holds_from_the_first_step);
	tcase_add_test(tc, a_job_that_crashes_again_and_again_without_a_checkpoint_fails);
	tcase_add_test(tc, a_job_that_makes_progress_may_die_often);
}
