/* test_store_dataset.c - data sets as rows: receiving, ready, in use, gone. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static struct dataset_row begun(const char *name)
{
	struct dataset_row row;
	ck_assert_int_eq(store_dataset_begin(s, "local", name, &row), STORE_OK);
	return row;
}

static enum store_status file_add(const char *id, const char *name, const char *stored_as, char *ret_replaced)
{
	struct dataset_file_row file = {.bytes = 7};
	snprintf(file.name, sizeof file.name, "%s", name);
	snprintf(file.stored_as, sizeof file.stored_as, "%s", stored_as);
	return store_dataset_file_add(s, id, &file, ret_replaced);
}

START_TEST(a_data_set_begins_receiving_and_goes_on_under_its_name)
{
	struct dataset_row a = begun("mnist"), b = begun("mnist");
	ck_assert_str_eq(a.id, b.id);
	ck_assert(strncmp(a.id, "ds_", 3) == 0);
	ck_assert_str_eq(a.name, "mnist");
	ck_assert_str_eq(a.status, "receiving");
	ck_assert_ptr_null(a.sha256);
	ck_assert_ptr_null(a.info);
	ck_assert(a.created_at > 1.6e9);
	dataset_row_done(&a);
	dataset_row_done(&b);
	ck_assert_int_eq(seed_count(s, "SELECT count(*) AS n FROM dataset"), 1);
}
END_TEST

START_TEST(files_are_added_replaced_and_listed_by_name)
{
	struct dataset_row row = begun("mnist");
	char replaced[ID_MAX] = "?";
	ck_assert_int_eq(file_add(row.id, "train-labels", "up_1", replaced), STORE_OK);
	ck_assert_str_eq(replaced, "");
	ck_assert_int_eq(file_add(row.id, "train-images", "up_2", replaced), STORE_OK);
	ck_assert_int_eq(file_add(row.id, "train-labels", "up_3", replaced), STORE_OK);
	ck_assert_str_eq(replaced, "up_1");
	struct dataset_file_row *files;
	int n;
	ck_assert_int_eq(store_dataset_files(s, row.id, &files, &n), STORE_OK);
	ck_assert_int_eq(n, 2);
	ck_assert_str_eq(files[0].name, "train-images");
	ck_assert_str_eq(files[1].stored_as, "up_3");
	ck_assert_int_eq(files[1].bytes, 7);
	free(files);
	ck_assert(store_dataset_has_upload(s, "up_3"));
	ck_assert(!store_dataset_has_upload(s, "up_1"));
	dataset_row_done(&row);
}
END_TEST

START_TEST(ready_keeps_the_facts_and_forgets_the_uploads)
{
	struct dataset_row row = begun("mnist");
	char replaced[ID_MAX];
	file_add(row.id, "images", "up_1", replaced);
	ck_assert_int_eq(store_dataset_ready(s, row.id, "ab12", "{\"shape\":[1,2,2]}", 99), STORE_OK);
	struct dataset_row got;
	ck_assert_int_eq(store_dataset_get(s, "local", "mnist", &got), STORE_OK);
	ck_assert_str_eq(got.status, "ready");
	ck_assert_str_eq(got.sha256, "ab12");
	ck_assert_str_eq(got.info, "{\"shape\":[1,2,2]}");
	ck_assert_int_eq(got.bytes, 99);
	ck_assert(got.updated_at >= got.created_at);
	ck_assert(!store_dataset_has_upload(s, "up_1"));
	ck_assert(store_dataset_has_sha256(s, "ab12"));
	ck_assert(!store_dataset_has_sha256(s, "ab13"));
	dataset_row_done(&got);
	dataset_row_done(&row);
}
END_TEST

START_TEST(a_ready_data_set_takes_nothing_more)
{
	const char *id = seed_dataset(s, "mnist");
	struct dataset_row row;
	char replaced[ID_MAX];
	ck_assert_int_eq(store_dataset_begin(s, "local", "mnist", &row), STORE_CONFLICT);
	ck_assert_int_eq(file_add(id, "more", "up_1", replaced), STORE_CONFLICT);
	ck_assert_int_eq(store_dataset_ready(s, id, "x", "{}", 1), STORE_CONFLICT);
	ck_assert_int_eq(file_add("ds_none", "more", "up_1", replaced), STORE_NOT_FOUND);
	ck_assert_int_eq(store_dataset_ready(s, "ds_none", "x", "{}", 1), STORE_NOT_FOUND);
}
END_TEST

START_TEST(an_id_is_found_before_a_name_that_looks_like_it)
{
	const char *id = seed_dataset(s, "first");
	seed_dataset(s, id); /* named like the first one's id */
	struct dataset_row row;
	ck_assert_int_eq(store_dataset_get(s, "local", id, &row), STORE_OK);
	ck_assert_str_eq(row.name, "first");
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_get(s, "local", "nothing", &row), STORE_NOT_FOUND);
}
END_TEST

