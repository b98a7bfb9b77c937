/* notify.c - see notify.h. */
#include "base/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"

enum { LISTEN_FDS_START = 3, PATIENCE_SECONDS = 2 };

void notify_send(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	if (!path || (path[0] != '/' && path[0] != '@'))
		return;
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = strlen(path);
	if (len >= sizeof addr.sun_path)
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@') /* an abstract name starts with NUL and is as long as it is */
		addr.sun_path[0] = '\0';
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	/* Whoever should listen may not read: that must not keep the daemon from stopping. */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &(struct timeval){.tv_sec = PATIENCE_SECONDS}, sizeof(struct timeval));
	if (sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)&addr, size) < 0 && errno != EAGAIN)
		log_line(LOG_WARNING, "cannot tell systemd: %s", strerror(errno));
	close(fd);
}

/* The variable as a whole number, or -1. */
static long long env_number(const char *name)
{
	const char *text = getenv(name);
	char *end = NULL;
	if (!text || *text < '0' || *text > '9')
		return -1;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	return errno || *end ? -1 : value;
}

double notify_watchdog_seconds(void)
{
	long long usec = env_number("WATCHDOG_USEC");
	if (usec <= 0)
		return 0;
	if (getenv("WATCHDOG_PID") && env_number("WATCHDOG_PID") != getpid())
		return 0;
	return (double)usec * 1e-6 / 2;
}

int notify_listen_fd(void)
{
	if (env_number("LISTEN_PID") != getpid() || env_number("LISTEN_FDS") < 1)
		return -1;
	int listening = 0;
	socklen_t size = sizeof listening;
	if (getsockopt(LISTEN_FDS_START, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0 || !listening) {
		log_line(LOG_WARNING, "the descriptor passed by systemd is not a listening socket");
		return -1;
	}
	fcntl(LISTEN_FDS_START, F_SETFD, FD_CLOEXEC);
	return LISTEN_FDS_START;
}
