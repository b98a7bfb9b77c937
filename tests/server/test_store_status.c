/* test_store_status.c - the status of a job: every pair of statuses, history and event of a move, cancelling. */
#include <stdlib.h>
#include <string.h>

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

/* Columns as in job_status.def: queued running pausing paused stopping cancelling succeeded failed cancelled. */
static const char *const legal[JOB_STATUS_COUNT] = {
	[JOB_QUEUED] = ".x.x...xx",
	[JOB_RUNNING] = "x.xxxxxx.",
	[JOB_PAUSING] = ".x.xxxxx.",
	[JOB_PAUSED] = "x.......x",
	[JOB_STOPPING] = "x....xxxx",
	[JOB_CANCELLING] = "......xxx",
	[JOB_SUCCEEDED] = ".........",
	[JOB_FAILED] = ".........",
	[JOB_CANCELLED] = ".........",
};

/* A job that was brought to the status on a legal way. */
static const char *job_in(enum job_status status)
{
	static const int ways[JOB_STATUS_COUNT][3] = {
		[JOB_QUEUED] = {-1},
		[JOB_RUNNING] = {JOB_RUNNING, -1},
		[JOB_PAUSING] = {JOB_RUNNING, JOB_PAUSING, -1},
		[JOB_PAUSED] = {JOB_PAUSED, -1},
		[JOB_STOPPING] = {JOB_RUNNING, JOB_STOPPING, -1},
		[JOB_CANCELLING] = {JOB_RUNNING, JOB_CANCELLING, -1},
		[JOB_SUCCEEDED] = {JOB_RUNNING, JOB_SUCCEEDED, -1},
		[JOB_FAILED] = {JOB_FAILED, -1},
		[JOB_CANCELLED] = {JOB_CANCELLED, -1},
	};
	const char *id = seed_job(s, dataset, 50);
	for (const int *step = ways[status]; *step >= 0; step++)
		ck_assert_int_eq(store_job_move(s, id, (enum job_status) * step, NULL, NULL), STORE_OK);
	ck_assert_int_eq(seed_status(s, id), status);
	return id;
}

START_TEST(every_pair_of_statuses_moves_or_is_refused_as_the_table_says)
{
	for (int from = 0; from < JOB_STATUS_COUNT; from++) {
		for (int to = 0; to < JOB_STATUS_COUNT; to++) {
			const char *id = job_in((enum job_status)from);
			bool may = legal[from][to] == 'x';
			enum store_status got = store_job_move(s, id, (enum job_status)to, "why", NULL);
			ck_assert_msg(got == (may ? STORE_OK : STORE_CONFLICT), "%s -> %s gave %d",
				job_status_name((enum job_status)from), job_status_name((enum job_status)to), got);
			ck_assert_int_eq(seed_status(s, id), may ? to : from);
			ck_assert_int_eq(job_status_move_legal((enum job_status)from, (enum job_status)to), may);
		}
	}
	ck_assert_int_eq(store_job_move(s, "job_none", JOB_RUNNING, NULL, NULL), STORE_NOT_FOUND);
}
END_TEST

START_TEST(terminal_statuses_are_those_that_lead_nowhere)
{
	for (int i = 0; i < JOB_STATUS_COUNT; i++) {
		bool leads = strchr(legal[i], 'x') != NULL;
		ck_assert_int_eq(job_status_terminal((enum job_status)i), !leads);
		ck_assert_int_eq(job_status_find(job_status_name((enum job_status)i)), i);
	}
	ck_assert_int_eq(job_status_find("Queued"), -1);
	ck_assert_int_eq(job_status_find(""), -1);
}
END_TEST

