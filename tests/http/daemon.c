/* daemon.c - see daemon.h. */
#include "http/daemon.h"

#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 30000, STOP_MS = 30000, TOLD_MS = 10000, FLAGS_MAX = 16, PASSED_FD = 3 };

static void show_stderr(const struct daemon *d)
{
	char path[96], line[1024];
	snprintf(path, sizeof path, "%s/stderr", d->dir);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		fprintf(stderr, "daemon: %s", line);
	if (f)
		fclose(f);
}

static int open_notify(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	snprintf(addr.sun_path, sizeof addr.sun_path, "%s", path);
	unlink(path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(bind(fd, (const struct sockaddr *)&addr, sizeof addr), 0);
	return fd;
}

static void set_number(const char *name, long long value)
{
	char text[32];
	snprintf(text, sizeof text, "%lld", value);
	setenv(name, text, 1);
}

/* What systemd tells those it starts: sd_notify(3), sd_watchdog_enabled(3), sd_listen_fds(3). */
static bool set_environment(const struct daemon *d, const char *notify)
{
	setenv("NOTIFY_SOCKET", notify, 1);
	unsetenv("JOURNAL_STREAM");
	if (d->watchdog_usec) {
		set_number("WATCHDOG_USEC", d->watchdog_usec);
		set_number("WATCHDOG_PID", getpid());
	}
	if (d->listening) {
		set_number("LISTEN_FDS", 1);
		set_number("LISTEN_PID", getpid());
		return dup2(d->listening, PASSED_FD) >= 0;
	}
	return true;
}

/* Only returns when the program cannot be started. */
static void run_child(const struct daemon *d)
{
	char state[96], port_file[96], notify[96], log[96];
	const char *program = getenv("BACKPROPD");
	const char *argv[FLAGS_MAX + 8] = {
		program ? program : "build/backpropd", "--port=0", state, port_file, "--auth=none"};
	int n = 5;
	snprintf(state, sizeof state, "--state-dir=%s/state", d->dir);
	snprintf(port_file, sizeof port_file, "--port-file=%s/port", d->dir);
	snprintf(notify, sizeof notify, "%s/notify", d->dir);
	snprintf(log, sizeof log, "%s/stderr", d->dir);
	for (int i = 0; d->flags && d->flags[i] && i < FLAGS_MAX; i++)
		argv[n++] = d->flags[i];
	for (int i = 0; d->env && d->env[i]; i++)
		putenv((char *)d->env[i]);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, STDERR_FILENO) < 0 || dup2(fd, STDOUT_FILENO) < 0)
		return;
	if (!set_environment(d, notify))
		return;
	execv(argv[0], (char *const *)argv);
	perror(argv[0]);
}

