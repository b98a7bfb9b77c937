/*
 * door.c - the thread that accepts connections and hands them to libmicrohttpd's event threads. Started last and ended
 * first by httpd.c.
 *
 * libmicrohttpd could listen by itself, but then clients that open all connections and send nothing shut everyone else
 * out until their time is up, and whom it accepts last before its end goes without an answer. Here, when all places are
 * taken, the newcomer gets that of the client that has kept the server waiting longest: for a request, for more of a
 * body, or for taking an answer. Connections whose turn is the server's (a handler runs, a stream has nothing to tell)
 * keep their places; when they alone fill the house, whoever comes is told to come again (handle.c).
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "http/inside.h"

enum {
	BATCH = 64,       /* accepted in a row from one socket */
	LEAVING_MAX = 32, /* connections beyond the limit, while those that were cut off are being cleared away */
	PAUSE_MS = 10
};

struct door {
	struct http_server *srv;
	pthread_t thread;
	struct pollfd fds[3]; /* the signal to stop, then listening sockets */
	int nfds;
	bool short_of_files; /* and this was told */
};

static int places(const struct http_server *srv, bool local)
{
	return local ? srv->o.max_connections / 4 + 4 : srv->o.max_connections;
}

/* Whoever but one has kept the server waiting longest is cut off; false: nobody does. */
static bool make_leave(struct http_server *srv, bool local, const struct conn *but)
{
	struct conn *found = NULL;
	for (struct conn *c = srv->conns; c; c = c->next)
		if (c->local == local && c != but && !c->cut && atomic_load(&c->deadline) &&
			(!found || atomic_load(&c->since) <= atomic_load(&found->since)))
			found = c;
	if (!found)
		return false;
	conn_cut(found);
	log_line(LOG_DEBUG, "a connection was cut off: another client needs its place");
	return true;
}

bool door_keeps(struct conn *c)
{
	struct http_server *srv = c->srv;
	const struct crowd *n = &srv->crowd[c->local];
	pthread_mutex_lock(&srv->conns_lock);
	bool stays = n->here - n->leaving <= places(srv, c->local) || make_leave(srv, c->local, c);
	pthread_mutex_unlock(&srv->conns_lock);
	return stays;
}

/* False: those that were cut off must be gone first. */
static bool has_room(struct http_server *srv, bool local)
{
	const struct crowd *n = &srv->crowd[local];
	pthread_mutex_lock(&srv->conns_lock);
	bool room = n->here + n->coming < places(srv, local) + LEAVING_MAX;
	pthread_mutex_unlock(&srv->conns_lock);
	return room;
}

static void is_coming(struct http_server *srv, bool local)
{
	struct crowd *n = &srv->crowd[local];
	pthread_mutex_lock(&srv->conns_lock);
	if (n->here + n->coming - n->leaving >= places(srv, local))
		make_leave(srv, local, NULL);
	n->coming++;
	srv->engaged++;
	srv->came_at = now_ms();
	pthread_mutex_unlock(&srv->conns_lock);
}

static void is_not_coming(struct http_server *srv, bool local)
{
	pthread_mutex_lock(&srv->conns_lock);
	srv->crowd[local].coming--;
	srv->engaged--;
	pthread_mutex_unlock(&srv->conns_lock);
}

bool door_admit(struct http_server *srv, int fd, const struct sockaddr *from, socklen_t size, bool local)
{
	is_coming(srv, local);
	if (MHD_add_connection(srv->daemon, fd, from, size) == MHD_YES)
		return true;
	is_not_coming(srv, local);
	return false;
}

/* The process may have no more files: the other clients' connections are some. */
static void short_of_files(struct door *d, bool local, int error)
{
	if (!d->short_of_files)
		log_line(LOG_WARNING, "connections are cut off, to accept others: %s", strerror(error));
	d->short_of_files = true;
	pthread_mutex_lock(&d->srv->conns_lock);
	make_leave(d->srv, local, NULL);
	pthread_mutex_unlock(&d->srv->conns_lock);
}

enum accepted { ONE, NOBODY, FULL };

static enum accepted accept_one(struct door *d, int listening)
{
	struct sockaddr_storage from = {0};
	socklen_t size = sizeof(from);
	bool local = listen_is_unix(listening);
	if (!has_room(d->srv, local))
		return FULL;
	int fd = accept4(listening, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		d->short_of_files = false;
		door_admit(d->srv, fd, (struct sockaddr *)&from, size, local);
		return ONE;
	}
	switch (errno) {
	case EAGAIN:
		return NOBODY;
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
		short_of_files(d, local, errno);
		return FULL;
	default:
		return ONE; /* that client is gone, the next may be there */
	}
}

static bool accept_some(struct door *d)
{
	for (int i = 1; i < d->nfds; i++) {
		enum accepted a = ONE;
		for (int k = 0; k < BATCH && a == ONE && d->fds[i].revents; k++)
			a = accept_one(d, d->fds[i].fd);
		if (a == FULL)
			return false;
	}
	return true;
}

static void *door_run(void *arg)
{
	struct door *d = arg;
	bool room = true;
	for (;;) {
		int n = poll(d->fds, room ? (nfds_t)d->nfds : 1, room ? -1 : PAUSE_MS);
		if (n > 0 && d->fds[0].revents)
			return NULL;
		room = !room || n < 0 || accept_some(d);
	}
}

struct door *door_open(struct http_server *srv, const int *listening, int n)
{
	struct door *d = calloc(1, sizeof(*d));
	if (!d)
		return NULL;
	d->srv = srv;
	d->fds[d->nfds++] = (struct pollfd){.fd = eventfd(0, EFD_CLOEXEC), .events = POLLIN};
	for (int i = 0; i < n; i++)
		d->fds[d->nfds++] = (struct pollfd){.fd = listening[i], .events = POLLIN};
	if (d->fds[0].fd >= 0 && pthread_create(&d->thread, NULL, door_run, d) == 0)
		return d;
	log_line(LOG_ERROR, "cannot start the thread that accepts connections");
	if (d->fds[0].fd >= 0)
		close(d->fds[0].fd);
	free(d);
	return NULL;
}

void door_close(struct door *d)
{
	if (!d)
		return;
	if (write(d->fds[0].fd, &(uint64_t){1}, sizeof(uint64_t)) < 0)
		log_line(LOG_ERROR, "cannot stop accepting connections: %s", strerror(errno));
	pthread_join(d->thread, NULL);
	for (int i = 0; i < d->nfds; i++)
		close(d->fds[i].fd);
	free(d);
}
