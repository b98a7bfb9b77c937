/* test_statedir.c - the state directory: made, closed to others, and one daemon's alone. */
#include <fcntl.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/statedir.h"
#include "runner.h"
#include "scratch.h"

static int mode_of(const char *name)
{
	struct stat st;
	return stat(scratch_path(name), &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

START_TEST(it_is_made_with_its_rooms_for_its_owner_alone)
{
	int fd = statedir_open(scratch_path("state"));
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	ck_assert_int_eq(mode_of("state"), 0700);
	ck_assert_int_eq(mode_of("state/uploads"), 0700);
	ck_assert_int_eq(mode_of("state/datasets"), 0700);
	ck_assert_int_eq(mode_of("state/checkpoints"), 0700);
	close(fd);
}
END_TEST

START_TEST(a_second_daemon_is_refused_until_the_first_has_gone)
{
	int first = statedir_open(scratch_path("state"));
	capture_begin(2);
	int second = statedir_open(scratch_path("state"));
	const char *text = capture_end();
	ck_assert_int_ge(first, 0);
	ck_assert_int_eq(second, -1);
	ck_assert_ptr_nonnull(strstr(text, "another backpropd is using"));
	close(first);
	second = statedir_open(scratch_path("state"));
	ck_assert_int_ge(second, 0);
	close(second);
}
END_TEST

START_TEST(an_open_directory_is_closed_to_others)
{
	ck_assert_int_eq(mkdir(scratch_path("state"), 0755), 0);
	capture_begin(2);
	int fd = statedir_open(scratch_path("state"));
	const char *text = capture_end();
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(mode_of("state"), 0700);
	ck_assert_ptr_nonnull(strstr(text, "open to others"));
	close(fd);
}
END_TEST

START_TEST(what_is_not_a_directory_is_refused)
{
	scratch_write("state", "a file");
	capture_begin(2);
	int file = statedir_open(scratch_path("state"));
	int deep = statedir_open(scratch_path("missing/state"));
	const char *text = capture_end();
	ck_assert_int_eq(file, -1);
	ck_assert_int_eq(deep, -1);
	ck_assert_ptr_nonnull(strstr(text, "Not a directory"));
	ck_assert_ptr_nonnull(strstr(text, "No such file"));
}
END_TEST

START_TEST(network_file_systems_are_known)
{
	ck_assert(statedir_is_remote(NFS_SUPER_MAGIC));
	ck_assert(statedir_is_remote(SMB2_SUPER_MAGIC));
	ck_assert(statedir_is_remote((long)(int)CIFS_SUPER_MAGIC)); /* the word is signed on some machines */
	ck_assert(!statedir_is_remote(EXT4_SUPER_MAGIC));
	ck_assert(!statedir_is_remote(TMPFS_MAGIC));
}
END_TEST

TEST_SUITE(statedir, 10)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, it_is_made_with_its_rooms_for_its_owner_alone);
	tcase_add_test(tc, a_second_daemon_is_refused_until_the_first_has_gone);
	tcase_add_test(tc, an_open_directory_is_closed_to_others);
	tcase_add_test(tc, what_is_not_a_directory_is_refused);
	tcase_add_test(tc, network_file_systems_are_known);
}
