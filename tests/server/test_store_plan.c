/*
 * test_store_plan.c - how SQLite goes about every statement of the store: none walks through or sorts a table that
 * grows.
 *
 * The store's functions are called, and then the statements that its connections have compiled are explained.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db/connection.h"
#include "runner.h"
#include "scratch.h"
#include "seed.h"

static struct store *s;
static const char *dataset, *job;

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
	dataset = seed_dataset(s, "mnist");
	job = seed_job(s, dataset, 50);
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

/* A step of a plan that would take longer with every job there ever was. */
static bool slow(const char *sql, const char *detail)
{
	static const char *const growing[] = {"job", "event", "checkpoint", "dataset", "d", "model", "dataset_file"};
	char scan[48];
	for (size_t i = 0; i < sizeof growing / sizeof growing[0]; i++) {
		int n = snprintf(scan, sizeof scan, "SCAN %s", growing[i]);
		if (strncmp(detail, scan, (size_t)n) == 0 && (detail[n] == '\0' || detail[n] == ' '))
			/* One of queued jobs alone, whose number has a limit. */
			return !strstr(detail, "job_queue") && !strstr(detail, "job_waiting");
	}
	/* A list that is narrowed must not walk through all there are by their ids. */
	if (strstr(sql, " WHERE id < :after AND ") && strstr(detail, "autoindex"))
		return true;
	if (strstr(sql, "weights_kept = ") && strstr(detail, " job ") && !strstr(detail, "job_weights") &&
		!strstr(sql, "UPDATE"))
		return true;
	/* A union sorts the few rows that its parts have found. */
	return strstr(detail, "TEMP B-TREE") && !strstr(sql, "UNION ALL") && !strstr(sql, "'queued'");
}

static int explain(struct db_tx *tx)
{
	int n = 0;
	for (int i = 0; i < STMT_SLOTS; i++) {
		char *explained = NULL;
		sqlite3_stmt *plan = NULL;
		const char *sql = tx->stmts[i].raw ? sqlite3_sql(tx->stmts[i].raw) : NULL;
		if (!sql || strncmp(sql, "BEGIN", 5) == 0 || strcmp(sql, "COMMIT") == 0)
			continue;
		ck_assert_int_gt(asprintf(&explained, "EXPLAIN QUERY PLAN %s", sql), 0);
		ck_assert_int_eq(sqlite3_prepare_v2(tx->raw, explained, -1, &plan, NULL), SQLITE_OK);
		while (sqlite3_step(plan) == SQLITE_ROW) {
			const char *detail = (const char *)sqlite3_column_text(plan, 3);
			ck_assert_msg(!slow(sql, detail), "%s: %s", sql, detail);
		}
		sqlite3_finalize(plan);
		free(explained);
		n++;
	}
	return n;
}

/* All statements that were used so far. */
static int explain_all(void)
{
	struct db_tx *tx = db_begin(s->db);
	int n = explain(tx);
	db_end(tx, false);
	tx = db_snapshot(s->db); /* the reader that was given back last: in one thread always the same */
	n += explain(tx);
	db_end(tx, false);
	return n;
}

START_TEST(lists_of_jobs_by_every_filter_go_by_an_index)
{
	for (int mask = 0; mask < 32; mask++) {
		struct job_filter f = {.status = mask & 1 ? JOB_FAILED : -1,
			.dataset = mask & 2 ? "mnist" : NULL,
			.name = mask & 4 ? "x" : NULL};
		struct page page = {.limit = 20, .owner = mask & 8 ? "ann" : NULL, .after = mask & 16 ? "job_5" : NULL};
		struct job_row *rows = NULL;
		int n = 0;
		ck_assert_int_eq(store_job_list(s, &f, &page, &rows, &n), STORE_OK);
		for (int i = 0; i < n; i++)
			job_row_done(&rows[i]);
		free(rows);
	}
	ck_assert_int_ge(explain_all(), 16);
}
END_TEST

START_TEST(events_by_every_filter_go_by_an_index)
{
	for (int mask = 0; mask < 4; mask++) {
		struct event_feed feed = {
			.owner = mask & 1 ? "ann" : NULL, .type = mask & 2 ? "test" : NULL, .after = 1, .limit = 10};
		struct event_row *rows = NULL;
		int n = 0;
		ck_assert_int_eq(store_event_feed(s, &feed, &rows, &n), STORE_OK);
		free(rows);
		ck_assert_int_eq(store_event_list(s, job, 1, feed.type, 10, &rows, &n), STORE_OK);
		free(rows);
	}
	ck_assert_int_ge(explain_all(), 6);
}
END_TEST

