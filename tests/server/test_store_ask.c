/* test_store_ask.c - verbs in every status, changes until they are taken up, retries, and running time. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
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

static void move(const char *id, enum job_status to)
{
	ck_assert_int_eq(store_job_move(s, id, to, NULL, NULL), STORE_OK);
}

static void add_checkpoint_of(const char *id, int step)
{
	char file[32];
	struct checkpoint_new ckpt = {.epoch = step, .step = step, .file = file, .bytes = 1};
	int64_t seq;
	snprintf(file, sizeof file, "epoch-%06d.ckpt", step);
	ck_assert_int_eq(store_event_append(s, id, "checkpoint", "{}", -1, NULL, &ckpt, &seq), STORE_OK);
}

static void add_checkpoint(const char *id)
{
	add_checkpoint_of(id, 1);
}

/* A job that has a checkpoint, in that status. */
static const char *job_in(enum job_status status)
{
	const char *id = seed_job(s, dataset, 50);
	add_checkpoint(id);
	if (status == JOB_PAUSED || status == JOB_CANCELLED) {
		move(id, status);
	} else if (status != JOB_QUEUED) {
		move(id, JOB_RUNNING);
		if (status != JOB_RUNNING)
			move(id, status);
	}
	return id;
}

START_TEST(every_verb_in_every_status)
{
	/* queued running pausing paused stopping cancelling succeeded failed cancelled: where it leads; . refused */
	static const char *const table[JOB_VERB_COUNT] = {
		[JOB_VERB_PAUSE] = "PppP.....",
		[JOB_VERB_RESUME] = "qrrq.....",
		[JOB_VERB_STOP] = "qssqs.y..",
		[JOB_VERB_CANCEL] = "CccCcc..C",
	};
	static const char letters[] = "qrpPscy-C";
	for (int verb = 0; verb < JOB_VERB_COUNT; verb++) {
		for (int from = 0; from < JOB_STATUS_COUNT; from++) {
			char want = table[verb][from];
			const char *id = job_in((enum job_status)from);
			for (int again = 0; again < 2; again++) {
				enum store_status got = store_job_ask(s, id, (enum job_verb)verb, -1);
				ck_assert_msg(got == (want == '.' ? STORE_CONFLICT : STORE_OK), "verb %d in %s: %d",
					verb, job_status_name((enum job_status)from), got);
				enum job_status now = seed_status(s, id);
				ck_assert_msg(want == '.' ? (int)now == from : letters[now] == want,
					"verb %d in %s led to %s", verb, job_status_name((enum job_status)from),
					job_status_name(now));
			}
		}
		ck_assert_int_eq(store_job_ask(s, "job_none", (enum job_verb)verb, -1), STORE_NOT_FOUND);
	}
}
END_TEST

START_TEST(a_job_that_has_nothing_to_keep_is_not_stopped)
{
	const char *id = seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_ask(s, id, JOB_VERB_STOP, -1), STORE_CONFLICT);
	struct job_row row = seed_get(s, id);
	ck_assert(!row.stop_requested);
	job_row_done(&row);
}
END_TEST

START_TEST(a_stop_is_told_to_the_next_worker_also_after_a_death)
{
	struct job_row row;
	struct job_asked asked;
	int n;
	const char *id = seed_job(s, dataset, 50);
	add_checkpoint(id);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	job_row_done(&row);
	ck_assert(!store_job_asked(s, id, &asked));
	ck_assert_int_eq(store_job_ask(s, id, JOB_VERB_STOP, -1), STORE_OK);
	ck_assert(store_job_asked(s, id, &asked) && asked.status == JOB_STOPPING);
	store_close(s);
	s = seed_open("boot_2");
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	ck_assert_int_eq(seed_status(s, id), JOB_QUEUED);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_int_eq(row.status, JOB_STOPPING);
	ck_assert(row.stop_requested);
	ck_assert_int_eq(row.attempt, 2);
	job_row_done(&row);
}
END_TEST

