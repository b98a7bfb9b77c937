/* test_work_train.c - jobs from the queue to their end: trained, stopped, killed, cancelled, failed. */
#include "runner.h"

#include <jansson.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "train_rig.h"

enum { EPOCHS = 12, KEEP = 2, WEIGHTS_MAX = 1024 };
#define OPTIONS "\"batch_size\":4,\"seed\":3,\"optimizer\":{\"type\":\"AdamW\",\"lr\":0.01}"
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

/* The weights of a job that was never disturbed. */
static int undisturbed(float *ret)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_msg(end.status == JOB_SUCCEEDED, "%s", end.status_detail);
	int n = rig_weights(&rig, job.id, ret, WEIGHTS_MAX);
	job_row_done(&job);
	job_row_done(&end);
	return n;
}

/* Lets the job end, and compares its weights with those of an undisturbed one, bit by bit. Starting anew would give
 * the same bits, but it would write checkpoints of epochs told before: those outside an epoch's event are counted. */
static void check_ends_as_undisturbed(const char *job_id, int lone_checkpoints)
{
	float mine[WEIGHTS_MAX], theirs[WEIGHTS_MAX];
	struct job_row end;
	rig_wait_end(&rig, job_id, &end);
	ck_assert_msg(end.status == JOB_SUCCEEDED, "%s", end.status_detail);
	ck_assert_int_eq(end.epoch, EPOCHS);
	job_row_done(&end);
	rig_check_epochs(&rig, job_id, EPOCHS);
	ck_assert_int_eq(rig_count_events(&rig, job_id, "checkpoint"), lone_checkpoints);
	int n = rig_weights(&rig, job_id, mine, WEIGHTS_MAX);
	rig_stop(&rig);
	ck_assert_int_eq(undisturbed(theirs), n);
	ck_assert_mem_eq(mine, theirs, (size_t)n * sizeof(float));
}

static double metric(const struct job_row *row, const char *name)
{
	json_t *json = json_loads(row->metrics ? row->metrics : "{}", 0, NULL);
	const json_t *v = json_object_get(json, name);
	double value = json_is_number(v) ? json_number_value(v) : NAN;
	json_decref(json);
	return value;
}

