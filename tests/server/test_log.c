/* test_log.c - lines of the log: levels, form, and that nobody forges one. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "runner.h"
#include "scratch.h"

START_TEST(lines_below_the_level_are_not_written)
{
	capture_begin(2);
	log_level_set(LOG_WARNING);
	log_line(LOG_INFO, "quiet");
	log_line(LOG_WARNING, "loud");
	log_level_set(LOG_DEBUG);
	log_line(LOG_DEBUG, "detail");
	const char *text = capture_end();
	ck_assert_ptr_null(strstr(text, "quiet"));
	ck_assert_ptr_nonnull(strstr(text, "loud\n"));
	ck_assert_ptr_nonnull(strstr(text, "detail\n"));
}
END_TEST

START_TEST(the_journal_gets_a_priority_and_a_terminal_a_time)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture_begin(2);
	log_line(LOG_ERROR, "job %d", 7);
	ck_assert_str_eq(capture_end(), "<3>job 7\n");
	unsetenv("JOURNAL_STREAM");
	capture_begin(2);
	log_line(LOG_ERROR, "job %d", 7);
	const char *text = capture_end();
	ck_assert_ptr_nonnull(strstr(text, "Z error   job 7\n"));
	ck_assert_int_eq(text[4], '-');
}
END_TEST

START_TEST(control_characters_cannot_forge_a_line)
{
	setenv("JOURNAL_STREAM", "8:1", 1);
	capture_begin(2);
	log_line(LOG_NOTICE, "name %s", "a\n<0>panic\r\x1b[31m\x7f");
	ck_assert_str_eq(capture_end(), "<5>name a?<0>panic??[31m?\n");
}
END_TEST

START_TEST(a_line_that_is_too_long_is_cut_and_ends)
{
	static char lengthy[10000];
	memset(lengthy, 'x', sizeof lengthy - 1);
	capture_begin(2);
	log_line(LOG_ERROR, "%s", lengthy);
	const char *text = capture_end();
	ck_assert_uint_le(strlen(text), 2048);
	ck_assert_uint_ge(strlen(text), 2000);
	ck_assert_int_eq(text[strlen(text) - 1], '\n');
}
END_TEST

START_TEST(levels_are_found_by_name)
{
	ck_assert_int_eq(log_level_find("error"), LOG_ERROR);
	ck_assert_int_eq(log_level_find("debug"), LOG_DEBUG);
	ck_assert_int_eq(log_level_find("verbose"), -1);
	ck_assert_int_eq(log_level_find(""), -1);
}
END_TEST

TEST_SUITE(log, 10)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, lines_below_the_level_are_not_written);
	tcase_add_test(tc, the_journal_gets_a_priority_and_a_terminal_a_time);
	tcase_add_test(tc, control_characters_cannot_forge_a_line);
	tcase_add_test(tc, a_line_that_is_too_long_is_cut_and_ends);
	tcase_add_test(tc, levels_are_found_by_name);
}
