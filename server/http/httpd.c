/*
 * httpd.c - starts and stops the server: libmicrohttpd with event threads on epoll, listening on TCP and a Unix socket.
 * Called by main and by tests, from one thread.
 *
 * libmicrohttpd is asked for as little as possible: it reads and writes; limits, deadlines, framing and decoding are
 * decided in this room (handle.c, guard.c, deadline.c, target.c).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "http/inside.h"

enum { NO_LIMIT = 1 << 20 }; /* of connections of an event thread */

static void mhd_log(void *cls, const char *fmt, va_list args) __attribute__((format(printf, 2, 0)));
static void mhd_log(void *cls, const char *fmt, va_list args)
{
	(void)cls;
	char line[400];
	vsnprintf(line, sizeof(line), fmt, args);
	line[strcspn(line, "\n")] = '\0';
	log_line(LOG_DEBUG, "libmicrohttpd: %s", line);
}

static void mhd_panic(void *cls, const char *file, unsigned line, const char *reason)
{
	(void)cls;
	log_line(LOG_ERROR, "libmicrohttpd gave up at %s:%u: %s", file, line, reason ? reason : "");
	abort();
}

/* The target is decoded in target.c, from raw bytes. */
static size_t no_unescape(void *cls, struct MHD_Connection *con, char *s)
{
	(void)cls;
	(void)con;
	return strlen(s);
}

/* It does not listen: door.c brings it connections, and is who limits them. */
static bool daemon_start(struct http_server *srv)
{
	const unsigned threads = (unsigned)srv->o.event_threads;
	struct MHD_OptionItem options[] = {
		{MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)mhd_log, NULL},
		{MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)conn_notify, srv},
		{MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)request_end, srv},
		{MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)request_begin, srv},
		{MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)no_unescape, NULL},
		{MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL},
		{MHD_OPTION_CONNECTION_LIMIT, (intptr_t)threads * NO_LIMIT, NULL},
		{MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY, NULL},
		{MHD_OPTION_CONNECTION_TIMEOUT, 0, NULL},
		/* A pool of one is refused: that is a daemon without a pool. */
		{threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, (intptr_t)threads, NULL},
		{MHD_OPTION_END, 0, NULL},
	};
	srv->daemon = MHD_start_daemon(
		MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG | MHD_USE_NO_LISTEN_SOCKET,
		0, NULL, NULL, request_call, srv, MHD_OPTION_ARRAY, options, MHD_OPTION_END);
	if (!srv->daemon)
		log_line(LOG_ERROR, "cannot start the HTTP server");
	return srv->daemon;
}

static bool listen_begin(struct http_server *srv)
{
	const struct http_options *o = &srv->o;
	int tcp = -1, local = -1;
	if (o->listen_fd >= 0)
		listen_adopt(o->listen_fd);
	if (o->listen_fd >= 0 && listen_is_unix(o->listen_fd))
		local = o->listen_fd;
	else if (o->listen_fd >= 0)
		tcp = o->listen_fd;
	if (tcp >= 0 && !o->anywhere && !listen_is_loopback(tcp)) {
		log_line(LOG_ERROR, "the passed socket is not on loopback, which would need tokens");
		goto fail;
	}
	if (tcp < 0 && (tcp = listen_tcp(srv->address, o->port, o->anywhere)) < 0)
		goto fail;
	if (local < 0 && srv->unix_socket) {
		if ((local = listen_unix(srv->unix_socket)) < 0)
			goto fail;
		srv->made_unix_socket = true;
	}
	srv->port = listen_port(tcp);
	srv->door = door_open(srv, (const int[]){tcp, local}, local >= 0 ? 2 : 1);
	if (srv->door)
		return true;
fail:
	if (tcp >= 0)
		close(tcp);
	if (local >= 0)
		close(local);
	return false;
}

static void deadlines_default(struct http_deadlines *d)
{
	const struct http_deadlines usual = {.sweep = 1000,
		.header = 10000,
		.idle = 60000,
		.body = 30000,
		.stall = 30000,
		.heartbeat = 15000,
		.drain = 2000};
	d->sweep = d->sweep > 0 ? d->sweep : usual.sweep;
	d->header = d->header > 0 ? d->header : usual.header;
	d->idle = d->idle > 0 ? d->idle : usual.idle;
	d->body = d->body > 0 ? d->body : usual.body;
	d->stall = d->stall > 0 ? d->stall : usual.stall;
	d->heartbeat = d->heartbeat > 0 ? d->heartbeat : usual.heartbeat;
	d->drain = d->drain > 0 ? d->drain : usual.drain;
}

