/* test_owner.c - whose rows are whose: names, lists, events and repeated requests of two users, and what was there
 * before there were users. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "runner.h"
#include "scratch.h"
#include "seed.h"

static struct store *s;

static void open_it(void)
{
	scratch_make();
	s = seed_open("boot_1");
}

static void close_it(void)
{
	store_close(s);
	scratch_remove();
}

static void dataset_of(const char *owner, char ret_id[ID_MAX])
{
	struct dataset_row row;
	ck_assert_int_eq(store_dataset_begin(s, owner, "mnist", &row), STORE_OK);
	ck_assert_int_eq(store_dataset_ready(s, row.id, "aa", "{}", 1), STORE_OK);
	snprintf(ret_id, ID_MAX, "%s", row.id);
	dataset_row_done(&row);
}

static enum store_status job_of(const char *owner, const char *dataset, char ret_id[ID_MAX])
{
	struct job_row row;
	bool existing;
	struct job_new n = {.owner = owner,
		.name = "x",
		.dataset_id = dataset,
		.model = "{}",
		.spec = "{}",
		.epochs = 1,
		.idempotency_key = "again",
		.request_sha256 = owner};
	enum store_status st = store_job_add(s, &n, &row, &existing);
	snprintf(ret_id, ID_MAX, "%s", row.id);
	job_row_done(&row);
	return st;
}

START_TEST(two_users_may_give_the_same_name)
{
	char ann[ID_MAX], bob[ID_MAX];
	struct dataset_row row;
	dataset_of("ann", ann);
	dataset_of("bob", bob);
	ck_assert_str_ne(ann, bob);
	ck_assert_int_eq(store_dataset_get(s, "ann", "mnist", &row), STORE_OK);
	ck_assert_str_eq(row.id, ann);
	ck_assert_str_eq(row.owner, "ann");
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_get(s, "bob", "mnist", &row), STORE_OK);
	ck_assert_str_eq(row.id, bob);
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_get(s, "eve", "mnist", &row), STORE_NOT_FOUND);
	ck_assert_int_eq(store_dataset_begin(s, "ann", "mnist", &row), STORE_CONFLICT);
}
END_TEST

START_TEST(lists_and_events_are_one_owners_or_everyones)
{
	char ann[ID_MAX], bob[ID_MAX], job[ID_MAX], other[ID_MAX];
	dataset_of("ann", ann);
	dataset_of("bob", bob);
	ck_assert_int_eq(job_of("ann", ann, job), STORE_OK);
	ck_assert_int_eq(job_of("bob", bob, other), STORE_OK);
	struct page page = {.limit = 10, .owner = "bob"};
	struct job_filter filter = {.status = -1};
	struct job_row *jobs;
	struct dataset_row *datasets;
	struct event_row *events;
	int n;
	ck_assert_int_eq(store_job_list(s, &filter, &page, &jobs, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(jobs[0].id, other);
	job_row_done(&jobs[0]);
	free(jobs);
	ck_assert_int_eq(store_dataset_list(s, &page, &datasets, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(datasets[0].id, bob);
	dataset_row_done(&datasets[0]);
	free(datasets);
	struct event_feed feed = {.owner = "bob", .limit = 10};
	ck_assert_int_eq(store_event_feed(s, &feed, &events, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(events[0].job_id, other);
	event_row_done(&events[0]);
	free(events);
	feed.owner = NULL;
	ck_assert_int_eq(store_event_feed(s, &feed, &events, &n), STORE_OK);
	ck_assert_int_eq(n, 2);
	for (int i = 0; i < n; i++)
		event_row_done(&events[i]);
	free(events);
}
END_TEST

START_TEST(a_key_repeats_a_request_of_its_own_user_alone)
{
	char ann[ID_MAX], first[ID_MAX], again[ID_MAX], other[ID_MAX];
	dataset_of("ann", ann);
	ck_assert_int_eq(job_of("ann", ann, first), STORE_OK);
	ck_assert_int_eq(job_of("ann", ann, again), STORE_OK);
	ck_assert_str_eq(first, again);
	ck_assert_int_eq(job_of("bob", ann, other), STORE_OK);
	ck_assert_str_ne(first, other);
}
END_TEST

START_TEST(a_user_has_a_share_of_the_queue)
{
	char ann[ID_MAX];
	struct job_row row;
	bool existing;
	dataset_of("ann", ann);
	struct job_new n = {.owner = "ann", .name = "x", .dataset_id = ann, .model = "{}", .spec = "{}", .epochs = 1};
	n.max_queued = 3;
	n.max_queued_of_owner = 2;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
		job_row_done(&row);
	}
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_MANY);
	n.owner = "bob";
	n.idempotency_key = "again";
	n.request_sha256 = "aa";
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	job_row_done(&row);
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK); /* the same request again: nothing new */
	ck_assert(existing);
	job_row_done(&row);
	n.idempotency_key = NULL;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_MANY); /* the whole queue is full */
}
END_TEST

/* The embedded migrations but the newest ones. */
static struct db *open_old(const char *path, int nmigrations)
{
	struct migration list[16];
	int n = 0;
	for (int i = 0; i < embedded_count() && n < nmigrations; i++)
		if (strncmp(embedded_at(i).path, "migrations/", 11) == 0)
			list[n++] = (struct migration){.name = embedded_at(i).path + 11, .sql = embedded_at(i).data};
	return db_open(path, list, n);
}

START_TEST(what_was_there_before_belongs_to_local)
{
	struct db *old = open_old(scratch_path("old.db"), 3);
	ck_assert_ptr_nonnull(old);
	struct db_tx *tx = db_begin(old);
	db_run(db_query(tx, "INSERT INTO dataset (id, name, status, created_at, updated_at)"
			    " VALUES ('ds_1', 'mnist', 'receiving', 1.0, 2.0)"));
	db_run(db_query(tx, "INSERT INTO dataset_file VALUES ('ds_1', 'a.gz', 'upl_1', 7)"));
	ck_assert_int_eq(db_end(tx, true), DB_OK);
	db_close(old);
	struct store *now = store_open(scratch_path("old.db"), "boot_2");
	ck_assert_ptr_nonnull(now);
	struct dataset_row row;
	struct dataset_file_row *files;
	int n;
	ck_assert_int_eq(store_dataset_get(now, "local", "mnist", &row), STORE_OK);
	ck_assert_str_eq(row.id, "ds_1");
	ck_assert_str_eq(row.owner, "local");
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_files(now, "ds_1", &files, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	ck_assert_str_eq(files[0].stored_as, "upl_1");
	free(files);
	/* The rebuilt table is still what the files' rows refer to. */
	bool last;
	ck_assert_int_eq(store_dataset_delete(now, "ds_1", &last), STORE_OK);
	ck_assert(!store_dataset_has_upload(now, "upl_1"));
	store_close(now);
}
END_TEST

TEST_SUITE(owner, 30)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, two_users_may_give_the_same_name);
	tcase_add_test(tc, lists_and_events_are_one_owners_or_everyones);
	tcase_add_test(tc, a_key_repeats_a_request_of_its_own_user_alone);
	tcase_add_test(tc, a_user_has_a_share_of_the_queue);
	tcase_add_test(tc, what_was_there_before_belongs_to_local);
}
