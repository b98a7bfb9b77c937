/*
 * replay.c - the bodies in tests/fuzz/corpus/model, seeds and what fuzzing found to reach new code, once each. Part of
 * the server's unit tests, so they also run under the sanitizers.
 */
#include "fuzz/fuzz.h"
#include "runner.h"

#include <dirent.h>
#include <stdio.h>

START_TEST(every_body_of_the_corpus_ends_as_a_net_or_as_problems)
{
	static const char path[] = "tests/fuzz/corpus/model";
	int bodies = 0;
	DIR *dir = opendir(path);
	ck_assert_msg(dir != NULL, "run from the top of the tree");
	for (struct dirent *entry; (entry = readdir(dir));) {
		static uint8_t body[1 << 16];
		char name[512];
		if (entry->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
		FILE *f = fopen(name, "rb");
		ck_assert_ptr_nonnull(f);
		size_t size = fread(body, 1, sizeof(body), f);
		fclose(f);
		ck_assert_int_eq(LLVMFuzzerTestOneInput(body, size), 0);
		bodies++;
	}
	closedir(dir);
	ck_assert_int_gt(bodies, 20);
}
END_TEST

TEST_SUITE(fuzz_corpus, 60)
{
	tcase_add_test(tc, every_body_of_the_corpus_ends_as_a_net_or_as_problems);
}
