/*
 * deadline.c - the connections that are open, and the thread that ends their patience.
 *
 * libmicrohttpd's own timeout counts inactivity, so a byte now and then keeps a connection for ever. Here each
 * connection has one absolute deadline, moved by whoever serves it, and once a second a thread cuts off those that are
 * past theirs with shutdown(2): the event thread then sees the end and cleans up. The same walk wakes sleepers whose
 * alarm has come (a heartbeat is due, a long poll is over).
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#include "base/clock.h"
#include "base/log.h"
#include "http/inside.h"

enum { WAKES = 2 }; /* one may meet a sleeper that has looked already and is about to lie down */
enum {
	UNSENT_MAX = 128 << 10, /* bytes that the kernel may hold for a client beyond what is on its way */
	LOST_MS = 10000
};

struct sweeper {
	struct http_server *srv;
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t stop_wanted;
	bool stop;
};

long long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

void conn_deadline_in(struct conn *c, int64_t ms)
{
	long long now = now_ms();
	atomic_store(&c->since, now);
	atomic_store(&c->deadline, ms > 0 ? now + ms : 0);
}

void conn_engage(struct conn *c, bool engaged)
{
	struct http_server *srv = c->srv;
	pthread_mutex_lock(&srv->conns_lock);
	srv->engaged += engaged - c->engaged;
	c->engaged = engaged;
	if (!engaged)
		pthread_cond_signal(&srv->settled);
	pthread_mutex_unlock(&srv->conns_lock);
}

void conn_cut(struct conn *c)
{
	atomic_store(&c->deadline, 0);
	shutdown(c->fd, SHUT_RDWR);
	c->srv->crowd[c->local].leaving += !c->cut;
	c->cut = true;
}

long long alarm_before_end(const struct http_identity *who, long long at)
{
	if (who->expires_at <= 0)
		return at;
	double left = (who->expires_at - clock_now()) * 1000 + 1;
	long long end = now_ms() + (left < 1 ? 1 : left > 1e12 ? (long long)1e12 : (long long)left);
	return end < at ? end : at;
}

void http_wake(struct http_request *rq)
{
	atomic_store(&rq->srv->wakes, WAKES);
}

/* The door has counted it as coming, and as engaged. */
static void conn_open(struct http_server *srv, struct MHD_Connection *con, void **socket_context)
{
	struct conn *c = calloc(1, sizeof(*c));
	*socket_context = c; /* NULL: request_call ends the connection at once */
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(con, MHD_CONNECTION_INFO_CONNECTION_FD);
	int fd = info ? info->connect_fd : -1;
	bool local = fd >= 0 && listen_is_unix(fd);
	if (c) {
		c->srv = srv;
		c->con = con;
		c->fd = fd;
		c->local = local;
		c->uid = local ? listen_peer_uid(fd) : -1;
		/* Else the kernel takes megabytes for a client that does not read, and a slow one seems to have
		 * stalled. */
		if (!local)
			setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &(int){UNSENT_MAX}, sizeof(int));
		c->waiter.wake = sleeper_wake;
		atomic_init(&c->reading, true);
		c->engaged = true;
		conn_deadline_in(c, srv->o.deadlines.header);
	}
	atomic_fetch_add(&srv->connections, c != NULL);
	pthread_mutex_lock(&srv->conns_lock);
	srv->crowd[local].coming -= srv->crowd[local].coming > 0;
	if (c) {
		srv->crowd[local].here++;
		c->next = srv->conns;
		c->prev_next = &srv->conns;
		if (c->next)
			c->next->prev_next = &c->next;
		srv->conns = c;
	} else {
		srv->engaged--;
	}
	pthread_mutex_unlock(&srv->conns_lock);
}

