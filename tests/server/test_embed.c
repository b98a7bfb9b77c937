/* test_embed.c - files linked into the program are the files of the tree. */
#include <string.h>

#include "base/embed.h"
#include "runner.h"

START_TEST(every_embedded_file_has_bytes_a_type_and_an_end)
{
	ck_assert_int_ge(embedded_count(), 1);
	for (int i = 0; i < embedded_count(); i++) {
		struct embedded e = embedded_at(i);
		ck_assert_uint_gt(e.size, 0);
		ck_assert_ptr_nonnull(strchr(e.content_type, '/'));
		ck_assert_int_eq(e.data[e.size], '\0');
		ck_assert_ptr_eq(embedded_find(e.path).data, e.data);
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(embedded_at(k).path, e.path);
	}
}
END_TEST

START_TEST(a_file_is_found_by_its_path_and_a_stranger_is_not)
{
	struct embedded e = embedded_find("migrations/0001_foundation.sql");
	ck_assert_ptr_nonnull(e.data);
	ck_assert(strncmp(e.data, "-- 0001_foundation", 18) == 0);
	ck_assert_uint_eq(strlen(e.data), e.size);
	ck_assert_ptr_null(embedded_find("migrations/0001").data);
	ck_assert_ptr_null(embedded_find("").data);
}
END_TEST

TEST_SUITE(embed, 10)
{
	tcase_add_test(tc, every_embedded_file_has_bytes_a_type_and_an_end);
	tcase_add_test(tc, a_file_is_found_by_its_path_and_a_stranger_is_not);
}