static void read_all(void)
{
	struct job_counts counts;
	struct keep_totals totals;
	struct disk_use use;
	struct queued_job *queued = NULL;
	struct dataset_row *sets = NULL;
	struct model_row *models = NULL;
	struct checkpoint_row *ckpts = NULL;
	struct job_asked asked;
	enum job_known known;
	int n;
	int64_t bytes;
	ck_assert_int_eq(store_job_counts(s, &counts), STORE_OK);
	ck_assert_int_eq(counts.by_status[JOB_QUEUED], 1);
	ck_assert_int_eq(store_keep_totals(s, &totals), STORE_OK);
	ck_assert_int_eq(store_disk_use(s, "local", &use), STORE_OK);
	ck_assert_int_eq(store_keep_weights_bytes(s, &bytes), STORE_OK);
	ck_assert_int_eq(store_job_queue(s, 10, &queued, &n), STORE_OK);
	job_row_done(&queued[0].row);
	free(queued);
	for (int i = 0; i < 2; i++) {
		struct page page = {.limit = 5, .owner = i ? "ann" : NULL};
		ck_assert_int_eq(store_dataset_list(s, &page, &sets, &n), STORE_OK);
		for (int k = 0; k < n; k++)
			dataset_row_done(&sets[k]);
		free(sets);
		ck_assert_int_eq(store_model_list(s, &page, &models, &n), STORE_OK);
		free(models);
	}
	ck_assert_int_eq(store_checkpoint_list(s, job, &ckpts, &n), STORE_OK);
	free(ckpts);
	ck_assert_int_eq(store_job_known(s, &job, 1, &known), STORE_OK);
	ck_assert_int_eq(known, JOB_UNFINISHED);
	ck_assert(!store_dataset_has_upload(s, "x"));
	ck_assert(store_dataset_has_sha256(s, "5e1f"));
	store_job_asked(s, job, &asked);
	store_job_next_ms(s);
}

START_TEST(reads_go_by_an_index)
{
	read_all();
	ck_assert_int_ge(explain_all(), 14);
}
END_TEST

START_TEST(changes_and_removals_go_by_an_index)
{
	struct job_row row;
	struct keep_removed r;
	bool last, existing;
	int n;
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	job_row_done(&row);
	seed_append(s, job, "epoch");
	ck_assert_int_eq(store_job_ask(s, job, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_move(s, job, JOB_CANCELLED, NULL, NULL), STORE_OK);
	ck_assert_int_eq(store_job_requeue(s, &(struct job_blamed){0}, &n), STORE_OK);
	for (int level = WEIGHTS_BEST; level >= WEIGHTS_NONE; level--)
		ck_assert_int_eq(store_keep_remove_weights(s, 0, (enum weights_kept)level, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_job(s, 0, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_dataset(s, 0, true, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_remove_dataset(s, 0, false, &r), STORE_NOT_FOUND);
	ck_assert_int_eq(store_keep_resume(s, &n), STORE_OK);
	struct job_new again = {.owner = "local",
		.dataset_id = dataset,
		.model = "{}",
		.spec = "{}",
		.epochs = 1,
		.idempotency_key = "k",
		.request_sha256 = "r",
		.max_queued = 10,
		.max_queued_of_owner = 10};
	ck_assert_int_eq(store_job_add(s, &again, &row, &existing), STORE_OK);
	ck_assert_int_eq(store_dataset_delete(s, dataset, &last), STORE_CONFLICT);
	ck_assert_int_eq(store_job_move(s, row.id, JOB_CANCELLED, NULL, NULL), STORE_OK);
	ck_assert_int_eq(store_job_delete(s, row.id, -1), STORE_OK);
	job_row_done(&row);
	ck_assert_int_eq(store_job_delete(s, job, -1), STORE_OK);
	ck_assert_int_eq(store_dataset_delete(s, dataset, &last), STORE_OK);
	ck_assert_int_ge(explain_all(), 25);
}
END_TEST

TEST_SUITE(store_plan, 20)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, lists_of_jobs_by_every_filter_go_by_an_index);
	tcase_add_test(tc, events_by_every_filter_go_by_an_index);
	tcase_add_test(tc, reads_go_by_an_index);
	tcase_add_test(tc, changes_and_removals_go_by_an_index);
}
