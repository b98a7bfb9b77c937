/* test_id.c - ids: form, order, and threads. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/id.h"
#include "runner.h"

enum { THREADS = 4, EACH = 20000, ID_SIZE = 40 };

START_TEST(an_id_is_its_prefix_and_26_characters_of_crockford)
{
	char id[ID_SIZE];
	id_new("ckpt_", id, sizeof id);
	ck_assert_uint_eq(strlen(id), 31);
	ck_assert(strncmp(id, "ckpt_", 5) == 0);
	ck_assert_uint_eq(strspn(id + 5, "0123456789abcdefghjkmnpqrstvwxyz"), 26);
	ck_assert(id[5] <= '7'); /* 128 bits in 130 */
}
END_TEST

START_TEST(ids_sort_in_the_order_of_making)
{
	char before[ID_SIZE] = "", id[ID_SIZE];
	for (int i = 0; i < EACH; i++) {
		id_new("job_", id, sizeof id);
		ck_assert(strcmp(before, id) < 0);
		memcpy(before, id, sizeof id);
	}
}
END_TEST

static void *make_many(void *list)
{
	char(*ids)[ID_SIZE] = list;
	for (int i = 0; i < EACH; i++)
		id_new("", ids[i], ID_SIZE);
	return NULL;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(a, b);
}

START_TEST(threads_never_get_the_same_id)
{
	char(*ids)[ID_SIZE] = calloc(THREADS * EACH, ID_SIZE);
	ck_assert_ptr_nonnull(ids);
	pthread_t threads[THREADS];
	for (int i = 0; i < THREADS; i++)
		pthread_create(&threads[i], NULL, make_many, ids + (size_t)i * EACH);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	qsort(ids, THREADS * EACH, ID_SIZE, by_text);
	for (int i = 1; i < THREADS * EACH; i++)
		ck_assert_str_ne(ids[i - 1], ids[i]);
	free(ids);
}
END_TEST

START_TEST(ids_go_on_from_one_of_a_time_to_come)
{
	char before[ID_SIZE], id[ID_SIZE];
	id_new("job_", before, sizeof before);
	id_follow("job_0");
	id_follow("job_7zzzzzzzzzzzzzzzzzzzzzzzzi"); /* i is no digit */
	id_follow("job_8zzzzzzzzzzzzzzzzzzzzzzzzz"); /* more than 128 bits */
	id_new("job_", id, sizeof id);
	ck_assert(strcmp(before, id) < 0 && id[4] < '2');
	const char *later = "ckpt_2abcdefghjkmnpqrstvwxyz012";
	id_follow(later);
	for (int i = 0; i < 3; i++) {
		memcpy(before, i ? id : "job_2abcdefghjkmnpqrstvwxyz012", 31);
		id_new("job_", id, sizeof id);
		ck_assert(strcmp(before, id) < 0 && strncmp(id, before, 28) == 0);
	}
	id_follow("job_1abcdefghjkmnpqrstvwxyz012");
	ck_assert(strcmp(before, id) < 0);
}
END_TEST

TEST_SUITE(id, 20)
{
	tcase_add_test(tc, ids_go_on_from_one_of_a_time_to_come);
	tcase_add_test(tc, an_id_is_its_prefix_and_26_characters_of_crockford);
	tcase_add_test(tc, ids_sort_in_the_order_of_making);
	tcase_add_test(tc, threads_never_get_the_same_id);
}
