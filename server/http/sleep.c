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

bool http_waited(const struct http_request *rq)
{
	return rq->later.waited;
}

bool request_sleep(struct http_request *rq)
{
	struct conn *c = rq->conn;
	atomic_store(&c->alarm, alarm_before_end(&rq->identity, rq->later.until));
	rq->step = STEP_ASLEEP;
	if (now_ms() < rq->later.until &&
		hub_register(rq->srv->o.hub, rq->later.topic, rq->later.seen, &c->waiter, sleeper_asleep))
		return true;
	atomic_store(&c->alarm, 0);
	return false;
}
