/* listen.c - listening sockets: TCP, Unix, or one passed by systemd. Called by http_start, main thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "http/inside.h"

enum { BACKLOG = 511 };

union address {
	struct sockaddr any;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	struct sockaddr_un un;
	struct sockaddr_storage room;
};

static bool is_loopback(const union address *a)
{
	if (a->any.sa_family == AF_INET)
		return ntohl(a->in.sin_addr.s_addr) >> 24 == 127;
	return a->any.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&a->in6.sin6_addr);
}

/* Of a numeric address; 0: it is none. */
static socklen_t tcp_address(const char *text, int port, union address *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (inet_pton(AF_INET, text, &ret->in.sin_addr) == 1) {
		ret->in.sin_family = AF_INET;
		ret->in.sin_port = htons((uint16_t)port);
		return sizeof(ret->in);
	}
	if (inet_pton(AF_INET6, text, &ret->in6.sin6_addr) == 1) {
		ret->in6.sin6_family = AF_INET6;
		ret->in6.sin6_port = htons((uint16_t)port);
		return sizeof(ret->in6);
	}
	return 0;
}

static int listen_at(const union address *a, socklen_t size, const char *what)
{
	int fd = socket(a->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		log_line(LOG_ERROR, "cannot make a socket for %s: %s", what, strerror(errno));
		return -1;
	}
	if (a->any.sa_family == AF_UNIX)
		fchmod(fd, 0660); /* Linux makes the file with this mode: no moment at which others could connect */
	else
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if (bind(fd, &a->any, size) != 0 || listen(fd, BACKLOG) != 0) {
		log_line(LOG_ERROR, "cannot listen on %s: %s", what, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

int listen_tcp(const char *address, int port, bool anywhere)
{
	union address a;
	char what[80];
	snprintf(what, sizeof(what), "%.60s port %d", address, port);
	socklen_t size = port < 0 || port > 65535 ? 0 : tcp_address(address, port, &a);
	if (size == 0 || (!anywhere && !is_loopback(&a))) {
		log_line(LOG_ERROR, "cannot listen on %s: only numeric %saddresses are allowed", what,
			anywhere ? "" : "loopback ");
		return -1;
	}
	return listen_at(&a, size, what);
}

/* A socket file that nobody listens on any more is replaced; any other file is left alone. */
static bool make_way(const union address *a, const char *path)
{
	struct stat st;
	if (lstat(path, &st) != 0)
		return errno == ENOENT;
	if (!S_ISSOCK(st.st_mode))
		return false;
	int probe = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool dead = probe >= 0 && connect(probe, &a->any, sizeof(a->un)) != 0 && errno == ECONNREFUSED;
	if (probe >= 0)
		close(probe);
	return dead && unlink(path) == 0;
}

int listen_unix(const char *path)
{
	union address a = {.un = {.sun_family = AF_UNIX}};
	if (strlen(path) >= sizeof(a.un.sun_path)) {
		log_line(LOG_ERROR, "the path of the Unix socket is too long: %s", path);
		return -1;
	}
	memcpy(a.un.sun_path, path, strlen(path));
	if (!make_way(&a, path)) {
		log_line(LOG_ERROR, "cannot listen on %s: something else is there", path);
		return -1;
	}
	int fd = listen_at(&a, sizeof(a.un), path);
	/* Once more, for what the umask took away. */
	if (fd >= 0 && chmod(path, 0660) != 0) {
		log_line(LOG_ERROR, "cannot set the mode of %s: %s", path, strerror(errno));
		close(fd);
		return -1;
	}
	return fd;
}

void listen_adopt(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
		log_line(LOG_WARNING, "the passed socket cannot be set up: %s", strerror(errno));
}

bool listen_is_unix(int fd)
{
	union address a = {0};
	socklen_t size = sizeof(a);
	return getsockname(fd, &a.any, &size) == 0 && a.any.sa_family == AF_UNIX;
}

bool listen_is_loopback(int fd)
{
	union address a = {0};
	socklen_t size = sizeof(a);
	return getsockname(fd, &a.any, &size) == 0 && is_loopback(&a);
}

int64_t listen_peer_uid(int fd)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || size != sizeof(peer))
		return -1;
	return peer.uid == (uid_t)-1 ? -1 : (int64_t)peer.uid;
}

int listen_port(int fd)
{
	union address a = {0};
	socklen_t size = sizeof(a);
	if (getsockname(fd, &a.any, &size) != 0)
		return 0;
	if (a.any.sa_family == AF_INET6)
		return ntohs(a.in6.sin6_port);
	return a.any.sa_family == AF_INET ? ntohs(a.in.sin_port) : 0;
}
