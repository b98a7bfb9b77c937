/* test_notify.c - systemd's protocol, with a socket of ours in systemd's place. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/notify.h"
#include "runner.h"
#include "scratch.h"

static int listen_datagrams(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	ck_assert_int_ge(fd, 0);
	size_t length = strlen(path);
	ck_assert_uint_lt(length, sizeof addr.sun_path);
	memcpy(addr.sun_path, path, length);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, size), 0);
	return fd;
}

static void expect_message(int fd, const char *text)
{
	char buf[256];
	ssize_t n = recv(fd, buf, sizeof buf - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	buf[n] = '\0';
	ck_assert_str_eq(buf, text);
}

START_TEST(a_state_reaches_the_socket)
{
	int fd = listen_datagrams(scratch_path("notify"));
	setenv("NOTIFY_SOCKET", scratch_path("notify"), 1);
	notify_send("READY=1\nSTATUS=listening");
	expect_message(fd, "READY=1\nSTATUS=listening");
	close(fd);
}
END_TEST

START_TEST(a_state_reaches_an_abstract_socket)
{
	char name[64];
	snprintf(name, sizeof name, "@backpropd-test-%d", (int)getpid());
	int fd = listen_datagrams(name);
	setenv("NOTIFY_SOCKET", name, 1);
	notify_send("STOPPING=1");
	expect_message(fd, "STOPPING=1");
	close(fd);
}
END_TEST

START_TEST(without_a_socket_or_with_a_strange_one_nothing_happens)
{
	unsetenv("NOTIFY_SOCKET");
	notify_send("READY=1");
	setenv("NOTIFY_SOCKET", "relative", 1);
	notify_send("READY=1");
	char lengthy[300] = "/";
	memset(lengthy + 1, 'x', sizeof lengthy - 2);
	setenv("NOTIFY_SOCKET", lengthy, 1);
	notify_send("READY=1");
	capture_begin(2);
	setenv("NOTIFY_SOCKET", scratch_path("nobody"), 1);
	notify_send("READY=1");
	ck_assert_ptr_nonnull(strstr(capture_end(), "cannot tell systemd"));
}
END_TEST

START_TEST(a_reader_that_does_not_read_is_not_waited_for_for_ever)
{
	int fd = listen_datagrams(scratch_path("notify")), sender = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", scratch_path("notify"));
	while (sendto(sender, "x", 1, MSG_DONTWAIT, (struct sockaddr *)&addr, sizeof addr) == 1)
		;
	setenv("NOTIFY_SOCKET", scratch_path("notify"), 1);
	notify_send("STOPPING=1"); /* the suite's time limit is what this could fail by */
	expect_message(fd, "x");
	close(sender);
	close(fd);
}
END_TEST

START_TEST(the_watchdog_wants_a_sign_in_half_its_time)
{
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
	ck_assert_double_eq(notify_watchdog_seconds(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	ck_assert_double_eq(notify_watchdog_seconds(), 15);
	char pid[32];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	setenv("WATCHDOG_PID", pid, 1);
	ck_assert_double_eq(notify_watchdog_seconds(), 15);
	setenv("WATCHDOG_PID", "1", 1);
	ck_assert_double_eq(notify_watchdog_seconds(), 0);
	unsetenv("WATCHDOG_PID");
	setenv("WATCHDOG_USEC", "soon", 1);
	ck_assert_double_eq(notify_watchdog_seconds(), 0);
}
END_TEST

/* The descriptor is always 3, which may be the test framework's own: it gets it back before anything is asserted. */
START_TEST(a_passed_socket_is_taken_only_when_it_is_ours_and_listens)
{
	int answers[6], flags = 0;
	char pid[32];
	snprintf(pid, sizeof pid, "%d", (int)getpid());
	int saved = fcntl(3, F_DUPFD, 10);
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	dup2(fd, 3);
	unsetenv("LISTEN_PID");
	setenv("LISTEN_FDS", "1", 1);
	answers[0] = notify_listen_fd();
	setenv("LISTEN_PID", "1", 1);
	answers[1] = notify_listen_fd();
	setenv("LISTEN_PID", pid, 1);
	answers[2] = notify_listen_fd(); /* it does not listen yet */
	int listened = listen(3, 1);
	answers[3] = notify_listen_fd();
	flags = fcntl(3, F_GETFD);
	setenv("LISTEN_FDS", "0", 1);
	answers[4] = notify_listen_fd();
	setenv("LISTEN_FDS", "-1", 1);
	answers[5] = notify_listen_fd();
	if (saved >= 0)
		dup2(saved, 3);
	ck_assert_int_eq(listened, 0);
	for (int i = 0; i < 6; i++)
		ck_assert_int_eq(answers[i], i == 3 ? 3 : -1);
	ck_assert_int_eq(flags & FD_CLOEXEC, FD_CLOEXEC);
}
END_TEST

TEST_SUITE(notify, 10)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, a_state_reaches_the_socket);
	tcase_add_test(tc, a_state_reaches_an_abstract_socket);
	tcase_add_test(tc, without_a_socket_or_with_a_strange_one_nothing_happens);
	tcase_add_test(tc, a_reader_that_does_not_read_is_not_waited_for_for_ever);
	tcase_add_test(tc, the_watchdog_wants_a_sign_in_half_its_time);
	tcase_add_test(tc, a_passed_socket_is_taken_only_when_it_is_ours_and_listens);
}
