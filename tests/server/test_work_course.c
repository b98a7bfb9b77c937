/* test_work_course.c - how a training's course ends, what it keeps and what it is told: early ends, checkpoints, going
 * back, findings. */
#include "runner.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train_rig.h"

enum { KEEP = 2 };
#define OPTIONS "\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.01}"
#define ENDLESS "\"epochs\":1000000,"

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_done(&rig);
}

/* With a rate so small that nothing is ever learned, the first epoch stays the best. */
#define STILL "\"batch_size\":4,\"optimizer\":{\"type\":\"SGD\",\"lr\":1e-20},\"early_stopping\":{\"patience\":7}"

START_TEST(early_stopping_counts_over_restarts)
{
	struct job_row job, end;
	rig_submit(&rig, "{" ENDLESS STILL "}", &job);
	rig_train_and_die(&rig, job.id, 1, 3);
	rig_train_and_die(&rig, job.id, 2, 5);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "early_stopped");
	ck_assert_int_eq(end.epoch, 1 + 7);
	ck_assert_int_eq(rig_best_epoch(&rig, job.id), 1);
	rig_check_epochs(&rig, job.id, 8);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(the_best_epoch_has_a_checkpoint_though_it_is_not_due)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS STILL ",\"checkpoint\":{\"every_epochs\":1000000}}", &job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "early_stopped");
	ck_assert_int_eq(rig_best_epoch(&rig, job.id), 1);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_target_that_is_reached_ends_the_training)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS ",\"target\":{\"metric\":\"accuracy\",\"value\":0.9}}", &job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "target_reached");
	ck_assert_int_lt(end.epoch, 100);
	json_t *metrics = json_loads(end.metrics, 0, NULL);
	ck_assert_double_ge(json_number_value(json_object_get(metrics, "accuracy")), 0.9);
	json_decref(metrics);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_whose_time_is_over_succeeds_with_its_best)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS ",\"max_runtime_seconds\":1}", &job);
	rig_wait_epoch(&rig, job.id, 1);
	rig_ask(&rig, job.id, JOB_VERB_PAUSE); /* the time before a pause counts, that of the pause does not */
	rig_wait_status(&rig, job.id, JOB_PAUSED);
	rig_ask(&rig, job.id, JOB_VERB_RESUME);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, "time_budget");
	ck_assert_double_ge(end.runtime_seconds, 1);
	ck_assert_double_lt(end.runtime_seconds, 5);
	ck_assert_int_eq(rig_count_events(&rig, job.id, "test"), 1);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_long_time_without_a_checkpoint_makes_one)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig,
		"{" ENDLESS OPTIONS ",\"checkpoint\":{\"every_epochs\":1000000,\"every_seconds\":0.1,\"keep_last\":1}}",
		&job);
	while (rig_count_events(&rig, job.id, "checkpoint") < 2)
		rig_wait_change(&rig, job.id);
	rig_ask(&rig, job.id, JOB_VERB_CANCEL);
	end = rig_end(&rig, job.id, JOB_CANCELLED, "client_request");
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(as_many_of_the_best_are_kept_as_were_asked_for)
{
	struct job_row job, end;
	struct checkpoint_row *rows;
	int n;
	rig_start(&rig, KEEP);
	rig_submit(&rig,
		"{\"epochs\":12," OPTIONS ",\"checkpoint\":{\"keep_last\":1,\"keep_best\":3},"
		"\"early_stopping\":{\"monitor\":\"loss\",\"patience\":100}}",
		&job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(store_checkpoint_list(rig.store, job.id, &rows, &n), STORE_OK);
	ck_assert_int_ge(n, 3);
	ck_assert_int_le(n, 4);
	for (int i = 0; i < n; i++)
		checkpoint_row_done(&rows[i]);
	free(rows);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

#define DIVERGES "\"epochs\":6,\"batch_size\":4,\"optimizer\":{\"type\":\"SGD\",\"lr\":1000,\"weight_decay\":1},"

START_TEST(a_training_that_diverges_goes_back_with_a_lower_rate_and_learns)
{
	struct job_row job, end;
	struct job_change changes[4];
	int64_t steps[4];
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" DIVERGES "\"on_nonfinite\":{\"action\":\"rollback\",\"lr_factor\":1e-5}}", &job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	int n = rig_changes(&rig, job.id, changes, steps, 4);
	ck_assert_int_eq(n, 1);
	ck_assert(strstr(changes[0].data, "\"reason\":\"rollback\"") && strstr(changes[0].data, "\"rollbacks\":1"));
	ck_assert_double_eq_tol(changes[0].lr, 0.01, 1e-12);
	ck_assert_int_eq(end.epoch, 6);
	ck_assert_double_eq_tol(end.lr, 0.01, 1e-12);
	free((char *)changes[0].data);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_training_that_always_diverges_fails_in_the_end)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" DIVERGES "\"on_nonfinite\":{\"action\":\"rollback\",\"lr_factor\":1,\"max_rollbacks\":2}}",
		&job);
	end = rig_end(&rig, job.id, JOB_FAILED, "nonfinite_loss");
	ck_assert_int_eq(rig_count_events(&rig, job.id, "change"), 2);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* The codes of the job's findings, as in its row; each is an event too. */
static void findings_of(const struct job_row *row, char *ret, size_t size)
{
	json_t *list = json_loads(row->diagnosis ? row->diagnosis : "[]", 0, NULL);
	*ret = '\0';
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *f = json_array_get(list, i);
		ck_assert(json_is_string(json_object_get(f, "suggestion")) &&
			  json_is_number(json_object_get(f, "value")));
		snprintf(ret + strlen(ret), size - strlen(ret), "%s ", json_string_value(json_object_get(f, "code")));
	}
	ck_assert_int_eq(rig_count_events(&rig, row->id, "diagnosis"), (int)json_array_size(list));
	json_decref(list);
}

