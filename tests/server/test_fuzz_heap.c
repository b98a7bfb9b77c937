/* test_fuzz_heap.c - what targets' JSON lives in notices what it is for. */
#include <signal.h>
#include <string.h>

#include <jansson.h>

#include "fuzz/heap.h"
#include "runner.h"

START_TEST(json_that_is_given_back_is_no_leak_and_its_place_serves_again)
{
	for (int i = 0; i < 3; i++) {
		heap_begin();
		json_t *json = json_loads("{\"a\":[1,2.5,\"text\",{\"b\":null}]}", 0, NULL);
		ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "a"), 2)), "text");
		json_t *large = json_stringn(memset((char[100000]){0}, 'x', 100000), 100000);
		ck_assert_uint_eq(json_string_length(large), 100000);
		json_decref(large);
		json_decref(json);
		heap_end();
	}
}
END_TEST

START_TEST(more_than_there_is_room_for_comes_from_elsewhere)
{
	heap_begin();
	json_t *list = json_array();
	for (int i = 0; i < 100; i++)
		ck_assert_int_eq(
			json_array_append_new(list, json_stringn(memset((char[100000]){0}, 'x', 100000), 100000)), 0);
	json_decref(list);
	heap_end();
}
END_TEST

/* Whatever is left at its end: every size of pieces ends elsewhere. */
START_TEST(the_last_piece_that_fits_ends_within_the_heap)
{
	enum { PIECES = 100000 };
	static void *pieces[PIECES];
	json_malloc_t take;
	json_free_t leave;
	for (size_t size = 1; size < 130; size += 16) {
		heap_begin();
		json_get_alloc_funcs(&take, &leave);
		for (int i = 0; i < PIECES; i++)
			ck_assert_ptr_nonnull(pieces[i] = memset(take(size), 'x', size));
		for (int i = 0; i < PIECES; i++)
			leave(pieces[i]);
		heap_end();
	}
}
END_TEST

START_TEST(json_that_is_left_aborts)
{
	heap_begin();
	json_t *json = json_object();
	ck_assert_ptr_nonnull(json);
	heap_end();
}
END_TEST

START_TEST(a_piece_that_is_given_back_twice_aborts)
{
	json_malloc_t take;
	json_free_t leave;
	heap_begin();
	json_get_alloc_funcs(&take, &leave);
	void *piece = take(40);
	leave(piece);
	leave(piece);
}
END_TEST

TEST_SUITE(fuzz_heap, 10)
{
	tcase_add_test(tc, json_that_is_given_back_is_no_leak_and_its_place_serves_again);
	tcase_add_test(tc, more_than_there_is_room_for_comes_from_elsewhere);
	tcase_add_test(tc, the_last_piece_that_fits_ends_within_the_heap);
	tcase_add_test_raise_signal(tc, json_that_is_left_aborts, SIGABRT);
	tcase_add_test_raise_signal(tc, a_piece_that_is_given_back_twice_aborts, SIGABRT);
}
