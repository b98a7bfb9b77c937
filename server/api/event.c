/*
 * event.c - events by Accept: server-sent events, NDJSON, or a JSON page (also a long poll). The cursor is after= or
 * Last-Event-ID, which a browser sends by itself when it connects again; the larger one counts.
 */
#include <stdlib.h>
#include <string.h>

#include "api/auth.h"
#include "api/cursor.h"
#include "api/handlers.h"
#include "api/job.h"
#include "api/tail.h"
#include "base/jsonmem.h"

enum { EVENTS_DEFAULT = 100 };

struct event_request {
	enum tail_format format;
	struct tail_query q;
	int64_t limit, wait;
	bool resumed; /* with Last-Event-ID */
};

/* A client that follows and accepts anything gets lines, since a page cannot follow. */
static int read_format(const struct http_request *rq, bool follow)
{
	static const char *const page_first[] = {"application/json", "text/event-stream", "application/x-ndjson"};
	static const enum tail_format lines_first_formats[] = {TAIL_NDJSON, TAIL_SSE, TAIL_JSON};
	static const char *const lines_first[] = {"application/x-ndjson", "text/event-stream", "application/json"};
	int i = http_accept(rq, follow ? lines_first : page_first, TAIL_FORMAT_COUNT);
	return i >= 0 && follow ? (int)lines_first_formats[i] : i;
}

/* False when it has replied. */
static bool read_request(struct http_request *rq, struct event_request *ret)
{
	static const char *const names[] = {"after", "follow", "limit", "type", "wait"};
	struct problems problems = {0};
	*ret = (struct event_request){.limit = EVENTS_DEFAULT, .q = {.type = http_query(rq, "type")}};
	bool follow = false;
	http_query_only(rq, names, sizeof names / sizeof names[0], &problems);
	http_query_int(rq, "after", 0, INT64_MAX, &ret->q.after, &problems);
	http_query_int(rq, "limit", 1, LIST_MAX, &ret->limit, &problems);
	http_query_int(rq, "wait", 0, WAIT_MAX, &ret->wait, &problems);
	answer_query_bool(rq, "follow", &follow, &problems);
	ret->resumed = cursor_resume(http_header(rq, "Last-Event-ID"), &ret->q.after, &problems);
	if (ret->q.type && (!ret->q.type[0] || strlen(ret->q.type) > 31))
		problems_add(&problems, ERR_INVALID_QUERY, "type", "type is the name of a kind of event.");
	if (answer_refused(rq, &problems))
		return false;
	int format = read_format(rq, follow);
	if (format < 0) {
		http_reply_error(rq, ERR_NOT_ACCEPTABLE, "Accept",
			"Events come as application/json, text/event-stream or application/x-ndjson.");
		return false;
	}
	ret->format = (enum tail_format)format;
	ret->q.follow = http_query(rq, "follow") ? follow : format == TAIL_SSE;
	return true;
}

/* {"object":"list","data":[...],"has_more":...,"last_seq":...}, put together as text: the events are JSON already. */
static void reply_page(struct http_request *rq, const struct event_request *e, const struct event_row *rows, int n)
{
	int shown = n > e->limit ? (int)e->limit : n;
	int64_t last = e->q.after;
	json_t *data = json_array();
	for (int i = 0; i < shown; i++) {
		struct text text;
		json_t *event = tail_event_text(&rows[i], &text) ? jsonmem_loadb(text.bytes, text.size, 0, NULL) : NULL;
		free(text.bytes);
		if (json_array_append_new(data, event) < 0) {
			json_decref(data);
			http_reply_json(rq, 500, NULL);
			return;
		}
		last = e->q.job_id ? rows[i].seq : rows[i].global_seq;
	}
	json_t *list = answer_list(data, n > shown);
	if (list)
		json_object_set_new(list, "last_seq", json_integer((json_int_t)last));
	http_reply_json(rq, 200, list);
}

/* ended: no further event can come, so that a long poll need not wait for one. seen was read before that was known. */
static void answer_events(struct http_request *rq, const struct event_request *e, bool ended, uint64_t seen)
{
	struct event_row *rows = NULL;
	int n = 0;
	struct store *store = answer_api(rq)->store;
	struct event_feed feed = {
		.owner = e->q.owner, .type = e->q.type, .after = e->q.after, .limit = (int)e->limit + 1};
	enum store_status st =
		e->q.job_id ? store_event_list(store, e->q.job_id, feed.after, feed.type, feed.limit, &rows, &n)
			    : store_event_feed(store, &feed, &rows, &n);
	if (st != STORE_OK)
		answer_store(rq, st, "job", "");
	else if (n == 0 && e->wait > 0 && !ended && !http_waited(rq))
		http_reply_later(rq, e->q.job_id ? e->q.job_id : HUB_JOBS, seen, (int)e->wait);
	else
		reply_page(rq, e, rows, n);
	for (int i = 0; i < n; i++)
		event_row_done(&rows[i]);
	free(rows);
}

void api_job_events(struct http_request *rq)
{
	struct event_request e;
	struct job_row row;
	const char *id = http_segment(rq, "id");
	uint64_t seen = hub_seq(answer_api(rq)->hub, id);
	if (!read_request(rq, &e) || !job_find(rq, &row))
		return;
	bool ended = job_status_terminal(row.status);
	e.q.job_id = id;
	if (e.format == TAIL_JSON)
		answer_events(rq, &e, ended, seen);
	else if (e.format == TAIL_SSE && e.resumed && ended && e.q.after >= row.last_seq)
		http_reply_empty(rq, 204); /* tells an EventSource not to connect again (HTML, 9.2.3) */
	else
		tail_reply(rq, e.format, &e.q);
	job_row_done(&row);
}

void api_events(struct http_request *rq)
{
	struct event_request e;
	uint64_t seen = hub_seq(answer_api(rq)->hub, HUB_JOBS);
	if (!read_request(rq, &e))
		return;
	e.q.owner = auth_owner(rq);
	if (e.format == TAIL_JSON)
		answer_events(rq, &e, false, seen);
	else
		tail_reply(rq, e.format, &e.q);
}
