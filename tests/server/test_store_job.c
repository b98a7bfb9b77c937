/* test_store_job.c - jobs as rows: adding once, reading, lists, editing, removing. */
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

static struct job_new sample(const char *key, const char *sha256)
{
	return (struct job_new){.owner = "local",
		.name = "cnn",
		.dataset_id = dataset,
		.model = "{\"layers\":[1]}",
		.spec = "{\"epochs\":3}",
		.priority = 70,
		.epochs = 3,
		.idempotency_key = key,
		.request_sha256 = sha256};
}

START_TEST(a_new_job_is_queued_with_its_first_event)
{
	struct job_new n = sample(NULL, NULL);
	struct job_row row;
	bool existing = true;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	ck_assert(!existing);
	ck_assert(strncmp(row.id, "job_", 4) == 0);
	ck_assert_str_eq(row.name, "cnn");
	ck_assert_int_eq(row.status, JOB_QUEUED);
	ck_assert_ptr_null(row.status_reason);
	ck_assert_str_eq(row.dataset_id, dataset);
	ck_assert_str_eq(row.dataset_name, "mnist");
	ck_assert_str_eq(row.dataset_sha256, "5e1f");
	ck_assert_str_eq(row.model, "{\"layers\":[1]}");
	ck_assert_str_eq(row.spec, "{\"epochs\":3}");
	ck_assert_int_eq(row.priority, 70);
	ck_assert_int_eq(row.epochs, 3);
	ck_assert_int_eq(row.epoch, 0);
	ck_assert_int_eq(row.last_seq, 1);
	ck_assert_int_eq(row.attempt, 0);
	ck_assert_int_eq(row.version, 1);
	ck_assert(row.created_at > 1.6e9 && row.started_at == 0 && row.finished_at == 0);
	struct event_row *events;
	int nevents;
	ck_assert_int_eq(store_event_list(s, row.id, 0, NULL, 10, &events, &nevents), STORE_OK);
	ck_assert_int_eq(nevents, 1);
	ck_assert_str_eq(events[0].type, "status");
	ck_assert_str_eq(events[0].data, "{\"status\":\"queued\",\"reason\":null,\"detail\":null}");
	event_row_done(&events[0]);
	free(events);
	job_row_done(&row);
}
END_TEST

START_TEST(a_job_needs_a_data_set_that_is_ready)
{
	struct dataset_row receiving;
	ck_assert_int_eq(store_dataset_begin(s, "local", "half", &receiving), STORE_OK);
	struct job_new n = sample("key", "aa");
	struct job_row row;
	bool existing;
	n.dataset_id = receiving.id;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_NOT_FOUND);
	n.dataset_id = "ds_none";
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_NOT_FOUND);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM event"), 0);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM idempotency"), 0);
	dataset_row_done(&receiving);
}
END_TEST

START_TEST(a_repeated_request_gives_the_same_job)
{
	struct job_new n = sample("retry-1", "aa");
	struct job_row first, second;
	bool existing;
	ck_assert_int_eq(store_job_add(s, &n, &first, &existing), STORE_OK);
	ck_assert(!existing);
	ck_assert_int_eq(store_job_add(s, &n, &second, &existing), STORE_OK);
	ck_assert(existing);
	ck_assert_str_eq(first.id, second.id);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM job"), 1);
	job_row_done(&first);
	job_row_done(&second);
}
END_TEST

START_TEST(a_key_used_for_another_request_is_a_conflict)
{
	struct job_new n = sample("retry-1", "aa"), other = sample("retry-1", "bb");
	struct job_row row;
	bool existing;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	job_row_done(&row);
	ck_assert_int_eq(store_job_add(s, &other, &row, &existing), STORE_CONFLICT);
	ck_assert_ptr_null(row.model);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM job"), 1);
}
END_TEST

START_TEST(a_key_is_forgotten_after_a_day)
{
	struct job_new n = sample("retry-1", "aa"), other = sample("retry-1", "bb");
	struct job_row row;
	bool existing;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	job_row_done(&row);
	seed_execute(s, "UPDATE idempotency SET created_at = created_at - 86390");
	ck_assert_int_eq(store_job_add(s, &other, &row, &existing), STORE_CONFLICT);
	seed_execute(s, "UPDATE idempotency SET created_at = created_at - 20");
	ck_assert_int_eq(store_job_add(s, &other, &row, &existing), STORE_OK);
	ck_assert(!existing);
	job_row_done(&row);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM job"), 2);
}
END_TEST

