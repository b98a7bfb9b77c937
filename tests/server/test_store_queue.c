/* test_store_queue.c - the queue: its order, one worker a job, and what is left when the daemon dies. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "scratch.h"
#include "seed.h"

static struct store *s;
static const char *dataset;

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
	dataset = seed_dataset(s, "mnist");
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

static void expect_claim(const char *id)
{
	struct job_row row;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_str_eq(row.id, id);
	ck_assert_int_eq(row.status, JOB_RUNNING);
	job_row_done(&row);
}

/* The server is killed and starts anew. */
static void die(int times)
{
	char boot[24];
	int n;
	store_close(s);
	snprintf(boot, sizeof boot, "boot_%d", 100 + times);
	s = seed_open(boot);
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
}

static void expect_nothing(void)
{
	struct job_row none;
	ck_assert_int_eq(store_job_claim(s, &none), STORE_NOT_FOUND);
}

static void show_progress(const char *id, int step)
{
	struct checkpoint_new ckpt = {.epoch = step, .step = step, .file = "epoch-000001.ckpt", .bytes = 1};
	int64_t seq;
	ck_assert_int_eq(store_event_append(s, id, "checkpoint", "{}", -1, NULL, &ckpt, &seq), STORE_OK);
}

/* The server dies whenever the guilty one runs. Whoever is innocent makes progress once it is let alone. */
START_TEST(the_one_that_kills_the_server_fails_and_those_beside_it_do_not)
{
	const char *guilty = seed_job(s, dataset, 50), *other = seed_job(s, dataset, 60), *late;
	int times = 0;
	for (; times < ORDER_SUSPECT_DEATHS; times++) {
		expect_claim(other);
		expect_claim(guilty);
		die(times);
	}
	late = seed_job(s, dataset, 100);
	expect_claim(other);
	expect_nothing();
	int ms = store_job_next_ms(s);
	ck_assert_msg(ms > (JOB_DEATHS_APART - 60) * 1000 && ms <= JOB_DEATHS_APART * 1000 + 1, "%d ms", ms);
	show_progress(other, 1);
	ck_assert_int_eq(store_job_next_ms(s), -1);
	expect_claim(guilty);
	expect_nothing();
	die(times++);
	for (; seed_status(s, guilty) == JOB_QUEUED; times++) {
		expect_claim(guilty);
		expect_nothing();
		die(times);
	}
	ck_assert_int_eq(times, JOB_DEATHS_MAX + 1);
	struct job_row row = seed_get(s, guilty);
	ck_assert_int_eq(row.status, JOB_FAILED);
	ck_assert_str_eq(row.status_reason, "worker_crash");
	job_row_done(&row);
	row = seed_get(s, other);
	ck_assert_int_eq(row.deaths, 1);
	job_row_done(&row);
	expect_claim(late);
	expect_claim(other);
}
END_TEST

START_TEST(a_suspect_that_has_run_for_long_lets_others_begin)
{
	const char *id = seed_job(s, dataset, 50), *other;
	for (int times = 0; times < ORDER_SUSPECT_DEATHS; times++) {
		expect_claim(id);
		die(times);
	}
	other = seed_job(s, dataset, 50);
	expect_claim(id);
	expect_nothing();
	seed_execute(s, "UPDATE job SET claimed_mono = claimed_mono - 3601 WHERE status = 'running'");
	ck_assert_int_eq(store_job_next_ms(s), -1);
	expect_claim(other);
}
END_TEST