START_TEST(a_change_stands_until_the_worker_has_taken_it_up)
{
	struct job_row row;
	struct job_asked asked;
	int64_t seq;
	const char *id = seed_job(s, dataset, 50), *other = seed_job(s, dataset, 10);
	struct job_edit edit = {.priority = -1, .if_version = -1, .lr = 0.3};
	ck_assert_int_eq(store_job_edit(s, id, &edit), STORE_OK);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_str_eq(row.id, id);
	ck_assert_double_eq(row.asked_lr, 0.3);
	job_row_done(&row);
	ck_assert(store_job_asked(s, id, &asked));
	ck_assert_double_eq(asked.lr, 0.3);
	ck_assert(!store_job_asked(s, other, &asked));
	edit = (struct job_edit){.priority = -1, .if_version = -1, .lr = 0.4, .epochs = 7};
	ck_assert_int_eq(store_job_edit(s, id, &edit), STORE_OK);
	/* The worker answers the first one: the newer one stands. */
	struct job_change change = {.data = "{}", .lr = 0.3, .epochs = 10, .epoch = -1, .asked = {.lr = 0.3}};
	ck_assert_int_eq(store_job_changed(s, id, &change, &seq), STORE_OK);
	ck_assert(store_job_asked(s, id, &asked));
	ck_assert_double_eq(asked.lr, 0.4);
	ck_assert_int_eq(asked.epochs, 7);
	change = (struct job_change){.data = "{}", .lr = 0.4, .epochs = 8, .epoch = 2, .asked = asked};
	ck_assert_int_eq(store_job_changed(s, id, &change, &seq), STORE_OK);
	ck_assert(!store_job_asked(s, id, &asked));
	row = seed_get(s, id);
	ck_assert_double_eq(row.lr, 0.4);
	ck_assert_int_eq(row.epochs, 8);
	ck_assert_int_eq(row.epoch, 2);
	job_row_done(&row);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM event WHERE type = 'change'"), 2);
	move(id, JOB_SUCCEEDED);
	ck_assert_int_eq(store_job_edit(s, id, &edit), STORE_CONFLICT);
}
END_TEST

static struct job_row claimed(void)
{
	struct job_row row;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	return row;
}

START_TEST(a_failure_that_may_pass_is_tried_again_three_times)
{
	const char *id = seed_job(s, dataset, 50);
	bool again = false;
	for (int i = 0; i <= JOB_RETRIES_MAX; i++) {
		struct job_row row = claimed();
		ck_assert_int_eq(row.retries, i);
		job_row_done(&row);
		ck_assert_int_eq(store_job_retry(s, id, "out_of_memory", "No memory.", 0, &again), STORE_OK);
		ck_assert_int_eq(again, i < JOB_RETRIES_MAX);
	}
	struct job_row row = seed_get(s, id);
	ck_assert_int_eq(row.status, JOB_FAILED);
	ck_assert_str_eq(row.status_reason, "out_of_memory");
	job_row_done(&row);
}
END_TEST

START_TEST(a_checkpoint_is_progress)
{
	const char *id = seed_job(s, dataset, 50);
	bool again = false;
	for (int i = 0; i < 3 * JOB_RETRIES_MAX; i++) {
		struct job_row row = claimed();
		job_row_done(&row);
		add_checkpoint_of(id, 1 + i);
		ck_assert_int_eq(store_job_retry(s, id, "storage_failed", "Once.", 0, &again), STORE_OK);
		ck_assert(again);
	}
}
END_TEST

START_TEST(a_checkpoint_that_was_made_again_is_no_progress)
{
	const char *id = seed_job(s, dataset, 50);
	bool again = false;
	for (int i = 0; i <= JOB_RETRIES_MAX + 1; i++) {
		struct job_row row = claimed();
		job_row_done(&row);
		add_checkpoint_of(id, i == 0 ? 5 : 5 - i % 2);
		ck_assert_int_eq(store_job_retry(s, id, "storage_failed", "Once.", 0, &again), STORE_OK);
		ck_assert_int_eq(again, i < JOB_RETRIES_MAX);
		if (!again)
			break;
	}
	ck_assert_int_eq(seed_status(s, id), JOB_FAILED);
}
END_TEST

