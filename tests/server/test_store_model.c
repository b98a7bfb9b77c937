/* test_store_model.c - models as rows. */
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

START_TEST(a_model_is_read_back_as_it_was_given)
{
	struct model_row row, got;
	ck_assert_int_eq(store_model_add(s,
				 &(struct model_new){"local", "résumé \"net\"", "{\"layers\":[]}", "{\"flops\":5}",
					 "{\"layers\":[{}]}"},
				 &row),
		STORE_OK);
	ck_assert(strncmp(row.id, "mdl_", 4) == 0);
	ck_assert_int_eq(store_model_get(s, row.id, &got), STORE_OK);
	ck_assert_str_eq(got.name, "résumé \"net\"");
	ck_assert_str_eq(got.definition, "{\"layers\":[]}");
	ck_assert_str_eq(got.source, "{\"layers\":[{}]}");
	ck_assert_str_eq(got.summary, "{\"flops\":5}");
	ck_assert(got.created_at > 1.6e9);
	model_row_done(&row);
	model_row_done(&got);
}
END_TEST

START_TEST(names_may_repeat_and_lists_come_newest_first)
{
	struct model_row row;
	for (int i = 0; i < 4; i++) {
		char definition[16];
		snprintf(definition, sizeof definition, "%d", i);
		ck_assert_int_eq(store_model_add(s, &(struct model_new){"local", "same", definition, "{}", NULL}, &row),
			STORE_OK);
		model_row_done(&row);
	}
	struct page page = {.limit = 3};
	struct model_row *rows;
	int n;
	ck_assert_int_eq(store_model_list(s, &page, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 3);
	ck_assert(page.has_more);
	ck_assert_str_eq(rows[0].definition, "3");
	ck_assert_str_eq(rows[2].definition, "1");
	page.after = rows[2].id;
	struct model_row *rest;
	int nrest;
	ck_assert_int_eq(store_model_list(s, &page, &rest, &nrest), STORE_OK);
	ck_assert_int_eq(nrest, 1);
	ck_assert(!page.has_more);
	ck_assert_str_eq(rest[0].definition, "0");
	model_row_done(&rest[0]);
	free(rest);
	for (int i = 0; i < n; i++)
		model_row_done(&rows[i]);
	free(rows);
}
END_TEST

START_TEST(a_deleted_model_is_gone)
{
	struct model_row row, got;
	ck_assert_int_eq(store_model_add(s, &(struct model_new){"local", "m", "{}", "{}", "{}"}, &row), STORE_OK);
	ck_assert_int_eq(store_model_delete(s, row.id), STORE_OK);
	ck_assert_int_eq(store_model_delete(s, row.id), STORE_NOT_FOUND);
	ck_assert_int_eq(store_model_get(s, row.id, &got), STORE_NOT_FOUND);
	model_row_done(&row);
}
END_TEST

START_TEST(a_full_disk_is_told_apart_and_reading_goes_on)
{
	struct model_row row;
	static char big[300001];
	memset(big, ' ', sizeof big - 1);
	ck_assert_int_eq(store_model_add(s, &(struct model_new){"local", "m", "{}", "{}", "{}"}, &row), STORE_OK);
	seed_execute(s, "PRAGMA max_page_count = 60");
	capture_begin(2);
	struct model_row none;
	enum store_status status = store_model_add(s, &(struct model_new){"local", "big", big, "{}", "{}"}, &none);
	capture_end();
	ck_assert_int_eq(status, STORE_FULL);
	ck_assert_ptr_null(none.definition);
	ck_assert(!store_failed(s));
	model_row_done(&row);
	struct page page = {.limit = 10};
	struct model_row *rows;
	int n;
	ck_assert_int_eq(store_model_list(s, &page, &rows, &n), STORE_OK);
	ck_assert_int_eq(n, 1);
	model_row_done(&rows[0]);
	free(rows);
}
END_TEST

TEST_SUITE(store_model, 10)
{
	tcase_add_checked_fixture(tc, open_it, close_it);
	tcase_add_test(tc, a_model_is_read_back_as_it_was_given);
	tcase_add_test(tc, names_may_repeat_and_lists_come_newest_first);
	tcase_add_test(tc, a_deleted_model_is_gone);
	tcase_add_test(tc, a_full_disk_is_told_apart_and_reading_goes_on);
}
