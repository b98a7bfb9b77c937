/*
 * daemon.h - the real daemon in a test: $BACKPROPD (build/backpropd), a free port, a state directory of its own.
 *
 * Started and stopped by the tests of this folder. Readiness is READY=1 on its $NOTIFY_SOCKET, the end is its pidfd:
 * nothing sleeps. A test that fails leaves no daemon behind, because the kernel kills it with its parent.
 */
#ifndef TESTS_HTTP_DAEMON_H
#define TESTS_HTTP_DAEMON_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct daemon {
	int port;
	int notify;                            /* its socket, open as long as the daemon runs */
	pid_t pid;                             /* 0: not running */
	char dir[64];                          /* holds state/, port, notify, stderr; removed by daemon_done */
	const char *const *flags, *const *env; /* further flags, "NAME=value" of the environment; or NULL */
	int listening;                         /* a socket to pass as systemd does; 0: none */
	int watchdog_usec;                     /* 0: none */
};

/* With further flags ("--max-queued=1", ..., NULL) or NULL; they stay for daemon_start_again. Fails the test when the
 * daemon does not come up. */
void daemon_start(struct daemon *d, const char *const *flags);
/* The same in two steps, so that env, listening and watchdog_usec can be set between this and daemon_start_again. */
void daemon_prepare(struct daemon *d, const char *const *flags);
/* The next message to systemd, within 10 s; fails the test when there is none. */
void daemon_told(const struct daemon *d, char *ret, size_t size);
/* Once more on the same state directory; the port may be another one. */
void daemon_start_again(struct daemon *d);
/* As daemon_start_again, but it may also end before it is ready: then false, and *ret_status is as of waitpid. */
bool daemon_try_start(struct daemon *d, int *ret_status);
/* Waits for its end, after SIGTERM if so; returns the status as of waitpid. It may have logged anything. */
int daemon_end(struct daemon *d, bool ask);
/* Whether it has ended by itself; not reaped. */
bool daemon_ended(const struct daemon *d);
/* Whether its log has that text. */
bool daemon_logged(const struct daemon *d, const char *text);
/* SIGTERM; the test fails unless it exits with 0 and has logged no error, warning or sanitizer report. */
void daemon_stop(struct daemon *d);
/* SIGKILL, in mid-work. */
void daemon_kill(struct daemon *d);
/* Stops it if it runs, and removes its directory. */
void daemon_done(struct daemon *d);

/* A path below its state directory. */
const char *daemon_path(const struct daemon *d, const char *name, char *buf, size_t size);
/* Files in a folder below its state directory; -1 when there is no such folder. */
int daemon_files(const struct daemon *d, const char *folder);

#endif
