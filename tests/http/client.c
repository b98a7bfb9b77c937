/* client.c - see client.h. Reads go through one growing buffer of raw bytes and one of de-chunked body. */
#include "http/client.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

struct bytes {
	char *at;
	size_t size, room; /* at[size] is always NUL once something was added */
};

enum framing { FRAME_NONE, FRAME_LENGTH, FRAME_CHUNKED, FRAME_CLOSE };

struct client {
	int fd, timeout_ms, port;
	bool closed;       /* the server's end has come */
	struct bytes raw;  /* received, not yet taken */
	struct bytes body; /* of the response being read, de-chunked */
	size_t line_at;    /* how far client_read_line came in body */
	enum framing framing;
	size_t left;          /* of a Content-Length or of the present chunk */
	bool in_chunk, ended; /* the body is complete */
	struct bytes data;    /* of the present event */
};

static void bytes_add(struct bytes *b, const void *from, size_t size)
{
	if (b->size + size + 1 > b->room) {
		b->room = (b->size + size + 1) * 2;
		b->at = realloc(b->at, b->room);
		if (!b->at)
			abort();
	}
	if (size > 0)
		memcpy(b->at + b->size, from, size);
	b->size += size;
	b->at[b->size] = '\0';
}

static void bytes_drop(struct bytes *b, size_t size)
{
	memmove(b->at, b->at + size, b->size - size + 1);
	b->size -= size;
}

static long long now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

/* Looks once at least: what has come counts, also when we ourselves come late. */
static bool wait_for(const struct client *c, short events, long long deadline)
{
	for (;;) {
		long long left = deadline - now_ms();
		struct pollfd p = {.fd = c->fd, .events = events};
		int n = poll(&p, 1, left < 0 ? 0 : (int)left);
		if (n > 0)
			return true;
		if (n == 0 || errno != EINTR)
			return false;
	}
}

/* More raw bytes by the deadline; false at the end of the connection or the deadline. */
static bool receive(struct client *c, long long deadline)
{
	char buf[65536];
	while (wait_for(c, POLLIN, deadline)) {
		ssize_t n = recv(c->fd, buf, sizeof(buf), MSG_DONTWAIT);
		if (n > 0) {
			bytes_add(&c->raw, buf, (size_t)n);
			return true;
		}
		if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			c->closed = true;
			return false;
		}
	}
	return false;
}

/* ---- answers ---- */
void response_free(struct response *r)
{
	free(r->headers);
	free(r->body);
	memset(r, 0, sizeof(*r));
}

static const char *header_find(const char *headers, const char *name, int nth, char *ret, size_t room)
{
	size_t len = strlen(name);
	for (const char *line = headers; line && *line; line = strstr(line, "\r\n"), line = line ? line + 2 : NULL) {
		if (strncasecmp(line, name, len) != 0 || line[len] != ':' || nth-- > 0)
			continue;
		const char *value = line + len + 1 + strspn(line + len + 1, " \t");
		snprintf(ret, room, "%.*s", (int)strcspn(value, "\r\n"), value);
		return ret;
	}
	return NULL;
}

const char *response_header(const struct response *r, const char *name)
{
	static _Thread_local char value[8192];
	return header_find(r->headers, name, 0, value, sizeof(value));
}

int response_header_count(const struct response *r, const char *name)
{
	char value[8];
	int n = 0;
	while (header_find(r->headers, name, n, value, sizeof(value)))
		n++;
	return n;
}

struct response request_do(
	int port, const char *method, const char *target, const char *headers, const void *body, size_t size)
{
	struct response r = {0};
	struct client *c = client_open(port);
	if (!c)
		return r;
	/* A server may answer and close before all of the body is sent: read in any case. */
	client_request(c, method, target, headers, body, size);
	r = client_read(c, strcmp(method, "HEAD") == 0);
	client_close(c);
	return r;
}

struct response request_get(int port, const char *target)
{
	return request_do(port, "GET", target, NULL, NULL, 0);
}

struct response request_json(int port, const char *method, const char *target, const char *json)
{
	return request_do(port, method, target, "Content-Type: application/json\r\n", json, strlen(json));
}

