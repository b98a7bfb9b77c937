/*
 * replay.c - every target of targets.def on every input of its corpus in tests/fuzz/corpus, once: seeds, what fuzzing
 * found to reach new code, and what once broke something. Part of the server's unit tests, so they also run under the
 * sanitizers.
 */
#include "fuzz/fuzz.h"
#include "runner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CORPUS "tests/fuzz/corpus"

static const struct {
	const char *name;
	void (*run)(const uint8_t *data, size_t size);
	size_t max_bytes;
} targets[] = {
#define FUZZ_TARGET(name, mutator, max_bytes, max_mib) {#name, fuzz_##name, max_bytes},
#include "fuzz/targets.def"
};
enum { TARGETS = sizeof(targets) / sizeof(targets[0]), INPUTS_MIN = 8 };

/* In memory of its own size, so that the sanitizers see a read beyond its end. */
static void replay(const char *path, int target)
{
	FILE *f = fopen(path, "rb");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fseek(f, 0, SEEK_END), 0);
	size_t size = (size_t)ftell(f);
	rewind(f);
	ck_assert_msg(size <= targets[target].max_bytes, "%s is longer than its target's inputs", path);
	uint8_t *data = malloc(size ? size : 1);
	ck_assert_uint_eq(fread(data, 1, size, f), size);
	fclose(f);
	targets[target].run(data, size);
	free(data);
}

START_TEST(every_input_of_a_targets_corpus_is_answered)
{
	char folder[300], path[600];
	int inputs = 0;
	snprintf(folder, sizeof(folder), CORPUS "/%s", targets[_i].name);
	DIR *dir = opendir(folder);
	ck_assert_msg(dir != NULL, "%s has no corpus (or run from the top of the tree)", targets[_i].name);
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		replay(path, _i);
		inputs++;
	}
	closedir(dir);
	ck_assert_int_ge(inputs, INPUTS_MIN);
}
END_TEST

START_TEST(every_corpus_has_a_target)
{
	DIR *dir = opendir(CORPUS);
	ck_assert_ptr_nonnull(dir);
	for (struct dirent *entry; (entry = readdir(dir));) {
		bool known = entry->d_name[0] == '.';
		for (int i = 0; i < TARGETS; i++)
			known = known || strcmp(entry->d_name, targets[i].name) == 0;
		ck_assert_msg(known, CORPUS "/%s belongs to no line of targets.def", entry->d_name);
	}
	closedir(dir);
}
END_TEST

TEST_SUITE(fuzz_corpus, 60)
{
	tcase_add_loop_test(tc, every_input_of_a_targets_corpus_is_answered, 0, TARGETS);
	tcase_add_test(tc, every_corpus_has_a_target);
}