static struct http_server *server_new(const struct http_options *o)
{
	struct http_server *srv = calloc(1, sizeof(*srv));
	if (!srv)
		return NULL;
	srv->o = *o;
	deadlines_default(&srv->o.deadlines);
	if (srv->o.max_connections < 8)
		srv->o.max_connections = 8;
	if (srv->o.event_threads < 1)
		srv->o.event_threads = 1;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&srv->conns_lock, NULL);
	pthread_cond_init(&srv->settled, &attr);
	pthread_condattr_destroy(&attr);
	return srv;
}

static bool server_prepare(struct http_server *srv, const struct http_options *o)
{
	srv->address = strdup(o->address ? o->address : "127.0.0.1");
	srv->upload_dir = strdup(o->upload_dir ? o->upload_dir : "");
	srv->unix_socket = o->unix_socket && *o->unix_socket ? strdup(o->unix_socket) : NULL;
	if (!srv->address || !srv->upload_dir || (o->unix_socket && *o->unix_socket && !srv->unix_socket))
		return false;
	if (!hosts_parse(&srv->hosts, o->allowed_hosts, srv->address)) {
		log_line(LOG_ERROR, "allowed_hosts has too many names");
		return false;
	}
	srv->routes = routes_compile(o->routes, o->nroutes);
	return srv->routes != NULL;
}

struct http_server *http_start(const struct http_options *o)
{
	struct http_server *srv = server_new(o);
	if (!srv)
		return NULL;
	MHD_set_panic_func(mhd_panic, NULL);
	json_object_seed(0); /* before threads could do it at once */
	if (!server_prepare(srv, o))
		goto fail;
	if (*srv->upload_dir)
		uploads_clean(srv->upload_dir);
	if (!(srv->slow = slow_start(o->slow_threads > 0 ? o->slow_threads : 1)) ||
		!(srv->sweeper = sweeper_start(srv)) || !daemon_start(srv) || !listen_begin(srv))
		goto fail;
	return srv;
fail:
	http_stop(srv);
	return NULL;
}

int http_port(const struct http_server *srv)
{
	return srv->port;
}

/* Who is connected and has not been answered yet still may be, for a while. */
static void answers_drain(struct http_server *srv)
{
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += srv->o.deadlines.drain / 1000;
	until.tv_nsec += srv->o.deadlines.drain % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&srv->conns_lock);
	while (srv->engaged > 0)
		if (pthread_cond_timedwait(&srv->settled, &srv->conns_lock, &until) == ETIMEDOUT)
			break;
	pthread_mutex_unlock(&srv->conns_lock);
}

/*
 * The order matters: libmicrohttpd must not be stopped while a connection is suspended. Nobody new comes in: those who
 * wait at a passed socket are the next start's. The hub is closed, so every sleeper is resumed and none can sleep
 * again; who is here is served, and each answer is its connection's last; slow threads finish; only then the daemon
 * stops.
 */
void http_stop(struct http_server *srv)
{
	if (!srv)
		return;
	const bool served = srv->door;
	if (srv->made_unix_socket)
		unlink(srv->unix_socket);
	door_close(srv->door);
	atomic_store(&srv->closing, true);
	if (served) {
		hub_close(srv->o.hub);
		answers_drain(srv);
	}
	slow_stop(srv->slow);
	if (served)
		answers_drain(srv);
	sweeper_stop(srv->sweeper);
	if (srv->daemon)
		MHD_stop_daemon(srv->daemon);
	slow_free(srv->slow);
	free(srv->routes);
	free(srv->hosts.text);
	free(srv->address);
	free(srv->upload_dir);
	free(srv->unix_socket);
	pthread_cond_destroy(&srv->settled);
	pthread_mutex_destroy(&srv->conns_lock);
	free(srv);
}

void http_stats(const struct http_server *srv, struct http_stats *ret)
{
	ret->requests_total = atomic_load(&srv->requests);
	for (int i = 0; i < 6; i++)
		ret->responses_by_class[i] = atomic_load(&srv->responses[i]);
	ret->connections = atomic_load(&srv->connections);
	ret->streams = atomic_load(&srv->streams);
	ret->waiting = atomic_load(&srv->waiting);
	ret->bytes_in = atomic_load(&srv->bytes_in);
	ret->bytes_out = atomic_load(&srv->bytes_out);
	ret->guard_refused = atomic_load(&srv->refused);
	ret->timeouts = atomic_load(&srv->timeouts);
}
