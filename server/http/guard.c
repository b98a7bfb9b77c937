/*
 * guard.c - what must hold of the headers before anything else is believed. Event thread, first call of a request.
 *
 * libmicrohttpd's parser takes requests whose end two programs would see at different places (RFC 9112,
 * sections 3.2, 6.1 and 6.3, and 11.2 on smuggling); they are refused here and their connection is closed. Then, since
 * browsers reach localhost: the Host must be ours (DNS rebinding) and the request must not come from another site.
 *
 * What the library hides, so that nothing here can refuse it (tests/server/http_cases.def, UNSEEN):
 * - the lines of chunks: zeros before a size, extensions, and in 0.9 a bare LF for CR LF at the end of a chunk's line,
 * of a chunk and of the last one; a handler gets the bytes between them;
 * - the lines of trailers, until all is over; they are kept apart from the headers and never looked at;
 * - empty lines before a request line, and the white space around a value;
 * - whether "100 Continue" was sent, and what a client sent after a refusal: the connection ends there;
 * - whatever it refuses by itself: request lines that are none, HTTP/0.9 and 2.0, heads larger than its memory, chunks
 *   and trailers that do not parse. It answers those in HTML, or not at all, and they are in no count of /metrics.
 * In 1.0 and later it refuses by itself what 0.9 lets pass in silence, beginning with bare LF and NUL (count_headers).
 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "http/inside.h"

enum { LINE_END = 2 };

struct counted {
	int total, host, length, transfer, type, origin, site, expect;
	const char *length_value, *transfer_value, *expect_value;
	bool malformed;
	uintptr_t next;       /* where the next header must begin; 0: not looked at */
	uintptr_t method_end; /* where the target must begin */
};

static bool token_valid(const char *name, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (name[i] <= ' ' || name[i] >= 0x7f || strchr("\"(),/:;<=>?@[\\]{}", name[i]))
			return false;
	return size > 0;
}

static bool value_valid(const char *value, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if ((value[i] >= 0 && value[i] < ' ' && value[i] != '\t') || value[i] == 0x7f)
			return false;
	return true;
}

static enum MHD_Result count_header(
	void *cls, enum MHD_ValueKind kind, const char *name, size_t name_size, const char *value, size_t value_size)
{
	(void)kind;
	struct counted *n = cls;
	if (!token_valid(name, name_size) || !value_valid(value, value_size))
		n->malformed = true;
	if (n->next) {
		n->malformed = n->malformed || (uintptr_t)name != n->next;
		n->next = (uintptr_t)value + value_size + LINE_END;
	}
	n->total++;
	if (strcasecmp(name, "Host") == 0)
		n->host++;
	else if (strcasecmp(name, "Content-Length") == 0)
		n->length++, n->length_value = value;
	else if (strcasecmp(name, "Transfer-Encoding") == 0)
		n->transfer++, n->transfer_value = value;
	else if (strcasecmp(name, "Content-Type") == 0)
		n->type++;
	else if (strcasecmp(name, "Origin") == 0)
		n->origin++;
	else if (strcasecmp(name, "Sec-Fetch-Site") == 0)
		n->site++;
	else if (strcasecmp(name, "Expect") == 0)
		n->expect++, n->expect_value = value;
	return MHD_YES;
}

/* Digits alone, and within 63 bits. */
static bool length_parse(const char *text, int64_t *ret)
{
	int64_t value = 0;
	if (!*text)
		return false;
	for (const char *p = text; *p; p++)
		if (*p < '0' || *p > '9' || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, *p - '0', &value))
			return false;
	*ret = value;
	return true;
}

static bool expects_to_go_on(const struct counted *n)
{
	return n->expect && strcasecmp(n->expect_value, "100-continue") == 0;
}

/* What is wrong, or NULL. */
static const char *framing_fault(struct http_request *rq, const struct counted *n, const char *version)
{
	bool old = strcmp(version, "HTTP/1.0") == 0;
	if (!old && strcmp(version, "HTTP/1.1") != 0)
		return "The version must be HTTP/1.1 or HTTP/1.0.";
	if (rq->target && (n->method_end != rq->target_at || (uintptr_t)version != rq->target_at + rq->target_size + 1))
		return "The request line is malformed.";
	if (n->malformed)
		return "The header lines are malformed.";
	if (n->host > 1 || (n->host == 0 && !old))
		return "There must be exactly one Host header.";
	if (n->length > 1 || n->transfer > 1)
		return "Content-Length and Transfer-Encoding may be given once.";
	if (n->length && n->transfer)
		return "Content-Length and Transfer-Encoding exclude each other.";
	if (n->transfer && (old || strcasecmp(n->transfer_value, "chunked") != 0))
		return "The only Transfer-Encoding is chunked, with HTTP/1.1.";
	if (n->length && !length_parse(n->length_value, &rq->declared))
		return "The Content-Length is not a valid number.";
	if (n->type > 1 || n->origin > 1 || n->site > 1 || n->expect > 1)
		return "Content-Type, Origin, Sec-Fetch-Site and Expect may be given once.";
	/* Of HTTP/1.0 no expectation is heard (RFC 9110, section 10.1.1). */
	if (!old && expects_to_go_on(n) && !n->transfer && rq->declared <= 0)
		return "Expect is for requests with a body.";
	return NULL;
}

/*
 * Before 1.0 libmicrohttpd ends a line at a NUL, ends the headers at a line that begins with a colon or a NUL, and
 * joins folded lines wrongly. It parses in place, so the pieces it found must tile the bytes it took, with nothing
 * between two lines but CR LF, and one space between the words of the first. Addresses are compared and not followed:
 * where they mean nothing, the request is refused.
 */
