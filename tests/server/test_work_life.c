/* test_work_life.c - what is done to a job while it runs: pause, stop, changes, early ends, going back, dying often. */
#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "train_rig.h"

enum { EPOCHS = 12, KEEP = 2, WEIGHTS_MAX = 1024 };
#define OPTIONS "\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.01}"
#define ENDLESS "\"epochs\":1000000,"
static const char training[] = "{\"epochs\":12," OPTIONS "}";

static struct rig rig;

static void setup(void)
{
	rig_init(&rig);
}

static void teardown(void)
{
	rig_done(&rig);
}

static void wait_status(const char *job_id, enum job_status status)
{
	for (bool there = false; !there;) {
		struct job_row row;
		uint64_t seen = hub_seq(rig.hub, job_id);
		ck_assert_int_eq(store_job_get(rig.store, job_id, &row), STORE_OK);
		there = row.status == status;
		ck_assert_msg(there || !job_status_terminal(row.status), "%s: %s", job_status_name(row.status),
			row.status_detail);
		job_row_done(&row);
		if (!there)
			hub_wait(rig.hub, job_id, seen, -1);
	}
}

static void ask(const char *job_id, enum job_verb verb)
{
	ck_assert_int_eq(store_job_ask(rig.store, job_id, verb), STORE_OK);
	hub_ring(rig.hub, HUB_QUEUE);
	hub_ring(rig.hub, job_id);
}

static struct job_row end_of(const char *job_id, enum job_status status, const char *reason)
{
	struct job_row end;
	rig_wait_end(&rig, job_id, &end);
	ck_assert_msg(end.status == status, "%s: %s", job_status_name(end.status), end.status_detail);
	ck_assert_msg(!reason ? !end.status_reason : end.status_reason && strcmp(end.status_reason, reason) == 0, "%s",
		end.status_reason ? end.status_reason : "no reason");
	return end;
}