static int listed(const struct job_filter *f)
{
	struct page page = {.limit = 100};
	struct job_row *rows;
	int n;
	ck_assert_int_eq(store_job_list(s, f, &page, &rows, &n), STORE_OK);
	ck_assert(!page.has_more);
	for (int i = 0; i < n; i++) {
		if (i > 0)
			ck_assert(strcmp(rows[i - 1].id, rows[i].id) > 0);
		if (f->status >= 0)
			ck_assert_int_eq(rows[i].status, f->status);
		if (f->dataset)
			ck_assert_str_eq(rows[i].dataset_name, f->dataset);
		if (f->name)
			ck_assert_str_eq(rows[i].name, f->name);
	}
	for (int i = n - 1; i >= 0; i--)
		job_row_done(&rows[i]);
	free(rows);
	return n;
}

START_TEST(lists_are_filtered_by_status_data_set_and_name)
{
	const char *other = seed_dataset(s, "cifar"), *jobs[5];
	for (int i = 0; i < 5; i++)
		jobs[i] = seed_job(s, i < 2 ? other : dataset, 50);
	ck_assert_int_eq(store_job_ask(s, jobs[0], JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_ask(s, jobs[4], JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(
		store_job_edit(s, jobs[3], &(struct job_edit){.name = "mine", .priority = -1, .if_version = -1}),
		STORE_OK);
	ck_assert_int_eq(listed(&(struct job_filter){.status = -1}), 5);
	ck_assert_int_eq(listed(&(struct job_filter){.status = JOB_QUEUED}), 3);
	ck_assert_int_eq(listed(&(struct job_filter){.status = JOB_CANCELLED}), 2);
	ck_assert_int_eq(listed(&(struct job_filter){.status = JOB_RUNNING}), 0);
	ck_assert_int_eq(listed(&(struct job_filter){.status = -1, .dataset = "cifar"}), 2);
	ck_assert_int_eq(listed(&(struct job_filter){.status = JOB_QUEUED, .dataset = "cifar"}), 1);
	ck_assert_int_eq(listed(&(struct job_filter){.status = -1, .name = "mine"}), 1);
	ck_assert_int_eq(listed(&(struct job_filter){.status = JOB_QUEUED, .dataset = "mnist", .name = "mine"}), 1);
	ck_assert_int_eq(listed(&(struct job_filter){.status = -1, .name = "' OR 1 --"}), 0);
}
END_TEST

START_TEST(a_page_goes_on_after_the_last_row)
{
	for (int i = 0; i < 7; i++)
		seed_job(s, dataset, 50);
	struct job_filter f = {.status = JOB_QUEUED};
	struct page page = {.limit = 3};
	char after[ID_MAX] = "";
	int seen = 0, pages = 0;
	do {
		struct job_row *rows;
		int n;
		page.after = *after ? after : NULL;
		ck_assert_int_eq(store_job_list(s, &f, &page, &rows, &n), STORE_OK);
		ck_assert_int_le(n, 3);
		for (int i = 0; i < n; i++) {
			ck_assert(!*after || strcmp(after, rows[i].id) > 0);
			snprintf(after, sizeof after, "%s", rows[i].id);
			job_row_done(&rows[i]);
			seen++;
		}
		free(rows);
		pages++;
	} while (page.has_more);
	ck_assert_int_eq(seen, 7);
	ck_assert_int_eq(pages, 3);
	struct page whole = {.limit = 7}; /* exactly as many as there are */
	struct job_row *rows;
	int n;
	ck_assert_int_eq(store_job_list(s, &f, &whole, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 7);
	ck_assert(!whole.has_more);
	for (int i = 0; i < n; i++)
		job_row_done(&rows[i]);
	free(rows);
}
END_TEST

START_TEST(every_change_grows_the_version_and_an_old_one_is_refused)
{
	const char *id = seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_edit(s, id, &(struct job_edit){.name = "renamed", .priority = 90, .if_version = 1}),
		STORE_OK);
	ck_assert_int_eq(store_job_edit(s, id, &(struct job_edit){.name = "late", .priority = 10, .if_version = 1}),
		STORE_STALE);
	ck_assert_int_eq(
		store_job_edit(s, id, &(struct job_edit){.name = NULL, .priority = -1, .if_version = -1}), STORE_OK);
	seed_append(s, id, "progress");
	struct job_row row = seed_get(s, id);
	ck_assert_str_eq(row.name, "renamed");
	ck_assert_int_eq(row.priority, 90);
	ck_assert_int_eq(row.version, 4);
	job_row_done(&row);
	ck_assert_int_eq(store_job_claim(s, &row), STORE_OK);
	ck_assert_int_ge(row.version, 5);
	job_row_done(&row);
	ck_assert_int_eq(
		store_job_edit(s, "job_none", &(struct job_edit){.name = "x", .priority = 1, .if_version = -1}),
		STORE_NOT_FOUND);
}
END_TEST

START_TEST(an_ended_job_is_removed_with_all_that_hangs_on_it)
{
	struct job_new n = sample("key", "aa");
	struct job_row row;
	bool existing;
	int64_t seq;
	const char *stays = seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	struct checkpoint_new ckpt = {.epoch = 1, .file = "1.ckpt", .is_best = true};
	ck_assert_int_eq(store_event_append(s, row.id, "epoch", "{}", 1, "{}", &ckpt, &seq), STORE_OK);
	ck_assert_int_eq(store_job_delete(s, row.id, -1), STORE_CONFLICT);
	ck_assert_int_eq(store_job_ask(s, row.id, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_job_delete(s, row.id, -1), STORE_OK);
	ck_assert_int_eq(store_job_delete(s, row.id, -1), STORE_NOT_FOUND);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM job"), 1);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM event"), 1);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM job_status_history"), 1);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM checkpoint"), 0);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM idempotency"), 0);
	ck_assert_int_eq(seed_status(s, stays), JOB_QUEUED);
	job_row_done(&row);
}
END_TEST