START_TEST(the_highest_priority_goes_first_then_the_oldest)
{
	static const int priorities[] = {50, 90, 50, 10, 90};
	static const int order[] = {1, 4, 0, 2, 3};
	const char *ids[5];
	for (int i = 0; i < 5; i++)
		ids[i] = seed_job(s, dataset, priorities[i]);
	struct queued_job *jobs;
	int n;
	ck_assert_int_eq(store_job_queue(s, 3, &jobs, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	for (int i = 0; i < n; i++) {
		ck_assert_str_eq(jobs[i].row.id, ids[order[i]]);
		ck_assert_int_eq(jobs[i].place.position, i + 1);
		job_row_done(&jobs[i].row);
	}
	free(jobs);
	for (int i = 0; i < 5; i++)
		expect_claim(ids[order[i]]);
	struct job_row none;
	ck_assert_int_eq(store_job_claim(s, &none), STORE_NOT_FOUND);
	ck_assert_ptr_null(none.model);
}
END_TEST

START_TEST(a_job_that_went_back_keeps_its_place_and_a_new_priority_moves_it)
{
	const char *a = seed_job(s, dataset, 50), *b = seed_job(s, dataset, 50);
	expect_claim(a);
	ck_assert_int_eq(store_job_move(s, a, JOB_QUEUED, "server_restart", NULL), STORE_OK);
	expect_claim(a);
	const char *c = seed_job(s, dataset, 50);
	ck_assert_int_eq(
		store_job_edit(s, c, &(struct job_edit){.name = NULL, .priority = 51, .if_version = -1}), STORE_OK);
	expect_claim(c);
	expect_claim(b);
	struct job_row row = seed_get(s, a);
	ck_assert_int_eq(row.attempt, 2);
	job_row_done(&row);
}
END_TEST

START_TEST(cancelled_and_paused_jobs_are_not_claimed)
{
	const char *a = seed_job(s, dataset, 50), *b = seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_ask(s, a, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_move(s, b, JOB_PAUSED, NULL, NULL), STORE_OK);
	struct job_row none;
	ck_assert_int_eq(store_job_claim(s, &none), STORE_NOT_FOUND);
}
END_TEST

enum { CLAIMERS = 4, QUEUED = 40 };

static void *claim_all(void *ret)
{
	char(*ids)[ID_MAX] = ret;
	int n = 0;
	struct job_row row;
	enum store_status status;
	while ((status = store_job_claim(s, &row)) == STORE_OK) {
		memcpy(ids[n++], row.id, ID_MAX);
		job_row_done(&row);
	}
	return status == STORE_NOT_FOUND ? ret : NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(each_job_is_claimed_by_one_worker_only)
{
	static char claimed[CLAIMERS][QUEUED + 1][ID_MAX], all[QUEUED][ID_MAX];
	pthread_t threads[CLAIMERS];
	for (int i = 0; i < QUEUED; i++)
		seed_job(s, dataset, i % 5);
	for (int i = 0; i < CLAIMERS; i++)
		pthread_create(&threads[i], NULL, claim_all, claimed[i]);
	for (int i = 0; i < CLAIMERS; i++) {
		void *answer = NULL;
		pthread_join(threads[i], &answer);
		ck_assert_ptr_nonnull(answer);
	}
	int n = 0;
	for (int i = 0; i < CLAIMERS; i++)
		for (int k = 0; *claimed[i][k]; k++) {
			ck_assert_int_lt(n, QUEUED);
			memcpy(all[n++], claimed[i][k], ID_MAX);
		}
	ck_assert_int_eq(n, QUEUED);
	qsort(all, QUEUED, ID_MAX, by_text);
	for (int i = 1; i < QUEUED; i++)
		ck_assert_str_ne(all[i - 1], all[i]);
	ck_assert_int_eq(
		seed_count(s, "SELECT count(*) AS n FROM job WHERE status = 'running' AND attempt = 1"), QUEUED);
}
END_TEST

/* ---- another boot ---- */

START_TEST(jobs_of_a_dead_daemon_move_on_at_the_next_start)
{
	static const int before[] = {JOB_RUNNING, JOB_STOPPING, JOB_PAUSING, JOB_CANCELLING, JOB_SUCCEEDED, JOB_QUEUED};
	static const int after[] = {JOB_QUEUED, JOB_QUEUED, JOB_PAUSED, JOB_CANCELLED, JOB_SUCCEEDED, JOB_QUEUED};
	const char *ids[6];
	for (int i = 0; i < 6; i++) {
		ids[i] = seed_job(s, dataset, 50);
		if (before[i] == JOB_QUEUED)
			continue;
		expect_claim(ids[i]);
		if (before[i] != JOB_RUNNING)
			ck_assert_int_eq(store_job_move(s, ids[i], (enum job_status)before[i], NULL, NULL), STORE_OK);
	}
	store_close(s);
	s = seed_open("boot_2");
	int n = 0;
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	ck_assert_int_eq(n, 4);
	for (int i = 0; i < 6; i++) {
		struct job_row row = seed_get(s, ids[i]);
		ck_assert_int_eq(row.status, after[i]);
		if (i < 4)
			ck_assert_str_eq(row.status_reason, "server_restart");
		else
			ck_assert_ptr_null(row.status_reason);
		job_row_done(&row);
	}
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	ck_assert_int_eq(n, 0);
}
END_TEST

START_TEST(jobs_of_this_boot_are_left_alone)
{
	const char *id = seed_job(s, dataset, 50);
	expect_claim(id);
	int n = 7;
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	ck_assert_int_eq(n, 0);
	ck_assert_int_eq(seed_status(s, id), JOB_RUNNING);
}
END_TEST

/* Lets another process work on the store and die without closing it; the parent has it closed meanwhile. */
static void in_a_dying_process(void (*work)(int pipe_out), int *ret_pipe, pid_t *ret_pid)
{
	int ends[2];
	store_close(s);
	s = NULL;
	ck_assert_int_eq(pipe(ends), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		close(ends[0]);
		s = store_open(scratch_path("backpropd.db"), "boot_child");
		if (s)
			work(ends[1]);
		_exit(s ? 0 : 1);
	}
	close(ends[1]);
	*ret_pipe = ends[0];
	*ret_pid = pid;
}

static void add_and_claim(int pipe_out)
{
	struct job_new n = {
		.owner = "local", .name = "x", .dataset_id = dataset, .model = "{}", .spec = "{}", .epochs = 1};
	struct job_row row;
	bool existing;
	int64_t seq;
	if (store_job_add(s, &n, &row, &existing) != STORE_OK || store_job_claim(s, &row) != STORE_OK ||
		store_event_append(s, row.id, "epoch", "{\"loss\":1}", 1, "{}", NULL, &seq) != STORE_OK)
		_exit(1);
	if (write(pipe_out, row.id, ID_MAX) != ID_MAX)
		_exit(1);
}

START_TEST(what_was_answered_is_there_after_a_death_without_closing)
{
	int in, status = -1, n = 0;
	pid_t pid;
	char id[ID_MAX] = "";
	in_a_dying_process(add_and_claim, &in, &pid);
	ck_assert_int_eq(read(in, id, ID_MAX), ID_MAX);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	s = seed_open("boot_2");
	struct job_row row = seed_get(s, id);
	ck_assert_int_eq(row.status, JOB_RUNNING);
	ck_assert_int_eq(row.last_seq, 3);
	ck_assert_int_eq(row.epoch, 1);
	job_row_done(&row);
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	expect_claim(id);
	row = seed_get(s, id);
	ck_assert_int_eq(row.attempt, 2);
	job_row_done(&row);
	close(in);
}
END_TEST

static void append_for_ever(int pipe_out)
{
	struct job_row row;
	int64_t seq;
	if (store_job_claim(s, &row) != STORE_OK)
		_exit(1);
	while (store_event_append(s, row.id, "progress", "{}", -1, NULL, NULL, &seq) == STORE_OK)
		if (write(pipe_out, &seq, sizeof seq) != sizeof seq)
			break;
}

START_TEST(killed_in_the_middle_the_log_is_dense_and_holds_all_that_was_answered)
{
	const char *id = seed_job(s, dataset, 50);
	int in;
	pid_t pid;
	int64_t seq = 0, newest = 0;
	in_a_dying_process(append_for_ever, &in, &pid);
	for (int i = 0; i < 50; i++)
		ck_assert_int_eq(read(in, &newest, sizeof newest), sizeof newest);
	kill(pid, SIGKILL);
	while (read(in, &seq, sizeof seq) == sizeof seq)
		newest = seq;
	waitpid(pid, NULL, 0);
	close(in);
	s = seed_open("boot_2");
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(s, id, 0, NULL, 1000000, &rows, &n), STORE_OK);
	ck_assert_int_ge(n, newest);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(rows[i].seq, i + 1);
		event_row_done(&rows[i]);
	}
	free(rows);
	struct job_row row = seed_get(s, id);
	ck_assert_int_eq(row.last_seq, n);
	job_row_done(&row);
}
END_TEST

TEST_SUITE(store_queue, 30)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, the_one_that_kills_the_server_fails_and_those_beside_it_do_not);
	tcase_add_test(tc, a_suspect_that_has_run_for_long_lets_others_begin);
	tcase_add_test(tc, the_highest_priority_goes_first_then_the_oldest);
	tcase_add_test(tc, a_job_that_went_back_keeps_its_place_and_a_new_priority_moves_it);
	tcase_add_test(tc, cancelled_and_paused_jobs_are_not_claimed);
	tcase_add_test(tc, each_job_is_claimed_by_one_worker_only);
	tcase_add_test(tc, jobs_of_a_dead_daemon_move_on_at_the_next_start);
	tcase_add_test(tc, jobs_of_this_boot_are_left_alone);
	tcase_add_test(tc, what_was_answered_is_there_after_a_death_without_closing);
	tcase_add_test(tc, killed_in_the_middle_the_log_is_dense_and_holds_all_that_was_answered);
}
