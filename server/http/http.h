/*
 * http.h - what a handler sees of HTTP: a request, and exactly one reply.
 *
 * http/ owns libmicrohttpd, the header guard, deadlines, body limits, Host and Origin checks, the route table's
 * dispatch, problem+json, streams and sleeping connections. It knows no store: api/ gives it handlers (routes.def) and
 * pull functions. Handlers run on an event thread and must be quick, unless their route is SLOW: then http suspends the
 * connection and runs the handler on one of its slow threads.
 */
#ifndef HTTP_HTTP_H
#define HTTP_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"
#include "hub/hub.h"

enum http_body { BODY_NONE, BODY_JSON, BODY_FILE };
enum http_pace { QUICK, SLOW };

struct http_request;
typedef void http_handler(struct http_request *rq);

struct route {
	const char *method; /* "GET"; HEAD follows from GET, OPTIONS is answered by http */
	const char *path;   /* "/v1/jobs/{id}/events"; a {name} matches one segment */
	http_handler *handler;
	enum http_body body;
	enum http_pace pace;
	const char *summary; /* for the catalogue and the check against openapi.json */
	int scope;           /* what it asks of whoever calls: api's, not looked at by http */
};

/* ---- of the request: all borrowed until the reply is complete ---- */
void *http_app(const struct http_request *rq);                             /* api's context */
const char *http_segment(const struct http_request *rq, const char *name); /* decoded once; [A-Za-z0-9._-]{1,64} */
const char *http_query(const struct http_request *rq, const char *name);   /* decoded; NULL when absent */
/* Reports query parameters not among the n names. */
void http_query_only(const struct http_request *rq, const char *const *names, int n, struct problems *problems);
bool http_query_int(const struct http_request *rq, const char *name, int64_t min, int64_t max, int64_t *value,
	struct problems *problems); /* value keeps its default when absent; false with a problem */
const char *http_header(const struct http_request *rq, const char *name); /* NULL when absent */
/* Whether text is a decimal integer and nothing else, as http_query_int takes it. */
bool http_integer(const char *text, int64_t *ret);
const json_t *http_json(const struct http_request *rq); /* BODY_JSON: parsed, size and depth checked */
const char *http_body_bytes(const struct http_request *rq, size_t *ret_size); /* BODY_JSON: as received */
/* BODY_FILE: where the body lies, complete, under the upload directory, until the handler returns, which may rename it
 * away. */
const char *http_upload_path(const struct http_request *rq);
int64_t http_upload_size(const struct http_request *rq);
/* Of the Content-Length; -1 without one. */
int64_t http_declared_size(const struct http_request *rq);
/* For admit: a file of more bytes is refused with that error, before its body when that is known. Once such a request
 * is over, http_options.over is called. */
void http_file_room(struct http_request *rq, int64_t bytes, enum error_code refusal);
/* Who asks, as http_options.admit found out; user "" and scope 0 before. */
struct http_identity {
	char user[33];
	int scope;
	char token[40];    /* the id of the token that said so; "" without one */
	double expires_at; /* unix seconds; 0: never */
};
const struct http_identity *http_identity(const struct http_request *rq);
void http_identify(struct http_request *rq, const char *user, int scope);
/* The token by which it was identified, and until when. A long poll is admitted anew when it wakes up, and both long
 * polls and streams are woken at that time. */
void http_identify_token(struct http_request *rq, const char *token, double expires_at);
/* Within two seconds every sleeping stream of the server is asked again, and every long poll is admitted and run again:
 * what they were admitted by may have changed. */
void http_wake(struct http_request *rq);
/* The user id of the process at the other end of a Unix socket; false for TCP. */
bool http_peer_uid(const struct http_request *rq, unsigned *ret_uid);
/* The best of the n media types by the Accept header; -1 when none fits. No header: 0. */
int http_accept(const struct http_request *rq, const char *const *types, int n);