/* However often. */
START_TEST(a_job_for_which_the_disk_is_full_pauses_unless_a_client_asked_for_something_else)
{
	static const struct {
		int verb;
		enum job_status to;
		const char *reason;
	} cases[] = {{-1, JOB_PAUSED, "disk_full"}, {JOB_VERB_PAUSE, JOB_PAUSED, "client_request"},
		{JOB_VERB_STOP, JOB_QUEUED, "disk_full"}, {JOB_VERB_CANCEL, JOB_CANCELLED, "client_request"}};
	const char *id = seed_job(s, dataset, 50);
	for (int i = 0; i < 3 * JOB_RETRIES_MAX; i++) {
		struct job_row row = claimed();
		job_row_done(&row);
		ck_assert_int_eq(store_job_wait_for_disk(s, id, "Full.", 0), STORE_OK);
		ck_assert_int_eq(seed_status(s, id), JOB_PAUSED);
		ck_assert_int_eq(store_job_ask(s, id, JOB_VERB_RESUME, -1), STORE_OK);
	}
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct job_row row = claimed();
		job_row_done(&row);
		if (i == 0)
			add_checkpoint(id); /* which a stop would keep */
		if (cases[i].verb >= 0)
			ck_assert_int_eq(store_job_ask(s, id, (enum job_verb)cases[i].verb, -1), STORE_OK);
		ck_assert_int_eq(store_job_wait_for_disk(s, id, "Full.", 0), STORE_OK);
		row = seed_get(s, id);
		ck_assert_int_eq(row.status, cases[i].to);
		ck_assert_str_eq(row.status_reason, cases[i].reason);
		ck_assert_int_eq(row.retries, 0);
		job_row_done(&row);
		if (cases[i].to == JOB_PAUSED)
			ck_assert_int_eq(store_job_ask(s, id, JOB_VERB_RESUME, -1), STORE_OK);
	}
	ck_assert_int_eq(store_job_wait_for_disk(s, id, "Full.", 0), STORE_CONFLICT);
	ck_assert_int_eq(store_job_wait_for_disk(s, "job_none", "Full.", 0), STORE_NOT_FOUND);
}
END_TEST

START_TEST(a_queue_that_cannot_be_read_is_looked_at_again)
{
	struct job_row row;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_NOT_FOUND);
	ck_assert_int_eq(store_job_next_ms(s), -1);
	seed_execute(s, "DROP INDEX job_waiting");
	int ms = store_job_next_ms(s);
	ck_assert_msg(ms > 0 && ms <= 1000, "%d ms", ms);
}
END_TEST

START_TEST(a_job_that_waits_for_its_time_lets_others_go_first)
{
	struct job_row row;
	bool again;
	const char *id = seed_job(s, dataset, 90), *other = seed_job(s, dataset, 10);
	ck_assert_int_eq(store_job_next_ms(s), -1);
	row = claimed();
	job_row_done(&row);
	ck_assert_int_eq(store_job_retry(s, id, "storage_failed", "Once.", 100, &again), STORE_OK);
	int ms = store_job_next_ms(s);
	ck_assert(ms > 90000 && ms <= 100001);
	row = claimed();
	ck_assert_str_eq(row.id, other);
	job_row_done(&row);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_NOT_FOUND);
	seed_execute(s, "UPDATE job SET not_before = not_before - 101 WHERE not_before IS NOT NULL");
	ck_assert_int_eq(store_job_next_ms(s), -1); /* its time was over before the claim that found nothing */
	row = claimed();
	ck_assert_str_eq(row.id, id);
	ck_assert_double_eq(row.not_before, 0);
	job_row_done(&row);
	/* A clock that was put back by a day does not hold it for a day. */
	ck_assert_int_eq(store_job_retry(s, id, "storage_failed", "Once.", 86400, &again), STORE_OK);
	ck_assert_int_eq(store_job_get(s, id, &row), STORE_OK);
	ck_assert_double_le(row.not_before, clock_now() + 3600); /* no wait is longer than an hour */
	job_row_done(&row);
	seed_execute(s, "UPDATE job SET not_before = not_before + 86400 WHERE not_before IS NOT NULL");
	row = claimed();
	job_row_done(&row);
}
END_TEST

