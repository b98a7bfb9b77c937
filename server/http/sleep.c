/*
 * sleep.c - connections that sleep on the hub: streams with nothing to say, and long polls.
 * "Registered at the hub" means "suspended": both happen in one step under the hub's lock, and so do their opposites.
 */
#include <stdio.h>

#include "http/inside.h"

static struct conn *conn_of(struct hub_waiter *w)
{
	return (struct conn *)((char *)w - offsetof(struct conn, waiter));
}

void sleeper_asleep(struct hub_waiter *w)
{
	struct conn *c = conn_of(w);
	conn_deadline_in(c, 0);
	MHD_suspend_connection(c->con);
}

/* Any thread. Once resumed the connection may end at any moment, so that comes last. */
void sleeper_wake(struct hub_waiter *w)
{
	struct conn *c = conn_of(w);
	atomic_store(&c->alarm, 0);
	conn_deadline_in(c, c->srv->o.deadlines.stall);
	MHD_resume_connection(c->con);
}

void http_reply_later(struct http_request *rq, const char *topic, uint64_t seen, int wait_seconds)
{
	if (!rq->later.until)
		rq->later.until = now_ms() + (int64_t)(wait_seconds > 0 ? wait_seconds : 0) * 1000;
	if (rq->later.waited) {
		reply_busy(rq, "The wait is over.");
		return;
	}
	rq->later.wanted = true;
	rq->later.seen = seen;
	snprintf(rq->later.topic, sizeof(rq->later.topic), "%s", topic);
}

/* Whoever waits keeps its connection, so that all together may not have every one. */
bool waiting_begin(struct http_request *rq)
{
	int64_t limit = rq->srv->o.max_connections - rq->srv->o.max_connections / 4;
	rq->waiting = atomic_fetch_add(&rq->srv->waiting, 1) < limit;
	if (!rq->waiting)
		atomic_fetch_sub(&rq->srv->waiting, 1);
	return rq->waiting;
}

void waiting_end(struct http_request *rq)
{
	if (rq->waiting)
		atomic_fetch_sub(&rq->srv->waiting, 1);
	rq->waiting = false;
}

bool http_waited(const struct http_request *rq)
{
	return rq->later.waited;
}

bool request_sleep(struct http_request *rq)
{
	struct conn *c = rq->conn;
	if (!waiting_begin(rq)) {
		reply_busy(rq, TOO_MANY_WAIT);
		return false;
	}
	atomic_store(&c->alarm, alarm_before_end(&rq->identity, rq->later.until));
	rq->step = STEP_ASLEEP;
	if (now_ms() < rq->later.until &&
		hub_register(rq->srv->o.hub, rq->later.topic, rq->later.seen, &c->waiter, sleeper_asleep))
		return true;
	atomic_store(&c->alarm, 0);
	waiting_end(rq);
	return false;
}
