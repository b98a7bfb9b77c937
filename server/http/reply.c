/*
 * reply.c - a handler's reply is first recorded in the request, on whatever thread it runs; then the event thread makes
 * a response of it and queues it, with the headers that every response has.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/jsonmem.h"
#include "base/log.h"
#include "http/inside.h"

/* Larger bodies are handed out piece by piece, so that each piece the client takes moves the deadline. */
enum { WHOLE_MAX = 64 << 10 };

#define CONTENT_SECURITY_POLICY                                                                                        \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "          \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

bool reply_any(const struct http_request *rq)
{
	return rq->reply.kind != REPLY_NONE;
}

/* The first reply stands; a second one is a mistake of the handler's. */
static bool reply_begin(struct http_request *rq, enum reply_kind kind, int status, const char *type)
{
	if (reply_any(rq)) {
		log_line(LOG_ERROR, "%s: the handler replied twice", rq->id);
		return false;
	}
	rq->reply.kind = kind;
	rq->reply.status = status;
	snprintf(rq->reply.type, sizeof(rq->reply.type), "%s", type);
	return true;
}

static struct reply_header *header_find(struct reply *r, const char *name)
{
	for (int i = 0; i < r->nheaders; i++)
		if (strcasecmp(r->headers[i].name, name) == 0)
			return &r->headers[i];
	return NULL;
}

void http_reply_header(struct http_request *rq, const char *name, const char *value)
{
	struct reply *r = &rq->reply;
	struct reply_header *h = header_find(r, name);
	if (!h && r->nheaders == REPLY_HEADERS_MAX) {
		log_line(LOG_ERROR, "%s: no room for the header %s", rq->id, name);
		return;
	}
	if (!h) {
		h = &r->headers[r->nheaders++];
		h->name = strdup(name);
		h->value = NULL;
	}
	free(h->value);
	h->value = strdup(value);
	if (!h->name || !h->value) {
		log_line(LOG_ERROR, "%s: out of memory", rq->id);
		free(h->name);
		free(h->value);
		*h = r->headers[--r->nheaders];
	}
}

void http_reply_bytes(struct http_request *rq, int status, const char *content_type, void *steals, size_t size)
{
	if (!reply_begin(rq, REPLY_BYTES, status, content_type)) {
		free(steals);
		return;
	}
	rq->reply.owned = steals;
	rq->reply.data = steals;
	rq->reply.size = size;
}

void http_reply_static(struct http_request *rq, int status, const char *content_type, const void *data, size_t size)
{
	if (!reply_begin(rq, REPLY_STATIC, status, content_type))
		return;
	rq->reply.data = data;
	rq->reply.size = size;
}

void http_reply_empty(struct http_request *rq, int status)
{
	reply_begin(rq, REPLY_EMPTY, status, "");
}

