/*
 * tail.h - a job's events (or all jobs') as a stream that its client pulls: replay, reconnection and live events are
 * the same query for rows after a cursor. Runs on event threads.
 */
#ifndef API_TAIL_H
#define API_TAIL_H

#include "api/api.h"

enum tail_format { TAIL_JSON, TAIL_SSE, TAIL_NDJSON, TAIL_FORMAT_COUNT };

/* What to read. */
struct tail_query {
	const char *job_id; /* NULL: all jobs of owner, by global_seq */
	const char *owner;  /* NULL: everyone */
	const char *type;   /* NULL: any */
	int64_t after;
	bool follow; /* wait for more after the newest; a job's stream ends with its last event */
};

/* One event as text: a flat JSON object of seq, global_seq, job_id, type, created_at and the event's own data. */
struct text {
	char *bytes;
	size_t size;
};
bool tail_event_text(const struct event_row *event, struct text *ret);

/* Answers with the stream; q is copied. */
void tail_reply(struct http_request *rq, enum tail_format format, const struct tail_query *q);

#endif
