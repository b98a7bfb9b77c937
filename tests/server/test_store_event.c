/* test_store_event.c - events and checkpoints: dense numbers, one transaction, the order over all jobs. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
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

static void free_events(struct event_row *rows, int n)
{
	for (int i = 0; i < n; i++)
		event_row_done(&rows[i]);
	free(rows);
}

START_TEST(sequence_numbers_are_dense_within_each_job)
{
	const char *a = seed_job(s, dataset, 50), *b = seed_job(s, dataset, 50);
	for (int64_t i = 2; i < 6; i++) {
		ck_assert_int_eq(seed_append(s, a, "progress"), i);
		ck_assert_int_eq(seed_append(s, b, "progress"), i);
	}
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(s, b, 2, NULL, 100, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	for (int i = 0; i < n; i++) {
		ck_assert_int_eq(rows[i].seq, 3 + i);
		ck_assert_str_eq(rows[i].job_id, b);
		ck_assert(rows[i].created_at > 1.6e9);
	}
	free_events(rows, n);
	struct job_row row = seed_get(s, b);
	ck_assert_int_eq(row.last_seq, 5);
	job_row_done(&row);
	int64_t seq = 7;
	ck_assert_int_eq(store_event_append(s, "job_none", "progress", "{}", -1, NULL, NULL, &seq), STORE_NOT_FOUND);
	ck_assert_int_eq(seq, 0);
}
END_TEST

START_TEST(a_list_has_its_type_its_limit_and_its_place)
{
	const char *id = seed_job(s, dataset, 50);
	for (int i = 0; i < 6; i++)
		seed_append(s, id, i % 2 ? "epoch" : "progress");
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_list(s, id, 0, "epoch", 100, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	for (int i = 0; i < n; i++)
		ck_assert_str_eq(rows[i].type, "epoch");
	free_events(rows, n);
	ck_assert_int_eq(store_event_list(s, id, 0, NULL, 2, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_int_eq(rows[1].seq, 2);
	free_events(rows, n);
	ck_assert_int_eq(store_event_list(s, id, 7, NULL, 100, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 0);
	ck_assert_ptr_null(rows);
}
END_TEST

START_TEST(all_jobs_share_one_order_that_never_goes_back)
{
	const char *a = seed_job(s, dataset, 50), *b = seed_job(s, dataset, 50);
	seed_append(s, b, "epoch");
	seed_append(s, a, "epoch");
	struct event_row *rows;
	int n;
	ck_assert_int_eq(store_event_feed(s, &(struct event_feed){.after = 0, .limit = 100}, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 4);
	ck_assert_str_eq(rows[2].job_id, b);
	ck_assert_str_eq(rows[3].job_id, a);
	for (int i = 1; i < n; i++)
		ck_assert_int_gt(rows[i].global_seq, rows[i - 1].global_seq);
	int64_t second = rows[1].global_seq, last = rows[3].global_seq;
	free_events(rows, n);
	ck_assert_int_eq(store_event_feed(s, &(struct event_feed){.after = second, .limit = 100}, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 2);
	free_events(rows, n);
	ck_assert_int_eq(store_job_ask(s, a, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_delete(s, a, -1), STORE_OK); /* the newest events are gone */
	seed_append(s, b, "epoch");
	ck_assert_int_eq(store_event_feed(s, &(struct event_feed){.after = last, .limit = 100}, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 1); /* a client that remembers the place of a deleted event misses nothing */
	ck_assert_str_eq(rows[0].job_id, b);
	free_events(rows, n);
}
END_TEST

START_TEST(an_event_carries_epoch_and_metrics_into_the_job)
{
	const char *id = seed_job(s, dataset, 50);
	int64_t seq;
	ck_assert_int_eq(store_event_append(s, id, "epoch", "{\"e\":1}", 1, "{\"loss\":0.5}", NULL, &seq), STORE_OK);
	ck_assert_int_eq(store_event_append(s, id, "progress", "{}", -1, NULL, NULL, &seq), STORE_OK);
	struct job_row row = seed_get(s, id);
	ck_assert_int_eq(row.epoch, 1);
	ck_assert_str_eq(row.metrics, "{\"loss\":0.5}");
	ck_assert_int_eq(row.last_seq, 3);
	job_row_done(&row);
}
END_TEST

static void save(const char *job, int epoch, bool best)
{
	char file[32];
	int64_t seq;
	snprintf(file, sizeof file, "epoch-%d.ckpt", epoch);
	struct checkpoint_new c = {.epoch = epoch,
		.step = epoch * 100,
		.file = file,
		.bytes = 4096,
		.is_best = best,
		.metrics = "{\"l\":1}"};
	ck_assert_int_eq(store_event_append(s, job, "checkpoint", "{}", epoch, NULL, &c, &seq), STORE_OK);
}

