/*
 * stream.c - a response that goes on: the client pulls, and sleeps on the hub when there is nothing. Event threads.
 *
 * No bytes are kept for a client. libmicrohttpd asks for the next block when the socket has taken the last; the pull
 * function writes what is newer than its cursor; when that is nothing the connection is suspended until the topic moves
 * on. The topic's number is read before the pull and compared under the hub's lock by the step that suspends, so a ring
 * between the two is never lost.
 */
#include <stdlib.h>
#include <string.h>

#include "http/inside.h"

/* What HTTP/1.0 gets at a time, whose clients know no chunks. The others are written into the connection's memory. */
enum { OLD_BLOCK = 2 << 10 };

struct stream {
	struct http_stream s;
	struct conn *conn;
	struct http_identity who; /* for whom it is */
	long long last;           /* when something was sent */
	uint64_t seen;            /* the topic's number before the last pull */
	bool pulled;
};

/* The heartbeat that is due, or -1 when the client is found gone, or 0. */
static ssize_t heartbeat(struct stream *st, char *buf, size_t max)
{
	long long now = now_ms();
	if (now - st->last < st->conn->srv->o.deadlines.heartbeat)
		return 0;
	st->last = now;
	if (!st->s.heartbeat)
		return conn_peer_ended(st->conn) ? -1 : 0;
	size_t size = strlen(st->s.heartbeat);
	if (size > max)
		return 0;
	memcpy(buf, st->s.heartbeat, size);
	return (ssize_t)size;
}

static ssize_t sent(struct stream *st, ssize_t n)
{
	st->last = now_ms();
	atomic_fetch_add(&st->conn->srv->bytes_out, n);
	return n;
}

static long pull(struct stream *st, struct hub *hub, char *buf, size_t max)
{
	uint64_t now = hub_seq(hub, st->s.topic);
	bool moved = !st->pulled || now != st->seen;
	st->pulled = true;
	st->seen = now;
	return st->s.pull(st->s.state, buf, max, moved);
}

static ssize_t stream_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	(void)pos;
	struct stream *st = cls;
	struct conn *c = st->conn;
	struct hub *hub = c->srv->o.hub;
	if (max > BLOCK)
		max = BLOCK;
	conn_deadline_in(c, c->srv->o.deadlines.stall);
	for (;;) {
		long n = pull(st, hub, buf, max);
		if (n > 0)
			return sent(st, n);
		if (n < 0 || hub_closed(hub))
			return MHD_CONTENT_READER_END_OF_STREAM;
		ssize_t beat = heartbeat(st, buf, max);
		if (beat > 0)
			return sent(st, beat);
		if (beat < 0)
			return MHD_CONTENT_READER_END_OF_STREAM; /* an "end with error" keeps the socket in 0.9.75 */
		atomic_store(&c->alarm, alarm_before_end(&st->who, st->last + c->srv->o.deadlines.heartbeat));
		if (hub_register(hub, st->s.topic, st->seen, &c->waiter, sleeper_asleep))
			return 0;
	}
}

static void stream_free(void *cls)
{
	struct stream *st = cls;
	atomic_fetch_sub(&st->conn->srv->streams, 1);
	if (st->s.done)
		st->s.done(st->s.state);
	free(st);
}

struct MHD_Response *stream_response(struct http_request *rq)
{
	struct stream *st = calloc(1, sizeof(*st));
	if (!st)
		return NULL;
	*st = (struct stream){.s = rq->reply.stream, .conn = rq->conn, .who = rq->identity, .last = now_ms()};
	struct MHD_Response *resp =
		MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, OLD_BLOCK, stream_read, st, stream_free);
	if (!resp) {
		free(st);
		return NULL;
	}
	atomic_fetch_add(&rq->srv->streams, 1);
	rq->reply.stream.done = NULL; /* stream_free calls it */
	return resp;
}