/* The server dies while the queue's first job runs, and starts anew. */
static void die(int times, const struct job_blamed *blamed)
{
	char boot[24];
	int n;
	struct job_row row = claimed();
	job_row_done(&row);
	store_close(s);
	snprintf(boot, sizeof boot, "boot_%d", 10 + times);
	s = seed_open(boot);
	ck_assert_int_eq(store_job_requeue(s, blamed, &n), STORE_OK);
}

START_TEST(who_crashed_the_server_fails_after_three_retries_and_nobody_else)
{
	const char *guilty = seed_job(s, dataset, 90), *other = seed_job(s, dataset, 10);
	char ids[2][ID_MAX];
	snprintf(ids[0], ID_MAX, "%s", "job_that_is_gone");
	snprintf(ids[1], ID_MAX, "%s", guilty);
	struct job_blamed blamed = {.ids = (const char(*)[ID_MAX])ids, .n = 2};
	seed_execute(s, "UPDATE job SET status = 'queued'");
	for (int i = 0; i <= JOB_RETRIES_MAX; i++) {
		ck_assert_int_eq(seed_status(s, guilty), JOB_QUEUED);
		seed_execute(s, "UPDATE job SET status = 'running', boot_id = 'boot_old' WHERE priority = 10");
		die(i, &blamed);
		ck_assert_int_eq(seed_status(s, other), JOB_QUEUED);
	}
	struct job_row row = seed_get(s, guilty);
	ck_assert_int_eq(row.status, JOB_FAILED);
	ck_assert_str_eq(row.status_reason, "worker_crash");
	job_row_done(&row);
	row = seed_get(s, other);
	ck_assert_int_eq(row.retries, 0);
	job_row_done(&row);
	ck_assert_int_eq(seed_count(s, "SELECT sum(deaths) AS n FROM job"), 0);
}
END_TEST

START_TEST(deaths_without_progress_end_a_job_and_running_time_ends_with_its_last_event)
{
	const char *id = seed_job(s, dataset, 50);
	int n;
	for (int death = 0; death <= JOB_DEATHS_MAX; death++) {
		char boot[16] = "boot_x";
		struct job_row row = claimed();
		ck_assert_int_eq(row.attempt, death + 1);
		job_row_done(&row);
		/* It ran for 10 s, in which the clock was put forward by ten years; then the machine was off. */
		seed_execute(s, "UPDATE job SET claimed_mono = claimed_mono - 10, claimed_at = claimed_at - 315360010"
				" WHERE status = 'running'");
		store_close(s);
		boot[5] = (char)('a' + death);
		s = seed_open(boot);
		ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
		ck_assert_int_eq(n, 1);
		row = seed_get(s, id);
		ck_assert_int_eq(row.status, death < JOB_DEATHS_MAX ? JOB_QUEUED : JOB_FAILED);
		ck_assert_str_eq(row.status_reason, death < JOB_DEATHS_MAX ? "server_restart" : "worker_crash");
		ck_assert_double_eq_tol(row.runtime_seconds, 10.0 * (death + 1), 0.5);
		ck_assert_double_eq(row.claimed_at, 0);
		job_row_done(&row);
	}
}
END_TEST

/* A power cut now and then in the life of a job that has no checkpoint yet. */
START_TEST(deaths_that_lie_far_apart_do_not_add_up)
{
	const char *id = seed_job(s, dataset, 50);
	for (int death = 0; death < 3 * JOB_DEATHS_MAX; death++) {
		char boot[24];
		int n;
		struct job_row row = claimed();
		job_row_done(&row);
		if (death % JOB_DEATHS_MAX == 0)
			seed_execute(s, "UPDATE job SET claimed_mono = seen_mono - 3600 WHERE status = 'running'");
		store_close(s);
		snprintf(boot, sizeof boot, "boot_%d", 100 + death);
		s = seed_open(boot);
		ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
		ck_assert_msg(seed_status(s, id) == JOB_QUEUED, "death %d", death);
	}
}
END_TEST

