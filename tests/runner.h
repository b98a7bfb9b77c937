/*
 * runner.h - how suites find the runner: each test_*.c defines its cases with TEST_SUITE, and the linker gathers them.
 *
 * Check forks for every test, so nothing in a runner may open an OpenMP region before the fork.
 */
#ifndef TESTS_RUNNER_H
#define TESTS_RUNNER_H

#include <check.h>

struct test_suite {
	const char *name;
	void (*fill)(TCase *tc);
	double timeout; /* seconds a test may take before it is killed */
};

/* TEST_SUITE(rng, 10) { tcase_add_test(tc, philox_matches_the_paper); } */
#define TEST_SUITE(id, seconds)                                                                                        \
	static void fill_##id(TCase *tc);                                                                              \
	static const struct test_suite suite_##id = {#id, fill_##id, seconds};                                         \
	static const struct test_suite *const suite_ptr_##id __attribute__((used, section("test_suites"))) =           \
		&suite_##id;                                                                                           \
	static void fill_##id(TCase *tc)

/* How much of a test is done: what the environment's variable of that name says; else small, or large under
 * `make torture` (which sets TORTURE). */
int torture_size(const char *name, int small, int large);

#endif