/* ---- a connection ---- */
static struct client *client_new(int family, const struct sockaddr *addr, socklen_t size, int port)
{
	struct client *c = calloc(1, sizeof(*c));
	if (!c)
		abort();
	c->timeout_ms = CLIENT_TIMEOUT_MS;
	c->port = port;
	c->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, addr, size) != 0) {
		client_close(c);
		return NULL;
	}
	if (family == AF_INET)
		setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
	bytes_add(&c->raw, "", 0);
	bytes_add(&c->body, "", 0);
	bytes_add(&c->data, "", 0);
	return c;
}

struct client *client_open(int port)
{
	struct sockaddr_in a = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	return client_new(AF_INET, (const struct sockaddr *)&a, sizeof(a), port);
}

struct client *client_open_unix(const char *path)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	return client_new(AF_UNIX, (const struct sockaddr *)&a, sizeof(a), 0);
}

void client_close(struct client *c)
{
	if (!c)
		return;
	if (c->fd >= 0)
		close(c->fd);
	free(c->raw.at);
	free(c->body.at);
	free(c->data.at);
	free(c);
}

void client_reset(struct client *c)
{
	setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &(struct linger){1, 0}, sizeof(struct linger));
	client_close(c);
}

void client_timeout(struct client *c, int ms)
{
	c->timeout_ms = ms;
}

int client_fd(const struct client *c)
{
	return c->fd;
}