START_TEST(lists_come_newest_first_in_pages)
{
	for (int i = 0; i < 5; i++) {
		char name[16];
		snprintf(name, sizeof name, "d%d", i);
		seed_dataset(s, name);
	}
	struct page page = {.limit = 2};
	char after[ID_MAX];
	int seen = 0;
	do {
		struct dataset_row *rows;
		int n;
		ck_assert_int_eq(store_dataset_list(s, &page, &rows, &n), STORE_OK);
		for (int i = 0; i < n; i++, seen++) {
			ck_assert_int_eq(rows[i].name[1] - '0', 4 - seen);
			snprintf(after, sizeof after, "%s", rows[i].id);
			dataset_row_done(&rows[i]);
		}
		ck_assert_int_eq(page.has_more, seen < 5);
		page.after = after;
		free(rows);
	} while (page.has_more);
	ck_assert_int_eq(seen, 5);
}
END_TEST

START_TEST(a_data_set_in_use_cannot_go_until_its_jobs_have_ended)
{
	const char *id = seed_dataset(s, "mnist"), *job = seed_job(s, id, 50);
	bool last = true;
	ck_assert_int_eq(store_dataset_delete(s, id, &last), STORE_CONFLICT);
	ck_assert(!last);
	ck_assert_int_eq(store_job_ask(s, job, JOB_VERB_CANCEL, -1), STORE_OK);
	ck_assert_int_eq(store_dataset_delete(s, id, &last), STORE_OK);
	ck_assert(last);
	ck_assert_int_eq(store_dataset_delete(s, id, &last), STORE_NOT_FOUND);
	struct job_row row = seed_get(s, job); /* the job stays */
	ck_assert_str_eq(row.dataset_name, "mnist");
	job_row_done(&row);
}
END_TEST

START_TEST(the_packed_file_goes_with_the_last_that_shares_it)
{
	const char *a = seed_dataset(s, "a"), *b = seed_dataset(s, "b"); /* equal contents */
	struct dataset_row c = begun("c");
	bool last = true;
	ck_assert_int_eq(store_dataset_delete(s, a, &last), STORE_OK);
	ck_assert(!last);
	ck_assert_int_eq(store_dataset_delete(s, b, &last), STORE_OK);
	ck_assert(last);
	ck_assert_int_eq(store_dataset_delete(s, c.id, &last), STORE_OK);
	dataset_row_done(&c);
}
END_TEST

START_TEST(deleting_takes_the_list_of_uploads_with_it)
{
	struct dataset_row row = begun("a");
	char replaced[ID_MAX];
	bool last;
	file_add(row.id, "x", "up_1", replaced);
	ck_assert_int_eq(store_dataset_delete(s, row.id, &last), STORE_OK);
	ck_assert(!store_dataset_has_upload(s, "up_1"));
	dataset_row_done(&row);
}
END_TEST

TEST_SUITE(store_dataset, 10)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, a_data_set_begins_receiving_and_goes_on_under_its_name);
	tcase_add_test(tc, files_are_added_replaced_and_listed_by_name);
	tcase_add_test(tc, ready_keeps_the_facts_and_forgets_the_uploads);
	tcase_add_test(tc, a_ready_data_set_takes_nothing_more);
	tcase_add_test(tc, an_id_is_found_before_a_name_that_looks_like_it);
	tcase_add_test(tc, lists_come_newest_first_in_pages);
	tcase_add_test(tc, a_data_set_in_use_cannot_go_until_its_jobs_have_ended);
	tcase_add_test(tc, the_packed_file_goes_with_the_last_that_shares_it);
	tcase_add_test(tc, deleting_takes_the_list_of_uploads_with_it);
}
