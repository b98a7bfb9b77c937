/*
 * handle.c - a request from its first line to its end, as libmicrohttpd calls: event threads.
 *
 * request_begin (request line) -> request_call with the headers: everything that can be refused is refused here, before
 * the body -> request_call with pieces of the body -> request_call at its end: the handler runs, here or on a slow
 * thread -> its reply is queued -> request_end. While a handler runs elsewhere or a long poll sleeps, the connection is
 * suspended; resuming it leads to one more request_call.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "base/jsonmem.h"
#include "base/log.h"
#include "http/inside.h"

static struct conn *conn_get(struct MHD_Connection *con)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(con, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* The result becomes *req_cls; NULL ends the connection in request_call. */
void *request_begin(void *cls, const char *uri, struct MHD_Connection *con)
{
	struct http_request *rq = calloc(1, sizeof(*rq));
	struct conn *conn = conn_get(con);
	if (!rq || !conn) {
		free(rq);
		return NULL;
	}
	rq->srv = cls;
	rq->con = con;
	rq->conn = conn;
	rq->started = clock_mono();
	rq->method = "?";
	rq->declared = -1;
	rq->upload_fd = -1;
	id_new("req_", rq->id, sizeof(rq->id));
	rq->target_size = strlen(uri);
	rq->target_at = (uintptr_t)uri;
	if (rq->target_size <= TARGET_MAX)
		rq->target = strdup(uri);
	if (conn->requests++ > 0) {
		conn_deadline_in(conn, rq->srv->o.deadlines.header);
		conn_engage(conn, true);
	}
	atomic_fetch_add(&rq->srv->requests, 1);
	return rq;
}

/* A client must send 100 KiB a second on the average, once its first half minute is used up. */
static void body_deadline(struct http_request *rq)
{
	int64_t earned = (rq->received + rq->drained) * 1000 / (100 << 10);
	int64_t left = rq->body_since + rq->srv->o.deadlines.body + earned - now_ms();
	conn_deadline_in(rq->conn, left > 1 ? left : 1);
}

static bool admitted(struct http_request *rq)
{
	return !rq->srv->o.admit || rq->srv->o.admit(rq, rq->route);
}

static bool turned_away(struct http_request *rq)
{
	if (door_keeps(rq->conn))
		return false;
	reply_busy(rq, "Too many clients are connected.");
	rq->reply.close = true;
	return true;
}

static enum MHD_Result first_call(struct http_request *rq, const char *method, const char *version)
{
	bool fine =
		guard_framing(rq, method, version) && guard_method(rq, method) && target_parse(rq) && guard_origin(rq);
	if (!fine)
		atomic_fetch_add(&rq->srv->refused, 1);
	fine = fine && !turned_away(rq);
	fine = fine && route_find(rq) && admitted(rq) && body_check(rq);
	if (!fine && !reply_any(rq))
		http_reply_error(rq, ERR_INTERNAL, "", "The server is out of memory.");
	rq->step = STEP_BODY;
	rq->body_since = now_ms();
	body_deadline(rq);
	/* A reply in the first call keeps the body out, and costs the connection. */
	if (!fine && (rq->reply.close || rq->chunked || rq->declared > 0)) {
		rq->reply.close = true;
		return reply_send(rq);
	}
	return MHD_YES;
}

static void waited_update(struct http_request *rq)
{
	rq->later.waited = rq->later.until && (now_ms() >= rq->later.until || hub_closed(rq->srv->o.hub));
}

/* The handler has run: sleeps, runs it again, or sends its reply. */
static enum MHD_Result handler_ran(struct http_request *rq);

static enum MHD_Result handler_run(struct http_request *rq)
{
	waited_update(rq);
	if (rq->route->pace == SLOW) {
		if (slow_submit(rq->srv->slow, rq))
			return MHD_YES;
		reply_busy(rq, "Too many requests of this kind are waiting, or the server is stopping.");
		return reply_send(rq);
	}
	jsonmem_begin();
	rq->route->handler(rq);
	return handler_ran(rq);
}

static enum MHD_Result handler_ran(struct http_request *rq)
{
	while (rq->later.wanted && !reply_any(rq)) {
		rq->later.wanted = false;
		if (request_sleep(rq))
			return MHD_YES;
		if (reply_any(rq))
			break;
		if (rq->route->pace == SLOW)
			return handler_run(rq);
		waited_update(rq);
		jsonmem_begin();
		rq->route->handler(rq);
	}
	if (!reply_any(rq)) {
		log_line(LOG_ERROR, "%s: the handler of %s did not reply", rq->id, rq->route->path);
		http_reply_error(rq, ERR_INTERNAL, "", "The server did not make an answer.");
	}
	/* Now: who has the answer sees no file left, and what was kept of it is not counted twice. */
	body_drop_upload(rq);
	body_room_end(rq);
	return reply_send(rq);
}

static enum MHD_Result body_ended(struct http_request *rq)
{
	atomic_store(&rq->conn->reading, false);
	if (reply_any(rq) || !body_finish(rq))
		return reply_send(rq);
	return handler_run(rq);
}

/* Whoever asked may not be allowed to any more. */
static enum MHD_Result woken(struct http_request *rq)
{
	if (admitted(rq))
		return handler_run(rq);
	if (!reply_any(rq))
		http_reply_error(rq, ERR_INTERNAL, "", "The server is out of memory.");
	return reply_send(rq);
}

enum MHD_Result request_call(void *cls, struct MHD_Connection *con, const char *url, const char *method,
	const char *version, const char *data, size_t *size, void **req_cls)
{
	(void)cls;
	(void)con;
	(void)url;
	struct http_request *rq = *req_cls;
	if (!rq)
		return MHD_NO;
	switch (rq->step) {
	case STEP_NEW:
		return first_call(rq, method, version);
	case STEP_BODY:
		if (*size == 0)
			return body_ended(rq);
		if (!body_add(rq, data, *size))
			return MHD_NO;
		*size = 0;
		body_deadline(rq);
		return MHD_YES;
	case STEP_SLOW:
		return handler_ran(rq);
	case STEP_ASLEEP:
		waiting_end(rq);
		return woken(rq);
	case STEP_DONE:
		return MHD_NO;
	}
	return MHD_NO;
}

void request_end(void *cls, struct MHD_Connection *con, void **req_cls, enum MHD_RequestTerminationCode code)
{
	(void)cls;
	(void)con;
	struct http_request *rq = *req_cls;
	*req_cls = NULL;
	if (!rq)
		return;
	conn_deadline_in(rq->conn, rq->srv->o.deadlines.idle);
	atomic_store(&rq->conn->reading, true);
	conn_engage(rq->conn, false);
	log_line(LOG_DEBUG, "%s %s %s -> %d in %.1f ms%s", rq->id, rq->head ? "HEAD" : rq->method,
		rq->target ? rq->target : "(too long)", rq->reply.status, (clock_mono() - rq->started) * 1000,
		code == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : ", cut short");
	body_free(rq);
	reply_free(&rq->reply);
	body_room_end(rq);
	waiting_end(rq);
	free(rq->target);
	free(rq->query_text);
	free(rq);
}