static void count_headers(
	struct http_request *rq, const char *method, const char *version, size_t bytes, struct counted *ret)
{
	bool tiled = strncmp(MHD_get_version(), "0.", 2) == 0;
	ret->method_end = tiled ? (uintptr_t)method + strlen(method) + 1 : rq->target_at;
	if (tiled)
		ret->next = (uintptr_t)version + strlen(version) + LINE_END;
	MHD_get_connection_values_n(rq->con, MHD_HEADER_KIND, count_header, ret);
	if (tiled && ret->next + LINE_END != (uintptr_t)method + bytes)
		ret->malformed = true;
}

bool guard_framing(struct http_request *rq, const char *method, const char *version)
{
	struct counted n = {0};
	const union MHD_ConnectionInfo *size =
		MHD_get_connection_info(rq->con, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
	size_t bytes = size ? size->header_size : 0;
	count_headers(rq, method, version, bytes, &n);
	const char *fault = framing_fault(rq, &n, version);
	atomic_fetch_add(&rq->srv->bytes_in, (long long)bytes);
	rq->chunked = n.transfer > 0;
	if (fault)
		http_reply_error(rq, ERR_INVALID_REQUEST, "", "%s", fault);
	else if (n.expect && !expects_to_go_on(&n) && strcmp(version, "HTTP/1.1") == 0)
		http_reply_error(rq, ERR_EXPECTATION_FAILED, "Expect", "The only expectation is 100-continue.");
	else if (bytes > HEADERS_MAX + rq->target_size || n.total > HEADER_COUNT_MAX)
		http_reply_error(rq, ERR_HEADERS_TOO_LARGE, "", "At most %d headers of %d bytes together are read.",
			HEADER_COUNT_MAX, HEADERS_MAX);
	else
		return true;
	rq->reply.close = true; /* where the next request begins is not known for certain */
	return false;
}

bool guard_method(struct http_request *rq, const char *method)
{
	const char *known = method_known(method);
	if (!known) {
		http_reply_error(
			rq, ERR_METHOD_UNKNOWN, "", "The methods are GET, HEAD, POST, PUT, PATCH, DELETE and OPTIONS.");
		return false;
	}
	rq->head = strcmp(known, "HEAD") == 0;
	rq->method = rq->head ? "GET" : known;
	return true;
}

bool hosts_parse(struct host_list *ret, const char *list, const char *address)
{
	enum { ROOM = sizeof(ret->names) / sizeof(ret->names[0]) };
	ret->text = strdup(list ? list : "");
	if (!ret->text)
		return false;
	ret->names[ret->count++] = "localhost";
	ret->names[ret->count++] = "127.0.0.1";
	ret->names[ret->count++] = "[::1]";
	if (!strchr(address, ':'))
		ret->names[ret->count++] = address;
	ret->configured = ret->count;
	char *save = NULL;
	for (char *name = strtok_r(ret->text, ", \t", &save); name; name = strtok_r(NULL, ", \t", &save)) {
		if (ret->count == ROOM)
			return false;
		ret->names[ret->count++] = name;
	}
	return true;
}

/* The length of the host in "host", "host:port" or "[v6]:port"; 0 when it is none of these. */
static size_t host_length(const char *authority)
{
	size_t n = authority[0] == '[' ? strcspn(authority, "]") + 1 : strcspn(authority, ":");
	if (n > strlen(authority))
		return 0;
	const char *port = authority + n;
	if (*port == ':' && strspn(port + 1, "0123456789") == strlen(port + 1) && strlen(port + 1) <= 5)
		return n;
	return *port ? 0 : n;
}

static bool host_listed(const struct host_list *hosts, int from, const char *authority)
{
	size_t n = host_length(authority);
	for (int i = from; i < hosts->count; i++)
		if (n > 0 && strlen(hosts->names[i]) == n && strncasecmp(hosts->names[i], authority, n) == 0)
			return true;
	return false;
}

/* A link followed from elsewhere opens a page in a tab of its own: harmless, because GET changes nothing here. */
static bool is_navigation(const struct http_request *rq)
{
	const char *mode = http_header(rq, "Sec-Fetch-Mode"), *dest = http_header(rq, "Sec-Fetch-Dest");
	return strcmp(rq->method, "GET") == 0 && mode && dest && strcmp(mode, "navigate") == 0 &&
	       strcmp(dest, "document") == 0;
}

bool guard_origin(struct http_request *rq)
{
	const struct host_list *hosts = &rq->srv->hosts;
	const char *host = http_header(rq, "Host"), *origin = http_header(rq, "Origin");
	const char *site = http_header(rq, "Sec-Fetch-Site");
	/* Over the Unix socket speaks a reverse proxy or a user of this machine, never a browser by itself. */
	if (host && !rq->conn->local && !host_listed(hosts, 0, host)) {
		http_reply_error(
			rq, ERR_HOST_NOT_ALLOWED, "Host", "Ask for localhost, or add the name to allowed_hosts.");
		return false;
	}
	if (origin) {
		const char *authority = strncasecmp(origin, "http://", 7) == 0    ? origin + 7
					: strncasecmp(origin, "https://", 8) == 0 ? origin + 8
										  : "";
		/* Another port of localhost is another site, unlike another port of a name that was configured. */
		if (!(host && *authority && strcasecmp(authority, host) == 0) &&
			!host_listed(hosts, hosts->configured, authority)) {
			http_reply_error(rq, ERR_ORIGIN_NOT_ALLOWED, "Origin", "The origin is not this server.");
			return false;
		}
	}
	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0 && !is_navigation(rq)) {
		http_reply_error(rq, ERR_ORIGIN_NOT_ALLOWED, "Sec-Fetch-Site", "The request comes from another site.");
		return false;
	}
	return true;
}