START_TEST(a_move_is_in_the_row_the_history_and_the_events)
{
	const char *id = job_in(JOB_RUNNING);
	ck_assert_int_eq(seed_append(s, id, "epoch"), 3);
	ck_assert_int_eq(store_job_move(s, id, JOB_FAILED, "nonfinite_loss", "The loss became \"NaN\"."), STORE_OK);
	struct job_row row = seed_get(s, id);
	ck_assert_str_eq(row.status_reason, "nonfinite_loss");
	ck_assert_str_eq(row.status_detail, "The loss became \"NaN\".");
	ck_assert_int_eq(row.last_seq, 4);
	ck_assert(row.started_at >= row.created_at && row.finished_at >= row.started_at);
	job_row_done(&row);
	struct event_row *events;
	int n;
	ck_assert_int_eq(store_event_list(s, id, 3, NULL, 10, &events, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_int_eq(events[0].seq, 4);
	ck_assert_str_eq(events[0].data, "{\"status\":\"failed\",\"reason\":\"nonfinite_loss\","
					 "\"detail\":\"The loss became \\\"NaN\\\".\"}");
	event_row_done(&events[0]);
	free(events);
	char *history;
	ck_assert_int_eq(store_job_history(s, id, &history), STORE_OK);
	const char *queued = strstr(history, "\"queued\""), *running = strstr(history, "\"running\"");
	const char *failed = strstr(history, "{\"status\":\"failed\",\"reason\":\"nonfinite_loss\"");
	ck_assert(queued && running && failed && queued < running && running < failed);
	ck_assert_int_eq(history[0], '[');
	free(history);
	ck_assert_int_eq(store_job_history(s, "job_none", &history), STORE_NOT_FOUND);
	ck_assert_ptr_null(history);
}
END_TEST

START_TEST(a_refused_move_changes_nothing)
{
	const char *id = job_in(JOB_SUCCEEDED);
	struct job_row before = seed_get(s, id);
	ck_assert_int_eq(store_job_move(s, id, JOB_RUNNING, "x", "y"), STORE_CONFLICT);
	struct job_row after = seed_get(s, id);
	ck_assert_int_eq(before.version, after.version);
	ck_assert_int_eq(before.last_seq, after.last_seq);
	job_row_done(&before);
	job_row_done(&after);
}
END_TEST

START_TEST(started_is_the_first_start_and_finished_only_the_end)
{
	const char *id = job_in(JOB_RUNNING);
	struct job_row row = seed_get(s, id);
	double started = row.started_at;
	ck_assert(row.finished_at == 0);
	job_row_done(&row);
	ck_assert_int_eq(store_job_move(s, id, JOB_QUEUED, "server_restart", NULL), STORE_OK);
	ck_assert_int_eq(store_job_move(s, id, JOB_RUNNING, NULL, NULL), STORE_OK);
	row = seed_get(s, id);
	ck_assert_double_eq(row.started_at, started);
	ck_assert_ptr_null(row.status_reason); /* of the present status, not of an older one */
	job_row_done(&row);
}
END_TEST

START_TEST(cancelling_goes_at_once_or_through_the_worker)
{
	static const int expected[JOB_STATUS_COUNT] = {
		[JOB_QUEUED] = JOB_CANCELLED,
		[JOB_PAUSED] = JOB_CANCELLED,
		[JOB_RUNNING] = JOB_CANCELLING,
		[JOB_PAUSING] = JOB_CANCELLING,
		[JOB_STOPPING] = JOB_CANCELLING,
		[JOB_CANCELLING] = JOB_CANCELLING,
		[JOB_SUCCEEDED] = -1,
		[JOB_FAILED] = -1,
		[JOB_CANCELLED] = JOB_CANCELLED,
	};
	for (int from = 0; from < JOB_STATUS_COUNT; from++) {
		const char *id = job_in((enum job_status)from);
		ck_assert_int_eq(
			store_job_ask(s, id, JOB_VERB_CANCEL, -1), expected[from] < 0 ? STORE_CONFLICT : STORE_OK);
		ck_assert_int_eq(seed_status(s, id), expected[from] < 0 ? from : expected[from]);
	}
	ck_assert_int_eq(store_job_ask(s, "job_none", JOB_VERB_CANCEL, -1), STORE_NOT_FOUND);
}
END_TEST

static bool cancelling(const char *id)
{
	struct job_asked asked;
	return store_job_asked(s, id, &asked) && asked.status == JOB_CANCELLING;
}

START_TEST(a_worker_sees_that_its_job_is_cancelling_and_no_other)
{
	const char *a = job_in(JOB_RUNNING), *b = job_in(JOB_RUNNING), *c = job_in(JOB_RUNNING);
	ck_assert(!cancelling(a));
	ck_assert_int_eq(store_job_ask(s, a, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_ask(s, c, JOB_VERB_CANCEL, -1), STORE_OK);
	struct job_row row = seed_get(s, a);
	ck_assert(row.cancel_requested);
	job_row_done(&row);
	ck_assert(cancelling(a));
	ck_assert(!cancelling(b));
	ck_assert_int_eq(store_job_move(s, a, JOB_CANCELLED, NULL, NULL), STORE_OK);
	ck_assert(!cancelling(a));
	ck_assert(cancelling(c)); /* one that ended does not hide another */
	ck_assert_int_eq(store_job_move(s, c, JOB_SUCCEEDED, NULL, NULL), STORE_OK);
	ck_assert(!cancelling(c));
}
END_TEST

START_TEST(a_request_to_cancel_is_known_after_reopening)
{
	const char *id = job_in(JOB_CANCELLING);
	store_close(s);
	s = seed_open("boot_1");
	ck_assert(cancelling(id));
}
END_TEST

TEST_SUITE(store_status, 20)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, every_pair_of_statuses_moves_or_is_refused_as_the_table_says);
	tcase_add_test(tc, terminal_statuses_are_those_that_lead_nowhere);
	tcase_add_test(tc, a_move_is_in_the_row_the_history_and_the_events);
	tcase_add_test(tc, a_refused_move_changes_nothing);
	tcase_add_test(tc, started_is_the_first_start_and_finished_only_the_end);
	tcase_add_test(tc, cancelling_goes_at_once_or_through_the_worker);
	tcase_add_test(tc, a_worker_sees_that_its_job_is_cancelling_and_no_other);
	tcase_add_test(tc, a_request_to_cancel_is_known_after_reopening);
}