/* ---- the reply: call one of them, once ---- */
void http_reply_header(struct http_request *rq, const char *name, const char *value); /* before the reply; copied */
void http_reply_json(struct http_request *rq, int status, json_t *steals);            /* NULL: 500 */
void http_reply_problems(struct http_request *rq, const struct problems *problems);
void http_reply_error(struct http_request *rq, enum error_code code, const char *param, const char *detail_fmt, ...)
	__attribute__((format(printf, 4, 5)));
void http_reply_empty(struct http_request *rq, int status); /* 204, 304 */
void http_reply_bytes(struct http_request *rq, int status, const char *content_type, void *steals, size_t size);
void http_reply_static(struct http_request *rq, int status, const char *content_type, const void *data, size_t size);

/*
 * A stream that the client pulls. pull writes at most max bytes and returns how many; 0: nothing now, sleep until the
 * topic moves on (it was read before the pull, so nothing is lost); -1: the end. moved: the topic has, since the pull
 * before, or this is the first; else whoever wrote all that there was need not look again. Called on event threads, one
 * at a time. heartbeat (may be NULL) is sent when nothing was for 15 s. done frees state.
 */
struct http_stream {
	char topic[64];
	const char *heartbeat;
	long (*pull)(void *state, char *buf, size_t max, bool moved);
	void (*done)(void *state);
	void *state;
};
void http_reply_stream(struct http_request *rq, const char *content_type, const struct http_stream *stream);

/*
 * Long poll: instead of a reply. The connection sleeps until topic moves on from seen or wait_seconds (from the first
 * call) have passed, then the handler runs again; http_waited is true once the time is over.
 */
void http_reply_later(struct http_request *rq, const char *topic, uint64_t seen, int wait_seconds);
bool http_waited(const struct http_request *rq);

/* ---- the server ---- */
/* Milliseconds; 0 takes the default that stands behind. Tests shorten them. */
struct http_deadlines {
	int sweep;  /* 1000: how often deadlines are looked at */
	int header; /* 10000: from the connection's opening (later from the request line) to the end of the headers */
	int idle;   /* 60000: between two requests of a connection */
	int body;   /* 30000: for the body, and 1000 more for each 100 KiB received */
	int stall;  /* 30000: without the client taking any of the response */
	int heartbeat; /* 15000: of a sleeping stream */
	int drain;     /* 2000: for running replies when the server stops */
};

struct http_options {
	const char *address;     /* "127.0.0.1" or another numeric address, no name */
	bool anywhere;           /* the address may be beyond loopback */
	int port;                /* 0: any free one */
	const char *unix_socket; /* path or NULL */
	int listen_fd;           /* from socket activation, TCP or Unix, in place of the one above; -1 = none */
	int event_threads, slow_threads;
	int max_connections;
	int64_t max_json_bytes, max_upload_bytes;
	const char *upload_dir;
	const char *allowed_hosts; /* further names for the Host check, comma separated, or NULL */
	struct hub *hub;
	/* Called on an event thread once the route is known and before the body is read: false when it has replied with
	 * a refusal. NULL: everyone may ask for everything. */
	bool (*admit)(struct http_request *rq, const struct route *route);
	/* Once a request for which admit called http_file_room takes no more room: refused, or at its end. NULL: nobody
	 * wants to know. */
	void (*over)(struct http_request *rq);
	const struct route *routes; /* must outlive the server, as app must */
	int nroutes;
	void *app;
	struct http_deadlines deadlines;
};
struct http_server;
struct http_server *http_start(const struct http_options *o); /* NULL (logged) */
int http_port(const struct http_server *srv);
/* Whether each event thread answers within that time; logged when not. Not while the server stops. */
bool http_answers(struct http_server *srv, int timeout_ms);
/* Refuses what is new, ends streams and sleepers (closes the hub if that was not done), waits for handlers, frees. */
void http_stop(struct http_server *srv);

/* Counters for /metrics. */
struct http_stats {
	int64_t requests_total, responses_by_class[6], connections, streams, bytes_in, bytes_out, guard_refused;
	int64_t timeouts; /* connections cut off at a deadline */
	int64_t waiting;  /* streams, and long polls that sleep */
};
void http_stats(const struct http_server *srv, struct http_stats *ret);

#endif
