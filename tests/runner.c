/* runner.c - runs every suite linked into the program, or those named as arguments; ends with Check's closing lines. */
#include "runner.h"

#include <stdio.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

extern const struct test_suite *const __start_test_suites[];
extern const struct test_suite *const __stop_test_suites[];

static bool wanted(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], name) == 0)
			return true;
	return argc == 1;
}

int torture_size(const char *name, int small, int large)
{
	const char *text = getenv(name);
	if (text && atoi(text) > 0)
		return atoi(text);
	return getenv("TORTURE") ? large : small;
}

int main(int argc, char **argv)
{
	SRunner *runner = NULL;
	for (const struct test_suite *const *p = __start_test_suites; p < __stop_test_suites; p++) {
		if (!wanted((*p)->name, argc, argv))
			continue;
		Suite *suite = suite_create((*p)->name);
		TCase *tc = tcase_create((*p)->name);
		tcase_set_timeout(tc, (*p)->timeout);
		(*p)->fill(tc);
		suite_add_tcase(suite, tc);
		if (runner)
			srunner_add_suite(runner, suite);
		else
			runner = srunner_create(suite);
	}
	if (!runner) {
		fprintf(stderr, "no such suite\n");
		return EXIT_FAILURE;
	}
	srunner_run_all(runner, CK_NORMAL);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