void http_reply_json(struct http_request *rq, int status, json_t *steals)
{
	/* 15 digits: every number that was written with so many comes back as it was written. */
	char *text = steals ? jsonmem_dumps(steals, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;
	size_t size = text ? strlen(text) : 0;
	char *line = text ? realloc(text, size + 2) : NULL;
	json_decref(steals);
	if (!line || (jsonmem_ran_out() && status < 300)) {
		free(line ? line : text);
		http_reply_error(rq, ERR_INTERNAL, "", "The answer could not be built.");
		return;
	}
	memcpy(line + size, "\n", 2);
	http_reply_bytes(rq, status, "application/json", line, size + 1);
}

void http_reply_problems(struct http_request *rq, const struct problems *problems)
{
	static const char last_resort[] =
		"{\"type\":\"urn:backpropd:error:internal\",\"status\":500,\"code\":\"internal\"}\n";
	char *text = NULL;
	size_t size = 0;
	if (jsonmem_ran_out() && error_info(problems->list[0].code)->status < 500) {
		/* What seems to be missing may have been there. */
		jsonmem_begin();
		http_reply_error(rq, ERR_UNAVAILABLE, "", "There is no memory to answer that.");
		return;
	}
	if (problem_text(rq, problems, &text, &size))
		http_reply_bytes(
			rq, error_info(problems->list[0].code)->status, "application/problem+json", text, size);
	else
		http_reply_static(rq, 500, "application/problem+json", last_resort, sizeof(last_resort) - 1);
}

void http_reply_error(struct http_request *rq, enum error_code code, const char *param, const char *detail_fmt, ...)
{
	char detail[sizeof(((struct problem *)0)->detail)];
	struct problems p = {.count = 0};
	va_list args;
	va_start(args, detail_fmt);
	vsnprintf(detail, sizeof(detail), detail_fmt, args);
	va_end(args);
	problems_add(&p, code, param, "%s", detail);
	http_reply_problems(rq, &p);
}

void reply_busy(struct http_request *rq, const char *why)
{
	http_reply_header(rq, "Retry-After", "1");
	http_reply_error(rq, ERR_UNAVAILABLE, "", "%s", why);
}

void http_reply_stream(struct http_request *rq, const char *content_type, const struct http_stream *stream)
{
	if (reply_begin(rq, REPLY_STREAM, 200, content_type))
		rq->reply.stream = *stream;
	else if (stream->done)
		stream->done(stream->state);
}

void reply_free(struct reply *r)
{
	for (int i = 0; i < r->nheaders; i++) {
		free(r->headers[i].name);
		free(r->headers[i].value);
	}
	free(r->owned);
	if (r->kind == REPLY_STREAM && r->stream.done)
		r->stream.done(r->stream.state);
	memset(r, 0, sizeof(*r));
}

/* ---- large bodies ---- */
struct source {
	struct conn *conn;
	void *owned;
	const char *data;
	size_t size;
};

static ssize_t source_read(void *cls, uint64_t pos, char *buf, size_t max)
{
	struct source *s = cls;
	size_t left = pos < s->size ? s->size - (size_t)pos : 0;
	size_t n = left < max ? left : max;
	conn_deadline_in(s->conn, s->conn->srv->o.deadlines.stall);
	memcpy(buf, s->data + pos, n);
	return n > 0 ? (ssize_t)n : MHD_CONTENT_READER_END_OF_STREAM;
}

static void source_free(void *cls)
{
	struct source *s = cls;
	free(s->owned);
	free(s);
}

static struct MHD_Response *large_response(struct http_request *rq)
{
	struct source *s = calloc(1, sizeof(*s));
	if (!s)
		return NULL;
	*s = (struct source){rq->conn, rq->reply.owned, rq->reply.data, rq->reply.size};
	struct MHD_Response *resp = MHD_create_response_from_callback(s->size, WHOLE_MAX, source_read, s, source_free);
	if (resp)
		rq->reply.owned = NULL;
	else
		free(s);
	return resp;
}

static struct MHD_Response *response_make(struct http_request *rq)
{
	struct reply *r = &rq->reply;
	if (r->kind == REPLY_STREAM)
		return stream_response(rq);
	if (r->size > WHOLE_MAX)
		return large_response(rq);
	if (r->kind == REPLY_BYTES && r->size > 0) {
		struct MHD_Response *resp = MHD_create_response_from_buffer(r->size, r->owned, MHD_RESPMEM_MUST_FREE);
		if (resp)
			r->owned = NULL;
		return resp;
	}
	return MHD_create_response_from_buffer(
		r->size, (void *)(uintptr_t)(r->size > 0 ? r->data : ""), MHD_RESPMEM_PERSISTENT);
}

/* ---- sending ---- */
static void add_default(struct http_request *rq, struct MHD_Response *resp, const char *name, const char *value)
{
	if (!header_find(&rq->reply, name))
		MHD_add_response_header(resp, name, value);
}

static void add_headers(struct http_request *rq, struct MHD_Response *resp)
{
	struct reply *r = &rq->reply;
	for (int i = 0; i < r->nheaders; i++)
		if (MHD_add_response_header(resp, r->headers[i].name, r->headers[i].value) != MHD_YES)
			log_line(LOG_ERROR, "%s: the header %s is not valid", rq->id, r->headers[i].name);
	if (r->type[0])
		add_default(rq, resp, "Content-Type", r->type);
	add_default(rq, resp, "X-Request-Id", rq->id);
	add_default(rq, resp, "X-Content-Type-Options", "nosniff");
	add_default(rq, resp, "Cache-Control", "no-store");
	if (strncmp(r->type, "text/html", 9) == 0)
		add_default(rq, resp, "Content-Security-Policy", CONTENT_SECURITY_POLICY);
	if (r->kind == REPLY_STREAM)
		add_default(rq, resp, "X-Accel-Buffering", "no");
	if (r->close || atomic_load(&rq->srv->closing))
		add_default(rq, resp, "Connection", "close");
}

enum MHD_Result reply_send(struct http_request *rq)
{
	struct reply *r = &rq->reply;
	struct http_server *srv = rq->srv;
	if (r->kind == REPLY_STREAM && !waiting_begin(rq)) {
		reply_free(r);
		reply_busy(rq, TOO_MANY_WAIT);
	}
	/* Without a length HEAD would be answered as chunked, and 0.9.75 then sends the last chunk all the same. */
	r->close = r->close || (rq->head && r->kind == REPLY_STREAM);
	struct MHD_Response *resp = response_make(rq);
	if (!resp) {
		log_line(LOG_ERROR, "%s: out of memory", rq->id);
		return MHD_NO;
	}
	add_headers(rq, resp);
	if (r->kind != REPLY_STREAM && !rq->head)
		atomic_fetch_add(&srv->bytes_out, (long long)r->size);
	if (r->status >= 100 && r->status < 600)
		atomic_fetch_add(&srv->responses[r->status / 100], 1);
	rq->step = STEP_DONE;
	atomic_store(&rq->conn->reading, false);
	conn_deadline_in(rq->conn, srv->o.deadlines.stall);
	enum MHD_Result result = MHD_queue_response(rq->con, (unsigned)r->status, resp);
	MHD_destroy_response(resp);
	return result;
}