/* Waits for READY=1, or for the end of the daemon: then false. */
static bool wait_ready(int notify, int pidfd)
{
	for (;;) {
		struct pollfd fds[2] = {{.fd = notify, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
		char message[512];
		if (poll(fds, 2, START_MS) <= 0)
			return false;
		ssize_t n = fds[0].revents ? recv(notify, message, sizeof message - 1, MSG_DONTWAIT) : -1;
		if (n > 0) {
			message[n] = '\0';
			if (strstr(message, "READY=1"))
				return true;
		} else if (fds[1].revents) {
			return false;
		}
	}
}

/* Waits for the end and reaps; the status as of waitpid. */
static int reap(struct daemon *d)
{
	int status = -1, pidfd = (int)syscall(SYS_pidfd_open, d->pid, 0);
	struct pollfd fd = {.fd = pidfd, .events = POLLIN};
	ck_assert_int_ge(pidfd, 0);
	bool ended = poll(&fd, 1, STOP_MS) == 1;
	close(pidfd);
	if (!ended) {
		show_stderr(d);
		kill(d->pid, SIGABRT);
	}
	ck_assert_int_eq(waitpid(d->pid, &status, 0), d->pid);
	d->pid = 0;
	close(d->notify);
	ck_assert_msg(ended, "the daemon did not stop");
	return status;
}

bool daemon_try_start(struct daemon *d, int *ret_status)
{
	char path[96];
	ck_assert_int_eq(d->pid, 0);
	snprintf(path, sizeof path, "%s/notify", d->dir);
	d->notify = open_notify(path);
	d->pid = fork();
	if (d->pid == 0) {
		run_child(d);
		_exit(127);
	}
	ck_assert_int_gt(d->pid, 0);
	int pidfd = (int)syscall(SYS_pidfd_open, d->pid, 0);
	ck_assert_int_ge(pidfd, 0);
	bool ready = wait_ready(d->notify, pidfd);
	close(pidfd);
	if (!ready) {
		*ret_status = reap(d);
		return false;
	}
	snprintf(path, sizeof path, "%s/port", d->dir);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%d", &d->port), 1);
	fclose(f);
	return true;
}

void daemon_start_again(struct daemon *d)
{
	int status;
	bool ready = daemon_try_start(d, &status);
	if (!ready)
		show_stderr(d);
	ck_assert_msg(ready, "the daemon did not come up");
}

void daemon_prepare(struct daemon *d, const char *const *flags)
{
	*d = (struct daemon){.flags = flags};
	snprintf(d->dir, sizeof d->dir, "/tmp/backpropd-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(d->dir));
}

void daemon_start(struct daemon *d, const char *const *flags)
{
	daemon_prepare(d, flags);
	daemon_start_again(d);
}

void daemon_told(const struct daemon *d, char *ret, size_t size)
{
	struct pollfd fd = {.fd = d->notify, .events = POLLIN};
	ck_assert_int_eq(poll(&fd, 1, TOLD_MS), 1);
	ssize_t n = recv(d->notify, ret, size - 1, MSG_DONTWAIT);
	ck_assert_int_gt(n, 0);
	ret[n] = '\0';
}

bool daemon_ended(const struct daemon *d)
{
	siginfo_t info = {0};
	return d->pid == 0 ||
	       (waitid(P_PID, (id_t)d->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0);
}

int daemon_end(struct daemon *d, bool ask)
{
	ck_assert_int_gt(d->pid, 0);
	if (ask)
		ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
	return reap(d);
}

bool daemon_logged(const struct daemon *d, const char *text)
{
	char path[96], line[1024];
	bool found = false;
	snprintf(path, sizeof path, "%s/stderr", d->dir);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (!found && fgets(line, sizeof line, f))
		found = strstr(line, text) != NULL;
	fclose(f);
	return found;
}

static void check_stderr(const struct daemon *d)
{
	static const char *const signs[] = {"Z error ", "Z warning ", "Sanitizer", "runtime error", "Assertion"};
	char path[96], line[1024];
	bool clean = true;
	snprintf(path, sizeof path, "%s/stderr", d->dir);
	FILE *f = fopen(path, "r");
	ck_assert_ptr_nonnull(f);
	while (clean && fgets(line, sizeof line, f))
		for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
			if (strstr(line, signs[i]))
				clean = false;
	fclose(f);
	if (!clean)
		show_stderr(d);
	ck_assert_msg(clean, "the daemon complained: %s", line);
}

void daemon_stop(struct daemon *d)
{
	ck_assert_int_gt(d->pid, 0);
	ck_assert_int_eq(kill(d->pid, SIGTERM), 0);
	int status = reap(d);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		show_stderr(d);
	ck_assert_msg(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the daemon ended with wait status %d", status);
	check_stderr(d);
}

void daemon_kill(struct daemon *d)
{
	ck_assert_int_gt(d->pid, 0);
	ck_assert_int_eq(kill(d->pid, SIGKILL), 0);
	reap(d);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void daemon_done(struct daemon *d)
{
	if (d->pid)
		daemon_stop(d);
	nftw(d->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

const char *daemon_path(const struct daemon *d, const char *name, char *buf, size_t size)
{
	snprintf(buf, size, "%s/state/%s", d->dir, name);
	return buf;
}

int daemon_files(const struct daemon *d, const char *folder)
{
	char path[256];
	int n = 0;
	DIR *dir = opendir(daemon_path(d, folder, path, sizeof path));
	if (!dir)
		return -1;
	for (const struct dirent *e; (e = readdir(dir));)
		if (e->d_name[0] != '.')
			n++;
	closedir(dir);
	return n;
}