bool client_send(struct client *c, const void *bytes, size_t size)
{
	const char *at = bytes;
	long long deadline = now_ms() + c->timeout_ms;
	while (size > 0) {
		if (!wait_for(c, POLLOUT, deadline))
			return false;
		ssize_t n = send(c->fd, at, size, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		if (n > 0) {
			at += n;
			size -= (size_t)n;
		}
	}
	return true;
}

bool client_sendf(struct client *c, const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	va_start(args, fmt);
	int n = vasprintf(&text, fmt, args);
	va_end(args);
	bool ok = n >= 0 && client_send(c, text, (size_t)n);
	free(text);
	return ok;
}

void client_shutdown_write(struct client *c)
{
	shutdown(c->fd, SHUT_WR);
}

bool client_request(
	struct client *c, const char *method, const char *target, const char *headers, const void *body, size_t size)
{
	char host[40] = "localhost", length[48] = "";
	if (c->port)
		snprintf(host, sizeof(host), "127.0.0.1:%d", c->port);
	if (body || size > 0)
		snprintf(length, sizeof(length), "Content-Length: %zu\r\n", size);
	return client_sendf(c, "%s %s HTTP/1.1\r\nHost: %s\r\n%s%s\r\n", method, target, host, length,
		       headers ? headers : "") &&
	       (size == 0 || client_send(c, body, size));
}

/* Takes a head from raw; false when none came whole. */
static bool take_head(struct client *c, struct response *ret, long long deadline)
{
	char *end;
	while (!(end = strstr(c->raw.at, "\r\n\r\n")))
		if (!receive(c, deadline))
			return false;
	int status = 0;
	if (sscanf(c->raw.at, "HTTP/1.%*1[01] %3d", &status) != 1)
		return false;
	char *first = strstr(c->raw.at, "\r\n") + 2;
	ret->headers = strndup(first, first > end ? 0 : (size_t)(end + 2 - first));
	bytes_drop(&c->raw, (size_t)(end + 4 - c->raw.at));
	ret->status = status;
	return true;
}

struct response client_read_head(struct client *c)
{
	struct response r = {0};
	long long deadline = now_ms() + c->timeout_ms;
	do {
		response_free(&r);
		if (!take_head(c, &r, deadline))
			return r;
	} while (r.status == 100);
	c->body.size = 0;
	c->body.at[0] = '\0';
	c->line_at = 0;
	c->in_chunk = c->ended = false;
	c->left = 0;
	const char *value = response_header(&r, "Transfer-Encoding");
	c->framing = FRAME_CLOSE;
	if (value && strcasecmp(value, "chunked") == 0)
		c->framing = FRAME_CHUNKED;
	else if ((value = response_header(&r, "Content-Length")))
		c->framing = FRAME_LENGTH, c->left = (size_t)strtoull(value, NULL, 10);
	if (r.status == 204 || r.status == 304)
		c->framing = FRAME_NONE;
	c->ended = c->framing == FRAME_NONE || (c->framing == FRAME_LENGTH && c->left == 0);
	value = response_header(&r, "Connection");
	r.closes = value && strcasecmp(value, "close") == 0;
	return r;
}

static void take_bytes(struct client *c)
{
	size_t n = c->framing == FRAME_CLOSE || c->raw.size < c->left ? c->raw.size : c->left;
	bytes_add(&c->body, c->raw.at, n);
	bytes_drop(&c->raw, n);
	if (c->framing != FRAME_CLOSE)
		c->left -= n;
}

/* Moves what raw holds into body as the framing says. False when more bytes are needed first. */
static bool take_chunk(struct client *c)
{
	if (c->in_chunk && c->left > 0) {
		if (c->raw.size == 0)
			return false;
		take_bytes(c);
		return true;
	}
	char *end = strstr(c->raw.at, "\r\n");
	if (!end)
		return false;
	if (c->in_chunk) { /* the line end after a chunk's bytes */
		bytes_drop(&c->raw, 2);
		c->in_chunk = false;
		return true;
	}
	size_t left = (size_t)strtoull(c->raw.at, NULL, 16);
	if (left == 0) {
		char *last = strstr(end, "\r\n\r\n"); /* trailers, if any, end with an empty line */
		if (!last)
			return false;
		bytes_drop(&c->raw, (size_t)(last + 4 - c->raw.at));
		c->ended = true;
		return true;
	}
	bytes_drop(&c->raw, (size_t)(end + 2 - c->raw.at));
	c->left = left;
	c->in_chunk = true;
	return true;
}

/* Some more of the body; false at its end, the connection's end or the deadline. */
static bool take_body(struct client *c, long long deadline)
{
	while (!c->ended) {
		size_t before = c->body.size;
		if (c->framing == FRAME_CHUNKED) {
			if (!take_chunk(c) && !receive(c, deadline))
				return false;
		} else if (c->raw.size > 0) {
			take_bytes(c);
			c->ended = c->framing == FRAME_LENGTH && c->left == 0;
		} else if (!receive(c, deadline)) {
			c->ended = c->framing == FRAME_CLOSE && now_ms() < deadline;
			return false;
		}
		if (c->body.size > before)
			return true;
	}
	return false;
}

bool client_read_end(struct client *c)
{
	long long deadline = now_ms() + c->timeout_ms;
	while (take_body(c, deadline))
		;
	return c->ended;
}

struct response client_read(struct client *c, bool head)
{
	struct response r = client_read_head(c);
	if (r.status == 0)
		return r;
	if (!head && !client_read_end(c)) {
		response_free(&r);
		return r;
	}
	r.size = head ? 0 : c->body.size;
	r.body = calloc(1, r.size + 1);
	if (!r.body)
		abort();
	memcpy(r.body, c->body.at, r.size);
	return r;
}

bool client_closed(struct client *c)
{
	long long deadline = now_ms() + c->timeout_ms;
	while (receive(c, deadline))
		;
	return c->closed;
}

const char *client_read_until(struct client *c, const char *needle)
{
	long long deadline = now_ms() + c->timeout_ms;
	while (!strstr(c->body.at, needle))
		if (!take_body(c, deadline))
			return NULL;
	return c->body.at;
}

const char *client_read_line(struct client *c)
{
	long long deadline = now_ms() + c->timeout_ms;
	for (;;) {
		char *line = c->body.at + c->line_at, *end = strchr(line, '\n');
		if (end) {
			*end = '\0';
			if (end > line && end[-1] == '\r')
				end[-1] = '\0';
			c->line_at = (size_t)(end + 1 - c->body.at);
			return line;
		}
		if (!take_body(c, deadline))
			return NULL;
	}
}

bool client_read_event(struct client *c, struct client_event *ret)
{
	bool any = false;
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->type, sizeof(ret->type), "message");
	c->data.size = 0;
	c->data.at[0] = '\0';
	for (;;) {
		const char *line = client_read_line(c);
		if (!line)
			return false;
		const char *value = strchr(line, ':');
		value = value ? value + 1 + (value[1] == ' ') : "";
		if (line[0] == ':') {
			ret->comments++;
		} else if (strncmp(line, "data", 4) == 0) {
			if (any)
				bytes_add(&c->data, "\n", 1);
			bytes_add(&c->data, value, strlen(value));
			any = true;
		} else if (strncmp(line, "id", 2) == 0) {
			snprintf(ret->id, sizeof(ret->id), "%s", value);
		} else if (strncmp(line, "event", 5) == 0) {
			snprintf(ret->type, sizeof(ret->type), "%s", value);
		} else if (!*line && any) {
			ret->data = c->data.at;
			return true;
		}
	}
}