static int got_epoch(const char *job, const char *which)
{
	struct checkpoint_row row;
	if (store_checkpoint_get(s, job, which, &row) != STORE_OK)
		return -1;
	int epoch = row.epoch;
	checkpoint_row_done(&row);
	return epoch;
}

START_TEST(checkpoints_are_found_as_best_last_by_epoch_and_by_id)
{
	const char *id = seed_job(s, dataset, 50), *other = seed_job(s, dataset, 50);
	save(id, 1, true);
	save(id, 2, true);
	save(id, 3, false);
	save(other, 9, true);
	struct checkpoint_row *rows;
	int n;
	ck_assert_int_eq(store_checkpoint_list(s, id, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	for (int i = 0; i < n; i++) { /* newest first, one best, one last */
		ck_assert_int_eq(rows[i].epoch, 3 - i);
		ck_assert_int_eq(rows[i].step, (3 - i) * 100);
		ck_assert_int_eq(rows[i].is_last, i == 0);
		ck_assert_int_eq(rows[i].is_best, i == 1);
		ck_assert_str_eq(rows[i].metrics, "{\"l\":1}");
		ck_assert_str_eq(rows[i].job_id, id);
		ck_assert(strncmp(rows[i].file, "epoch-", 6) == 0);
	}
	ck_assert_int_eq(got_epoch(id, "best"), 2);
	ck_assert_int_eq(got_epoch(id, "last"), 3);
	ck_assert_int_eq(got_epoch(id, "1"), 1);
	ck_assert_int_eq(got_epoch(id, rows[2].id), 1);
	ck_assert_int_eq(got_epoch(other, rows[2].id), -1); /* another job's */
	ck_assert_int_eq(got_epoch(id, "4"), -1);
	ck_assert_int_eq(got_epoch(id, "99999999999999999999"), -1);
	ck_assert_int_eq(got_epoch(id, "4294967297"), -1); /* 1 in 32 bits */
	ck_assert_int_eq(got_epoch(id, ""), -1);
	ck_assert_int_eq(got_epoch("job_none", "best"), -1);
	ck_assert_int_eq(store_checkpoint_remove(s, rows[0].id), STORE_OK);
	ck_assert_int_eq(store_checkpoint_remove(s, rows[0].id), STORE_NOT_FOUND);
	ck_assert_int_eq(got_epoch(id, "last"), 2);
	for (int i = 0; i < n; i++)
		checkpoint_row_done(&rows[i]);
	free(rows);
}
END_TEST

/* ---- threads ---- */

enum { APPENDERS = 3, EACH = 40 };
static const char *shared_job;
static atomic_int appending;

static void *append_many(void *arg)
{
	(void)arg;
	int64_t seq;
	for (int i = 0; i < EACH; i++)
		if (store_event_append(s, shared_job, "progress", "{}", -1, NULL, NULL, &seq) != STORE_OK)
			break;
	atomic_fetch_sub(&appending, 1);
	return NULL;
}

/* Follows the log as a stream does; answers how many rows came out of order. */
static void *follow(void *arg)
{
	(void)arg;
	intptr_t wrong = 0;
	int64_t seen = 0;
	bool done = false;
	while (!done) {
		struct event_row *rows;
		int n;
		done = atomic_load(&appending) == 0; /* looked at before reading: then this page is the last */
		if (store_event_list(s, shared_job, seen, NULL, 1000, &rows, &n) != STORE_OK)
			return (void *)-1;
		for (int i = 0; i < n; i++)
			wrong += rows[i].seq != ++seen;
		free_events(rows, n);
	}
	return (void *)(wrong + (seen != 1 + APPENDERS * EACH));
}

START_TEST(followers_see_every_event_once_and_in_order)
{
	pthread_t writers[APPENDERS], readers[4];
	shared_job = seed_job(s, dataset, 50);
	atomic_store(&appending, APPENDERS);
	for (int i = 0; i < 4; i++)
		pthread_create(&readers[i], NULL, follow, NULL);
	for (int i = 0; i < APPENDERS; i++)
		pthread_create(&writers[i], NULL, append_many, NULL);
	for (int i = 0; i < APPENDERS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < 4; i++) {
		void *wrong = NULL;
		pthread_join(readers[i], &wrong);
		ck_assert_ptr_null(wrong);
	}
}
END_TEST

TEST_SUITE(store_event, 30)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, sequence_numbers_are_dense_within_each_job);
	tcase_add_test(tc, a_list_has_its_type_its_limit_and_its_place);
	tcase_add_test(tc, all_jobs_share_one_order_that_never_goes_back);
	tcase_add_test(tc, an_event_carries_epoch_and_metrics_into_the_job);
	tcase_add_test(tc, checkpoints_are_found_as_best_last_by_epoch_and_by_id);
	tcase_add_test(tc, followers_see_every_event_once_and_in_order);
}
