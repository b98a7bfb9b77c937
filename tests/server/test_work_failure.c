/* test_work_failure.c - which failures are tried again: from errors of files, of the core and of the store. */
#include "runner.h"

#include <errno.h>
#include <string.h>

#include "work/run.h"

START_TEST(errors_of_files_last_pass_or_wait_for_room)
{
	static const struct {
		int err;
		const char *reason;
		int kind;
	} cases[] = {{ENOSPC, "disk_full", DISK_FULL}, {EDQUOT, "disk_full", DISK_FULL}, {EIO, "why", MAY_PASS},
		{EMFILE, "why", MAY_PASS}, {ENOMEM, "why", MAY_PASS}, {EACCES, "why", LASTS}, {ENOTDIR, "why", LASTS}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct failure f = {0};
		failure_from_errno(&f, "why", cases[i].err, "It could not be done.");
		ck_assert_str_eq(f.reason, cases[i].reason);
		ck_assert_int_eq((int)f.kind, cases[i].kind);
		ck_assert_uint_gt(strlen(f.detail), 5);
	}
}
END_TEST

START_TEST(errors_of_the_core_and_the_store)
{
	struct failure f = {0};
	failure_from_core(&f, "why", &(struct bp_error){.status = BP_ENOMEM, .message = "m"});
	ck_assert_str_eq(f.reason, "out_of_memory");
	ck_assert_int_eq((int)f.kind, MAY_PASS);
	failure_from_core(&f, "why", &(struct bp_error){.status = BP_EINVAL, .message = "m"});
	ck_assert_str_eq(f.reason, "why");
	ck_assert_int_eq((int)f.kind, LASTS); /* not that of the failure before */
	failure_from_store(&f, STORE_FULL);
	ck_assert_str_eq(f.reason, "disk_full");
	ck_assert_int_eq((int)f.kind, DISK_FULL);
	failure_from_store(&f, STORE_ERROR);
	ck_assert_int_eq((int)f.kind, MAY_PASS);
}
END_TEST

TEST_SUITE(work_failure, 10)
{
	tcase_add_test(tc, errors_of_files_last_pass_or_wait_for_room);
	tcase_add_test(tc, errors_of_the_core_and_the_store);
}