static int best_epoch(const char *job_id)
{
	struct checkpoint_row row;
	ck_assert_int_eq(store_checkpoint_get(rig.store, job_id, "best", &row), STORE_OK);
	int epoch = row.epoch;
	checkpoint_row_done(&row);
	return epoch;
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
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
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
		ask(job.id, JOB_VERB_PAUSE);
		wait_status(job.id, JOB_PAUSED);
		rig_submit(&rig, "{\"epochs\":1," OPTIONS "}", &other);
		end = end_of(other.id, JOB_SUCCEEDED, NULL);
		job_row_done(&end);
		job_row_done(&other);
		ask(job.id, JOB_VERB_RESUME);
	}
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
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
	ask(job.id, JOB_VERB_STOP);
	end = end_of(job.id, JOB_SUCCEEDED, "stopped");
	ck_assert_int_ge(best_epoch(job.id), 1);
	ck_assert_int_eq(rig_count_events(&rig, job.id, "test"), 1);
	ck_assert_int_eq(store_job_ask(rig.store, job.id, JOB_VERB_STOP), STORE_OK);
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
	ask(job.id, JOB_VERB_STOP);
	end = end_of(job.id, JOB_SUCCEEDED, "stopped");
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
	ask(job.id, JOB_VERB_STOP);
	rig_restart(&rig, KEEP);
	end = end_of(job.id, JOB_SUCCEEDED, "stopped");
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* What the job's "change" events say. */
static int changes_of(const char *job_id, struct job_change *ret, int64_t *ret_steps, int max)
{
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(rig.store, job_id, 0, "change", max, &rows, &n), STORE_OK);
	for (int i = 0; i < n; i++) {
		json_t *data = json_loads(rows[i].data, 0, NULL);
		ret_steps[i] = json_integer_value(json_object_get(data, "step"));
		ret[i] = (struct job_change){.data = strdup(rows[i].data),
			.lr = json_number_value(json_object_get(data, "lr")),
			.epochs = (int)json_integer_value(json_object_get(data, "epochs")),
			.epoch = -1};
		json_decref(data);
		event_row_done(&rows[i]);
	}
	free(rows);
	return n;
}

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
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
	int n = changes_of(job.id, changes, steps, 4);
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
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(end.epoch, 3);
	check_as_undisturbed(job.id,
		"{\"epochs\":3,\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.002}}", NULL, 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* A child process trains and kills itself, as hard as kill -9, once the job has that many epochs in that attempt. */
static void train_and_die(const char *job_id, int attempt, int epoch)
{
	store_close(rig.store); /* a connection must not cross a fork */
	rig.store = NULL;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		rig_start(&rig, KEEP);
		for (bool there = false; !there;) {
			struct job_row row;
			uint64_t seen = hub_seq(rig.hub, job_id);
			store_job_get(rig.store, job_id, &row);
			there = row.attempt >= attempt && row.epoch >= epoch;
			job_row_done(&row);
			if (!there)
				hub_wait(rig.hub, job_id, seen, -1);
		}
		kill(getpid(), SIGKILL);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* With a rate so small that nothing is ever learned, the first epoch stays the best. */
#define STILL "\"batch_size\":4,\"optimizer\":{\"type\":\"SGD\",\"lr\":1e-20},\"early_stopping\":{\"patience\":7}"

START_TEST(early_stopping_counts_over_restarts)
{
	struct job_row job, end;
	rig_submit(&rig, "{" ENDLESS STILL "}", &job);
	train_and_die(job.id, 1, 3);
	train_and_die(job.id, 2, 5);
	rig_start(&rig, KEEP);
	end = end_of(job.id, JOB_SUCCEEDED, "early_stopped");
	ck_assert_int_eq(end.epoch, 1 + 7);
	ck_assert_int_eq(best_epoch(job.id), 1);
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
	end = end_of(job.id, JOB_SUCCEEDED, "early_stopped");
	ck_assert_int_eq(best_epoch(job.id), 1);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_target_that_is_reached_ends_the_training)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{" ENDLESS OPTIONS ",\"target\":{\"metric\":\"accuracy\",\"value\":0.9}}", &job);
	end = end_of(job.id, JOB_SUCCEEDED, "target_reached");
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
	ask(job.id, JOB_VERB_PAUSE); /* the time before a pause counts, that of the pause does not */
	wait_status(job.id, JOB_PAUSED);
	ask(job.id, JOB_VERB_RESUME);
	end = end_of(job.id, JOB_SUCCEEDED, "time_budget");
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
	ask(job.id, JOB_VERB_CANCEL);
	end = end_of(job.id, JOB_CANCELLED, "client_request");
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
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
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
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
	int n = changes_of(job.id, changes, steps, 4);
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
	end = end_of(job.id, JOB_FAILED, "nonfinite_loss");
	ck_assert_int_eq(rig_count_events(&rig, job.id, "change"), 2);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_that_dies_again_and_again_without_a_checkpoint_fails)
{
	struct job_row job, end;
	rig_submit(
		&rig, "{" ENDLESS OPTIONS ",\"checkpoint\":{\"every_epochs\":1000000,\"every_seconds\":null}}", &job);
	for (int attempt = 1; attempt <= 1 + JOB_RETRIES_MAX; attempt++)
		train_and_die(job.id, attempt, 1);
	rig_start(&rig, KEEP);
	end = end_of(job.id, JOB_FAILED, "worker_crash");
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
		train_and_die(job.id, attempt, 2 * attempt);
	rig_start(&rig, KEEP);
	end = end_of(job.id, JOB_SUCCEEDED, NULL);
	rig_check_epochs(&rig, job.id, EPOCHS);
	check_as_undisturbed(job.id, training, NULL, 0);
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
	train_and_die(job.id, 1, 3);
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

TEST_SUITE(work_life, 60)
{
	tcase_add_test(tc, what_is_wrong_with_a_training_is_told_once_also_over_a_restart);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_paused_job_lets_others_run_and_goes_on_to_the_same_bits);
	tcase_add_test(tc, a_stopped_job_succeeds_and_keeps_its_best);
	tcase_add_test(tc, a_job_stopped_in_its_first_epoch_keeps_what_it_has);
	tcase_add_test(tc, a_stop_asked_for_before_the_server_died_is_done_at_the_next_start);
	tcase_add_test(tc, a_changed_rate_and_length_are_told_and_survive_a_restart_to_the_same_bits);
	tcase_add_test(tc, what_was_changed_before_the_start_holds_from_the_first_step);
	tcase_add_test(tc, early_stopping_counts_over_restarts);
	tcase_add_test(tc, the_best_epoch_has_a_checkpoint_though_it_is_not_due);
	tcase_add_test(tc, a_target_that_is_reached_ends_the_training);
	tcase_add_test(tc, a_job_whose_time_is_over_succeeds_with_its_best);
	tcase_add_test(tc, a_long_time_without_a_checkpoint_makes_one);
	tcase_add_test(tc, as_many_of_the_best_are_kept_as_were_asked_for);
	tcase_add_test(tc, a_training_that_diverges_goes_back_with_a_lower_rate_and_learns);
	tcase_add_test(tc, a_training_that_always_diverges_fails_in_the_end);
	tcase_add_test(tc, a_job_that_dies_again_and_again_without_a_checkpoint_fails);
	tcase_add_test(tc, a_job_that_makes_progress_may_die_often);
}