/* Called before the socket is closed, so the sweeper never sees a number that means another socket. */
static void conn_close(struct http_server *srv, struct conn *c)
{
	if (!c)
		return;
	pthread_mutex_lock(&srv->conns_lock);
	*c->prev_next = c->next;
	if (c->next)
		c->next->prev_next = c->prev_next;
	srv->crowd[c->local].here--;
	srv->crowd[c->local].leaving -= c->cut;
	srv->engaged -= c->engaged;
	pthread_cond_signal(&srv->settled);
	pthread_mutex_unlock(&srv->conns_lock);
	atomic_fetch_sub(&srv->connections, 1);
	free(c);
}

void conn_notify(void *cls, struct MHD_Connection *con, void **socket_context, enum MHD_ConnectionNotificationCode code)
{
	if (code == MHD_CONNECTION_NOTIFY_STARTED)
		conn_open(cls, con, socket_context);
	else
		conn_close(cls, *socket_context);
}

bool conn_peer_ended(const struct conn *c)
{
	struct pollfd p = {.fd = c->fd, .events = POLLRDHUP};
	return poll(&p, 1, 0) > 0;
}

/*
 * libmicrohttpd takes a short read for "nothing more for now" and waits for the next edge of epoll; an end that came
 * with the last bytes has no edge of its own. Shutting down the side that has ended already makes one.
 */
static void end_notice(struct conn *c)
{
	if (atomic_load(&c->reading) && conn_peer_ended(c))
		shutdown(c->fd, SHUT_RD);
}

static void cut_late(struct conn *c, long long now, long long deadline)
{
	long long since = atomic_load(&c->since);
	conn_cut(c);
	atomic_fetch_add(&c->srv->timeouts, 1);
	log_line(LOG_DEBUG, "a connection was cut off: it was waited for %lld ms, which is %lld beyond its deadline",
		now - since, now - deadline);
}

static void sweep(struct http_server *srv)
{
	long long now = now_ms();
	bool all = atomic_load(&srv->wakes) > 0;
	if (all)
		atomic_fetch_sub(&srv->wakes, 1);
	pthread_mutex_lock(&srv->conns_lock);
	for (struct conn *c = srv->conns; c; c = c->next) {
		long long deadline = atomic_load(&c->deadline), alarm = atomic_load(&c->alarm);
		if (deadline && now >= deadline)
			cut_late(c, now, deadline);
		end_notice(c);
		if (alarm && (all || now >= alarm))
			hub_cancel(srv->o.hub, &c->waiter);
	}
	pthread_mutex_unlock(&srv->conns_lock);
}

static void *sweeper_run(void *arg)
{
	struct sweeper *s = arg;
	int period = s->srv->o.deadlines.sweep;
	pthread_mutex_lock(&s->lock);
	while (!s->stop) {
		struct timespec until;
		clock_gettime(CLOCK_MONOTONIC, &until);
		until.tv_sec += period / 1000;
		until.tv_nsec += period % 1000 * 1000000L;
		if (until.tv_nsec >= 1000000000L) {
			until.tv_nsec -= 1000000000L;
			until.tv_sec++;
		}
		pthread_cond_timedwait(&s->stop_wanted, &s->lock, &until);
		pthread_mutex_unlock(&s->lock);
		sweep(s->srv);
		pthread_mutex_lock(&s->lock);
	}
	pthread_mutex_unlock(&s->lock);
	return NULL;
}

struct sweeper *sweeper_start(struct http_server *srv)
{
	struct sweeper *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	s->srv = srv;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&s->lock, NULL);
	pthread_cond_init(&s->stop_wanted, &attr);
	pthread_condattr_destroy(&attr);
	if (pthread_create(&s->thread, NULL, sweeper_run, s) != 0) {
		log_line(LOG_ERROR, "cannot start the thread for deadlines");
		pthread_cond_destroy(&s->stop_wanted);
		pthread_mutex_destroy(&s->lock);
		free(s);
		return NULL;
	}
	return s;
}

void sweeper_stop(struct sweeper *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&s->lock);
	s->stop = true;
	pthread_cond_signal(&s->stop_wanted);
	pthread_mutex_unlock(&s->lock);
	pthread_join(s->thread, NULL);
	pthread_cond_destroy(&s->stop_wanted);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