START_TEST(what_is_wrong_with_a_training_is_told_once_also_over_a_restart)
{
	struct job_row job, end;
	char codes[256];
	rig_submit(&rig, "{\"epochs\":16," STILL "}", &job);
	rig_train_and_die(&rig, job.id, 1, 3);
	rig_start(&rig, KEEP);
	struct job_edit edit = {.priority = -1, .if_version = -1, .epochs = 14};
	ck_assert_int_eq(store_job_edit(rig.store, job.id, &edit), STORE_OK);
	rig_wait_end(&rig, job.id, &end);
	findings_of(&end, codes, sizeof(codes));
	ck_assert_str_eq(codes, "");
	job_row_done(&end);
	job_row_done(&job);
	rig_submit(&rig, "{\"epochs\":16,\"batch_size\":4,\"optimizer\":{\"type\":\"SGD\",\"lr\":1e-20}}", &job);
	rig_wait_end(&rig, job.id, &end);
	findings_of(&end, codes, sizeof(codes));
	ck_assert_str_eq(codes, "plateau ");
	job_row_done(&end);
	job_row_done(&job);
}
END_TEST

TEST_SUITE(work_course, 60)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, early_stopping_counts_over_restarts);
	tcase_add_test(tc, the_best_epoch_has_a_checkpoint_though_it_is_not_due);
	tcase_add_test(tc, a_target_that_is_reached_ends_the_training);
	tcase_add_test(tc, a_job_whose_time_is_over_succeeds_with_its_best);
	tcase_add_test(tc, a_long_time_without_a_checkpoint_makes_one);
	tcase_add_test(tc, as_many_of_the_best_are_kept_as_were_asked_for);
	tcase_add_test(tc, a_training_that_diverges_goes_back_with_a_lower_rate_and_learns);
	tcase_add_test(tc, a_training_that_always_diverges_fails_in_the_end);
	tcase_add_test(tc, what_is_wrong_with_a_training_is_told_once_also_over_a_restart);
}
