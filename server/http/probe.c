/*
 * probe.c - whether every event thread still answers, asked as a client would: for the watchdog. Main thread.
 *
 * One end of a pair of sockets is handed to libmicrohttpd like a connection that was accepted. It chooses the event
 * thread by the descriptor's number, so asking through as many consecutive numbers as there are threads asks each.
 */
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "http/inside.h"

/* The descriptor becomes one of that remainder; -1: not to be had, and it is closed. */
static int renumber(int fd, int threads, int remainder)
{
	int least = fd;
	while (fd >= 0 && fd % threads != remainder) {
		int next = fcntl(fd, F_DUPFD_CLOEXEC, ++least);
		close(fd);
		fd = next;
	}
	return fd;
}

static bool ask(struct http_server *srv, int thread, long long until)
{
	static const char question[] = "OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
	struct sockaddr_un nobody = {.sun_family = AF_UNIX};
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
		return false;
	bool asked = send(pair[1], question, sizeof(question) - 1, MSG_NOSIGNAL) == (ssize_t)sizeof(question) - 1;
	int fd = renumber(pair[0], srv->o.event_threads, thread);
	if (asked && fd >= 0)
		asked = door_admit(srv, fd, (struct sockaddr *)&nobody, sizeof(nobody), true);
	else if (fd >= 0)
		close(fd);
	long long left = until - now_ms();
	struct pollfd p = {.fd = pair[1], .events = POLLIN};
	char answer[16] = "";
	bool answered = asked && fd >= 0 && poll(&p, 1, left > 0 ? (int)left : 0) == 1 &&
			recv(pair[1], answer, sizeof(answer) - 1, 0) > 0 && strncmp(answer, "HTTP/1.1 2", 10) == 0;
	close(pair[1]);
	return answered;
}

bool http_answers(struct http_server *srv, int timeout_ms)
{
	long long until = now_ms() + timeout_ms;
	for (int i = 0; i < srv->o.event_threads; i++)
		if (!ask(srv, i, until)) {
			log_line(LOG_ERROR, "an event thread does not answer");
			return false;
		}
	return true;
}