START_TEST(a_job_is_claimed_trained_tested_and_told_epoch_by_epoch)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_msg(end.status == JOB_SUCCEEDED, "%s", end.status_detail);
	ck_assert_int_eq(end.attempt, 1);
	rig_check_epochs(&rig, job.id, EPOCHS);
	ck_assert_int_eq(rig_count_events(&rig, job.id, "test"), 1);
	ck_assert_double_gt(metric(&end, "test_accuracy"), 0.9);
	ck_assert_double_lt(metric(&end, "val_loss"), 0.5);
	ck_assert_double_gt(metric(&end, "grad_norm"), 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_job_that_balances_its_classes_is_trained_and_tested)
{
	struct job_row job, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{\"epochs\":1,\"loss\":{\"type\":\"CrossEntropyLoss\",\"weight\":\"balanced\"}}", &job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_msg(end.status == JOB_SUCCEEDED, "%s", end.status_detail);
	ck_assert_double_gt(metric(&end, "val_loss"), 0);
	ck_assert_double_gt(metric(&end, "test_loss"), 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* A rate so small that no weight moves, so the two are one net. */
START_TEST(augmentation_changes_training_samples_and_no_others)
{
	static const char *const options[] = {
		"", ",\"augment\":[{\"type\":\"RandomCrop\",\"padding\":1},\"RandomErasing\"]"};
	struct job_row job, end[2];
	rig_start(&rig, KEEP);
	for (int i = 0; i < 2; i++) {
		char text[300];
		snprintf(text, sizeof(text),
			"{\"epochs\":2,\"batch_size\":8,\"optimizer\":{\"type\":\"SGD\",\"lr\":1e-20}%s}", options[i]);
		rig_submit(&rig, text, &job);
		rig_wait_end(&rig, job.id, &end[i]);
		ck_assert_msg(end[i].status == JOB_SUCCEEDED, "%s", end[i].status_detail);
		job_row_done(&job);
	}
	ck_assert_double_ne(metric(&end[0], "loss"), metric(&end[1], "loss"));
	ck_assert_double_eq(metric(&end[0], "val_loss"), metric(&end[1], "val_loss"));
	ck_assert_double_eq(metric(&end[0], "test_loss"), metric(&end[1], "test_loss"));
	job_row_done(&end[0]);
	job_row_done(&end[1]);
}
END_TEST

START_TEST(an_epoch_event_tells_of_every_layer_that_has_weights)
{
	struct job_row job, end;
	struct event_row *rows;
	int n;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{\"epochs\":1," OPTIONS "}", &job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_int_eq(store_event_list(rig.store, job.id, 0, "epoch", 10, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	json_t *data = json_loads(rows[0].data, 0, NULL);
	const json_t *layers = json_object_get(data, "layers");
	ck_assert_uint_eq(json_array_size(layers), 2);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(layers, 0), "name")), "hidden");
	ck_assert_double_gt(json_number_value(json_object_get(json_array_get(layers, 1), "grad_norm")), 0);
	ck_assert(json_is_true(json_object_get(json_object_get(data, "checkpoint"), "is_best")));
	ck_assert_ptr_null(json_object_get(data, "nonfinite"));
	json_decref(data);
	event_row_done(&rows[0]);
	free(rows);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(only_the_newest_checkpoints_and_the_best_are_kept)
{
	struct job_row job, end;
	struct checkpoint_row *rows;
	int n, best = 0;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_int_eq(store_checkpoint_list(rig.store, job.id, &rows, &n), STORE_OK);
	ck_assert_int_ge(n, KEEP);
	ck_assert_int_le(n, KEEP + 1);
	for (int i = 0; i < n; i++) {
		char path[256];
		if (i < KEEP)
			ck_assert_int_eq(rows[i].epoch, EPOCHS - i);
		best += rows[i].is_best;
		snprintf(path, sizeof(path), "%s/checkpoints/%s/%s", rig.dir, job.id, rows[i].file);
		ck_assert_msg(access(path, R_OK) == 0, "%s", path);
		checkpoint_row_done(&rows[i]);
	}
	ck_assert_int_eq(best, 1);
	free(rows);
	/* And no more files than rows. */
	char command[256];
	snprintf(command, sizeof(command), "test $(ls %s/checkpoints/%s | wc -l) -eq %d", rig.dir, job.id, n);
	ck_assert_int_eq(system(command), 0);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* Each stop waits for an epoch that the job had not reached at the last one, for then it has been taken up again. */
START_TEST(a_job_that_the_server_stopped_goes_on_to_the_same_bits)
{
	struct job_row job, row;
	rig_start(&rig, KEEP);
	rig_submit(&rig, training, &job);
	for (int stop = 0, epoch = 2; stop < 3; stop++) {
		rig_wait_epoch(&rig, job.id, epoch);
		work_stop(rig.work);
		ck_assert_int_eq(store_job_get(rig.store, job.id, &row), STORE_OK);
		ck_assert_str_eq(job_status_name(row.status), "queued");
		ck_assert_str_eq(row.status_reason, "server_restart");
		epoch = row.epoch + 1;
		job_row_done(&row);
		rig_restart(&rig, KEEP);
	}
	check_ends_as_undisturbed(job.id, 3);
	job_row_done(&job);
}
END_TEST

/* A child process trains and kills itself, as hard as kill -9, once the job has that many epochs. */
static void train_and_die(const char *job_id, int epoch)
{
	store_close(rig.store); /* a connection must not cross a fork */
	rig.store = NULL;
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		rig_start(&rig, KEEP);
		rig_wait_epoch(&rig, job_id, epoch);
		kill(getpid(), SIGKILL);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

START_TEST(a_job_whose_server_was_killed_goes_on_to_the_same_bits)
{
	struct job_row job;
	rig_submit(&rig, training, &job);
	train_and_die(job.id, 3);
	train_and_die(job.id, 7);
	rig_start(&rig, KEEP);
	check_ends_as_undisturbed(job.id, 0);
	job_row_done(&job);
}
END_TEST

START_TEST(a_job_with_augmentation_goes_on_to_the_same_bits)
{
	static const char text[] = "{\"epochs\":12," OPTIONS ",\"augment\":[{\"type\":\"RandomCrop\",\"padding\":1},"
				   "{\"type\":\"GaussianNoise\",\"sigma\":0.05}]}";
	float killed[WEIGHTS_MAX], whole[WEIGHTS_MAX];
	struct job_row job, end;
	rig_submit(&rig, text, &job);
	train_and_die(job.id, 4);
	rig_start(&rig, KEEP);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	job_row_done(&end);
	int n = rig_weights(&rig, job.id, killed, WEIGHTS_MAX);
	job_row_done(&job);
	rig_submit(&rig, text, &job);
	end = rig_end(&rig, job.id, JOB_SUCCEEDED, NULL);
	ck_assert_int_eq(rig_weights(&rig, job.id, whole, WEIGHTS_MAX), n);
	ck_assert_mem_eq(killed, whole, (size_t)n * sizeof(float));
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(epochs_that_are_trained_again_are_not_told_twice)
{
	struct job_row job, end;
	rig_submit(&rig, "{\"epochs\":12,\"checkpoint\":{\"every_epochs\":5}," OPTIONS "}", &job);
	train_and_die(job.id, 8);
	rig_start(&rig, KEEP);
	check_ends_as_undisturbed(job.id, 0);
	ck_assert_int_eq(store_job_get(rig.store, job.id, &end), STORE_OK);
	ck_assert_int_eq(end.attempt, 2);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

/* Turns one bit of the byte that lies so far before the end of the file. */
static void damage(const char *path, long before_end)
{
	FILE *f = fopen(path, "r+b");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, -before_end, SEEK_END), 0);
	int byte = fgetc(f);
	ck_assert_int_eq(fseek(f, -before_end, SEEK_END), 0);
	ck_assert_int_eq(fputc(byte ^ 1, f), byte ^ 1);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(a_damaged_checkpoint_is_told_and_the_one_before_it_is_used)
{
	struct job_row job, end;
	char path[256];
	rig_submit(&rig, training, &job);
	train_and_die(job.id, 6);
	rig_open(&rig);
	ck_assert(rig_checkpoint(&rig, job.id, "last", path, sizeof(path)));
	damage(path, 40);
	rig_start(&rig, KEEP);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_int_eq(rig_count_events(&rig, job.id, "warning"), 1);
	check_ends_as_undisturbed(job.id, 1);
	job_row_done(&end);
	job_row_done(&job);
}
END_TEST

START_TEST(a_cancelled_job_ends_at_the_next_look_and_the_next_one_runs)
{
	struct job_row job, next, end;
	rig_start(&rig, KEEP);
	rig_submit(&rig, "{\"epochs\":100000," OPTIONS "}", &job);
	rig_submit(&rig, "{\"epochs\":1," OPTIONS "}", &next);
	rig_wait_epoch(&rig, job.id, 1);
	ck_assert_int_eq(store_job_ask(rig.store, job.id, JOB_VERB_CANCEL, -1), STORE_OK);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_str_eq(job_status_name(end.status), "cancelled");
	ck_assert_int_lt(end.epoch, 100000);
	job_row_done(&end);
	rig_wait_end(&rig, next.id, &end);
	ck_assert_str_eq(job_status_name(end.status), "succeeded");
	job_row_done(&end);
	job_row_done(&job);
	job_row_done(&next);
}
END_TEST

START_TEST(a_loss_that_is_not_finite_fails_the_job_and_names_a_layer)
{
	struct job_row job, end;
	struct event_row *rows;
	int n;
	rig_start(&rig, KEEP);
	rig_submit(&rig,
		"{\"epochs\":50,\"batch_size\":4,\"optimizer\":{\"type\":\"SGD\",\"lr\":1000,\"weight_decay\":1}}",
		&job);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_str_eq(job_status_name(end.status), "failed");
	ck_assert_str_eq(end.status_reason, "nonfinite_loss");
	ck_assert_msg(strstr(end.status_detail, "\"out\"") || strstr(end.status_detail, "\"hidden\""), "%s",
		end.status_detail);
	ck_assert_int_eq(store_event_list(rig.store, job.id, 0, "epoch", 100, &rows, &n), STORE_OK);
	ck_assert_int_ge(n, 1);
	ck_assert_msg(strstr(rows[n - 1].data, "\"nonfinite\":{\"loss\":"), "%s", rows[n - 1].data);
	for (int i = 0; i < n; i++)
		event_row_done(&rows[i]);
	free(rows);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

START_TEST(a_data_set_that_is_gone_or_damaged_fails_the_job)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/datasets/%s", rig.dir, rig.dataset_sha256);
	ck_assert_int_eq(chmod(path, 0600), 0);
	for (int missing = 0; missing < 2; missing++) {
		struct job_row job, end;
		if (missing)
			ck_assert_int_eq(unlink(path), 0);
		else
			damage(path, 1);
		if (!rig.work)
			rig_start(&rig, KEEP);
		rig_submit(&rig, training, &job);
		rig_wait_end(&rig, job.id, &end);
		ck_assert_str_eq(job_status_name(end.status), "failed");
		ck_assert_str_eq(end.status_reason, "dataset_unreadable");
		ck_assert_ptr_null(strchr(end.status_detail, '/'));
		job_row_done(&job);
		job_row_done(&end);
	}
}
END_TEST

START_TEST(a_checkpoint_that_cannot_be_written_fails_the_job_after_its_epoch_is_told)
{
	struct job_row job, end;
	char path[256];
	rig_submit(&rig, training, &job);
	/* A file where the directory should be: no disk need be full for this, and root cannot write there either. */
	snprintf(path, sizeof(path), "%s/checkpoints/%s", rig.dir, job.id);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fclose(f);
	rig_start(&rig, KEEP);
	rig_wait_end(&rig, job.id, &end);
	ck_assert_str_eq(job_status_name(end.status), "failed");
	ck_assert_str_eq(end.status_reason, "checkpoint_failed");
	ck_assert_int_eq(rig_count_events(&rig, job.id, "epoch"), 1);
	job_row_done(&job);
	job_row_done(&end);
}
END_TEST

TEST_SUITE(work_train, 60)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_job_is_claimed_trained_tested_and_told_epoch_by_epoch);
	tcase_add_test(tc, a_job_that_balances_its_classes_is_trained_and_tested);
	tcase_add_test(tc, augmentation_changes_training_samples_and_no_others);
	tcase_add_test(tc, a_job_with_augmentation_goes_on_to_the_same_bits);
	tcase_add_test(tc, an_epoch_event_tells_of_every_layer_that_has_weights);
	tcase_add_test(tc, only_the_newest_checkpoints_and_the_best_are_kept);
	tcase_add_test(tc, a_job_that_the_server_stopped_goes_on_to_the_same_bits);
	tcase_add_test(tc, a_job_whose_server_was_killed_goes_on_to_the_same_bits);
	tcase_add_test(tc, epochs_that_are_trained_again_are_not_told_twice);
	tcase_add_test(tc, a_damaged_checkpoint_is_told_and_the_one_before_it_is_used);
	tcase_add_test(tc, a_cancelled_job_ends_at_the_next_look_and_the_next_one_runs);
	tcase_add_test(tc, a_loss_that_is_not_finite_fails_the_job_and_names_a_layer);
	tcase_add_test(tc, a_data_set_that_is_gone_or_damaged_fails_the_job);
	tcase_add_test(tc, a_checkpoint_that_cannot_be_written_fails_the_job_after_its_epoch_is_told);
}
