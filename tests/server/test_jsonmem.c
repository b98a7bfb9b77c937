/* test_jsonmem.c - JSON that there is no memory to write: none is better than a part. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/jsonmem.h"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

enum { NAME = 64 << 20 };

/* So that a name of NAME bytes finds no room, and anything small does. The limit of before. */
static struct rlimit little_memory(void)
{
	struct rlimit before, little;
	long pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%ld", &pages), 1);
	fclose(f);
	ck_assert_int_eq(getrlimit(RLIMIT_AS, &before), 0);
	little = before;
	little.rlim_cur = (rlim_t)pages * (rlim_t)sysconf(_SC_PAGESIZE) + NAME / 2;
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &little), 0);
	return before;
}

START_TEST(a_name_that_finds_no_memory_is_not_left_out)
{
	char *name = malloc(NAME + 1);
	ck_assert_ptr_nonnull(name);
	memset(name, 'n', NAME);
	name[NAME] = '\0';
	jsonmem_watch();
	jsonmem_begin();
	json_t *json = json_pack("{s:i, s:i}", "a", 1, name, 2);
	free(name);
	ck_assert_ptr_nonnull(json);
	struct rlimit before = little_memory();
	char *text = jsonmem_dumps(json, JSON_COMPACT);
	ck_assert_int_eq(setrlimit(RLIMIT_AS, &before), 0);
	ck_assert_msg(!text, "%.60s", text);
	ck_assert(jsonmem_ran_out());
	text = jsonmem_dumps(json, JSON_COMPACT);
	ck_assert_ptr_nonnull(text);
	ck_assert_uint_eq(strlen(text), NAME + strlen("{\"a\":1,\"\":2}"));
	ck_assert(jsonmem_ran_out()); /* until it is begun anew */
	free(text);
	json_decref(json);
	ck_assert_ptr_null(jsonmem_dumps(NULL, JSON_COMPACT));
}
END_TEST

#endif

TEST_SUITE(jsonmem, 30)
{
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
	tcase_add_test(tc, a_name_that_finds_no_memory_is_not_left_out);
#else
	(void)tc; /* they keep much memory of their own */
#endif
}