START_TEST(running_time_is_that_of_workers_alone)
{
	const char *id = seed_job(s, dataset, 50);
	struct job_row row = claimed();
	ck_assert_double_gt(row.claimed_at, 0);
	job_row_done(&row);
	seed_execute(s, "UPDATE job SET claimed_mono = claimed_mono - 5, claimed_at = claimed_at - 315360000");
	move(id, JOB_PAUSING);
	move(id, JOB_RUNNING);
	move(id, JOB_PAUSING);
	move(id, JOB_PAUSED);
	row = seed_get(s, id);
	ck_assert_double_eq_tol(row.runtime_seconds, 5, 0.5);
	job_row_done(&row);
	move(id, JOB_QUEUED);
	row = claimed();
	job_row_done(&row);
	seed_execute(s, "UPDATE job SET claimed_at = claimed_at + 100"); /* the clock was put back */
	move(id, JOB_SUCCEEDED);
	row = seed_get(s, id);
	ck_assert_double_eq_tol(row.runtime_seconds, 5, 0.5);
	job_row_done(&row);
}
END_TEST

START_TEST(findings_are_in_the_row_and_the_log)
{
	int64_t seq;
	const char *id = seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_diagnosed(s, id, "{\"code\":\"a\"}", "[{\"code\":\"a\"}]", &seq), STORE_OK);
	ck_assert_int_eq(seq, 2);
	struct job_row row = seed_get(s, id);
	ck_assert_str_eq(row.diagnosis, "[{\"code\":\"a\"}]");
	ck_assert_int_eq(row.last_seq, 2);
	job_row_done(&row);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM event WHERE type = 'diagnosis'"), 1);
	ck_assert_int_eq(store_job_diagnosed(s, "job_none", "{}", "[]", &seq), STORE_NOT_FOUND);
}
END_TEST

START_TEST(epochs_are_refused_once_the_last_one_is_over)
{
	const char *id = seed_job(s, dataset, 50);
	struct job_row row = claimed();
	job_row_done(&row);
	struct job_edit more = {.priority = -1, .if_version = -1, .epochs = 20};
	struct job_edit faster = {.priority = 60, .if_version = -1};
	ck_assert_int_eq(store_job_trained(s, id), STORE_OK); /* it ended early */
	ck_assert_int_eq(store_job_edit(s, id, &more), STORE_CONFLICT);
	move(id, JOB_QUEUED);
	ck_assert_int_eq(store_job_edit(s, id, &more), STORE_OK);
	row = claimed();
	job_row_done(&row);
	seed_execute(s, "UPDATE job SET epoch = epochs");
	ck_assert_int_eq(store_job_edit(s, id, &more), STORE_CONFLICT);
	ck_assert_int_eq(store_job_edit(s, id, &faster), STORE_OK);
	move(id, JOB_QUEUED); /* whoever claims it next looks */
	ck_assert_int_eq(store_job_edit(s, id, &more), STORE_OK);
}
END_TEST

TEST_SUITE(store_ask, 20)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, every_verb_in_every_status);
	tcase_add_test(tc, a_job_that_has_nothing_to_keep_is_not_stopped);
	tcase_add_test(tc, a_stop_is_told_to_the_next_worker_also_after_a_death);
	tcase_add_test(tc, a_change_stands_until_the_worker_has_taken_it_up);
	tcase_add_test(tc, a_failure_that_may_pass_is_tried_again_three_times);
	tcase_add_test(tc, a_checkpoint_is_progress);
	tcase_add_test(tc, a_checkpoint_that_was_made_again_is_no_progress);
	tcase_add_test(tc, a_job_for_which_the_disk_is_full_pauses_unless_a_client_asked_for_something_else);
	tcase_add_test(tc, a_queue_that_cannot_be_read_is_looked_at_again);
	tcase_add_test(tc, a_job_that_waits_for_its_time_lets_others_go_first);
	tcase_add_test(tc, who_crashed_the_server_fails_after_three_retries_and_nobody_else);
	tcase_add_test(tc, deaths_without_progress_end_a_job_and_running_time_ends_with_its_last_event);
	tcase_add_test(tc, deaths_that_lie_far_apart_do_not_add_up);
	tcase_add_test(tc, running_time_is_that_of_workers_alone);
	tcase_add_test(tc, findings_are_in_the_row_and_the_log);
	tcase_add_test(tc, epochs_are_refused_once_the_last_one_is_over);
}
