/*
 * client.h - a small HTTP/1.1 client over a raw socket, for tests: whole answers, streams, and broken requests.
 *
 * Used by the suites that talk to the real daemon (tests/http) and by those of server/http (tests/server). It knows
 * nothing of the server's objects, never sleeps (every wait is a poll() with a deadline) and reads exactly one
 * response at a time, so keep-alive and pipelining can be tested. One thread uses a client at a time.
 *
 *   struct response r = request_do(port, "GET", "/healthz", NULL, NULL, 0);
 *   ck_assert_int_eq(r.status, 200);
 *   response_free(&r);
 */
#ifndef TESTS_HTTP_CLIENT_H
#define TESTS_HTTP_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

enum { CLIENT_TIMEOUT_MS = 10000 }; /* the deadline of each call below, unless client_timeout() says otherwise */

struct client; /* one connection */

/* One answer. headers holds the lines after the status line, body is NUL-terminated beyond size. */
struct response {
	int status; /* 0: no whole response arrived (closed, cut, or the deadline passed) */
	char *headers, *body;
	size_t size;
	bool closes; /* the server said "Connection: close" */
};
void response_free(struct response *r);
/* The value of the first header of that name (any case), valid until the next call on the same thread; NULL if absent.
 */
const char *response_header(const struct response *r, const char *name);
int response_header_count(const struct response *r, const char *name);

/* ---- one request, one connection ---- */
/* headers: further lines, each ending in \r\n, or NULL. A body adds its Content-Length; Host is 127.0.0.1:port. */
struct response request_do(
	int port, const char *method, const char *target, const char *headers, const void *body, size_t size);
struct response request_get(int port, const char *target);
struct response request_json(int port, const char *method, const char *target, const char *json);

/* ---- a connection ---- */
struct client *client_open(int port);              /* 127.0.0.1; NULL when refused */
struct client *client_open_unix(const char *path); /* NULL when refused */
void client_close(struct client *c);               /* takes NULL */
void client_reset(struct client *c);               /* closes with RST, as a killed client does */
void client_timeout(struct client *c, int ms);     /* for each following call */
int client_fd(const struct client *c);

/* Bytes as they are. False when the server closed or the deadline passed. */
bool client_send(struct client *c, const void *bytes, size_t size);
bool client_sendf(struct client *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void client_shutdown_write(struct client *c);
/* A whole request with Host and, for a body (or size > 0), Content-Length; keeps the connection open. */
bool client_request(
	struct client *c, const char *method, const char *target, const char *headers, const void *body, size_t size);
/* One whole response; "100 Continue" is skipped. head: it answers HEAD and so has no body. */
struct response client_read(struct client *c, bool head);
bool client_closed(struct client *c); /* waits for the server's end of the connection: true when it came */

/* ---- a stream: after client_request, the head, then pieces of the (de-chunked) body as they come ---- */
struct response client_read_head(struct client *c); /* without a body */
/* Reads until the body holds needle; all of the body so far (NUL-terminated, the client's). NULL: the end came first.
 */
const char *client_read_until(struct client *c, const char *needle);
/* The next line without its end, the client's until the next call; NULL at the end of the body. */
const char *client_read_line(struct client *c);
bool client_read_end(struct client *c); /* reads on to the end of the body: true when it ended properly */

/* The next server-sent event (comments are counted, not returned). False at the end of the stream or the deadline. */
struct client_event {
	char id[32], type[48];
	const char *data; /* lines joined by \n; the client's until the next call */
	int comments;     /* heartbeats before it */
};
bool client_read_event(struct client *c, struct client_event *ret);

#endif