START_TEST(counts_are_by_status)
{
	const char *a = seed_job(s, dataset, 50);
	seed_job(s, dataset, 50);
	ck_assert_int_eq(store_job_ask(s, a, JOB_VERB_CANCEL, -1), STORE_OK);
	struct job_counts counts;
	ck_assert_int_eq(store_job_counts(s, &counts), STORE_OK);
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		ck_assert_int_eq(counts.by_status[i], i == JOB_QUEUED || i == JOB_CANCELLED);
}
END_TEST

/* An index must serve, or a server with many jobs crawls: "SCAN" alone in a plan is a walk through the table. */
START_TEST(the_frequent_questions_are_answered_from_an_index)
{
	static const char *const plans[][2] = {
		{"EXPLAIN QUERY PLAN SELECT id, owner, priority, created_at, queued_at, not_before, threads, "
		 "planned_bytes,"
		 " epoch_seconds, max_seconds, epochs, epoch, runtime_seconds, stop_requested"
		 " FROM job INDEXED BY job_waiting WHERE status = 'queued'",
			"COVERING INDEX job_waiting"},
		{"EXPLAIN QUERY PLAN SELECT * FROM job WHERE id < coalesce(:after, '~') AND status = :status"
		 " ORDER BY id DESC LIMIT :limit + 1",
			"job_status"},
		{"EXPLAIN QUERY PLAN SELECT * FROM event WHERE job_id = :job AND seq > :after AND type = "
		 "coalesce(:type, type)"
		 " ORDER BY seq LIMIT :limit",
			"(job_id=? AND seq>?)"},
		{"EXPLAIN QUERY PLAN SELECT * FROM dataset WHERE id = :key OR (owner = :owner AND name = :key)",
			"MULTI-INDEX OR"},
		{"EXPLAIN QUERY PLAN SELECT * FROM job WHERE id < coalesce(:after, '~') AND owner = :owner"
		 " ORDER BY id DESC LIMIT :limit + 1",
			"job_owner"},
	};
	for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
		struct db_tx *tx = db_snapshot(s->db);
		struct db_stmt *st = db_query(tx, plans[i][0]);
		char all[1024] = "";
		while (db_step(st)) {
			char line[256];
			db_text_into(st, "detail", line, sizeof line);
			strncat(all, line, sizeof all - strlen(all) - 1);
		}
		ck_assert_int_eq(db_end(tx, false), DB_OK);
		ck_assert_msg(strstr(all, plans[i][1]) && !strstr(all, "TEMP B-TREE"), "plan %zu: %s", i, all);
	}
}
END_TEST

TEST_SUITE(store_job, 10)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, a_new_job_is_queued_with_its_first_event);
	tcase_add_test(tc, a_job_needs_a_data_set_that_is_ready);
	tcase_add_test(tc, a_repeated_request_gives_the_same_job);
	tcase_add_test(tc, a_key_used_for_another_request_is_a_conflict);
	tcase_add_test(tc, a_key_is_forgotten_after_a_day);
	tcase_add_test(tc, lists_are_filtered_by_status_data_set_and_name);
	tcase_add_test(tc, a_page_goes_on_after_the_last_row);
	tcase_add_test(tc, every_change_grows_the_version_and_an_old_one_is_refused);
	tcase_add_test(tc, an_ended_job_is_removed_with_all_that_hangs_on_it);
	tcase_add_test(tc, counts_are_by_status);
	tcase_add_test(tc, the_frequent_questions_are_answered_from_an_index);
}
