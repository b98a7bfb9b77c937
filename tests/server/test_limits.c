/* test_limits.c - processors and memory within cgroup v2 limits, read from made-up groups. */
#include "runner.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/cpus.h"
#include "base/memory.h"

static char root[] = "/tmp/backpropd-cgroup-XXXXXX";

static void write_file(const char *name, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "%s/%s", root, name);
	FILE *f = fopen(path, "w");
	ck_assert_ptr_nonnull(f);
	fputs(text, f);
	ck_assert_int_eq(fclose(f), 0);
}

static void setup(void)
{
	char path[256];
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/a", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/a/b", root);
	ck_assert_int_eq(mkdir(path, 0700), 0);
}

static void teardown(void)
{
	static const char *const names[] = {"a/b/cpu.max", "a/cpu.max", "a/b/memory.max", "a/memory.max",
		"a/b/memory.high", "cpu.max", "a/b", "a", ""};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[256];
		snprintf(path, sizeof(path), "%s/%s", root, names[i]);
		remove(path);
	}
	memcpy(root + sizeof(root) - 7, "XXXXXX", 6);
}

START_TEST(no_quota_leaves_the_processors_alone)
{
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 8);
	write_file("a/b/cpu.max", "max 100000\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 8);
	write_file("a/b/cpu.max", "nonsense\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 8);
	ck_assert_int_eq(cpus_within_quota("/nonexistent", "/a/b", 8), 8);
}
END_TEST

START_TEST(a_quota_cuts_rounding_down_but_leaves_one)
{
	write_file("a/b/cpu.max", "250000 100000\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 2);
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 1), 1);
	write_file("a/b/cpu.max", "50000 100000\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 1);
	write_file("a/b/cpu.max", "9223372036854775807 1\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 8);
}
END_TEST

START_TEST(the_tightest_group_on_the_way_up_counts)
{
	write_file("a/b/cpu.max", "600000 100000\n");
	write_file("a/cpu.max", "300000 100000\n");
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 3);
	ck_assert_int_eq(cpus_within_quota(root, "/a", 8), 3);
	write_file("cpu.max", "200000 100000\n"); /* a container's own root has one */
	ck_assert_int_eq(cpus_within_quota(root, "/a/b", 8), 2);
	ck_assert_int_eq(cpus_within_quota(root, "/", 8), 2);
}
END_TEST

START_TEST(memory_limits_cut_and_max_does_not)
{
	const int64_t gib = INT64_C(1) << 30;
	ck_assert_int_eq(memory_within_limit(root, "/a/b", 16 * gib), 16 * gib);
	write_file("a/b/memory.max", "max\n");
	ck_assert_int_eq(memory_within_limit(root, "/a/b", 16 * gib), 16 * gib);
	write_file("a/memory.max", "4294967296\n");
	ck_assert_int_eq(memory_within_limit(root, "/a/b", 16 * gib), 4 * gib);
	write_file("a/b/memory.high", "1073741824\n");
	ck_assert_int_eq(memory_within_limit(root, "/a/b", 16 * gib), gib);
}
END_TEST

START_TEST(this_machine_has_a_processor_and_some_memory)
{
	char group[4096];
	cgroup_self(group, sizeof(group));
	ck_assert_int_eq(group[0], '/');
	ck_assert_int_ge(cpus_available(), 1);
	ck_assert_int_le(cpus_available(), (int)sysconf(_SC_NPROCESSORS_CONF));
	ck_assert_int_gt(memory_available(), 1 << 20);
}
END_TEST

TEST_SUITE(limits, 10)
{
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, no_quota_leaves_the_processors_alone);
	tcase_add_test(tc, a_quota_cuts_rounding_down_but_leaves_one);
	tcase_add_test(tc, the_tightest_group_on_the_way_up_counts);
	tcase_add_test(tc, memory_limits_cut_and_max_does_not);
	tcase_add_test(tc, this_machine_has_a_processor_and_some_memory);
}
