/*
 * target.c - the request target: path and query as raw bytes, each value decoded once. Event thread, first call.
 *
 * libmicrohttpd would decode the path before anyone can look at it, so that "%2e%2e" or "%00" change which resource is
 * meant; here it gets a decoder that does nothing, and what has two readings is refused (RFC 3986, sections 2.1
 * and 3.3).
 */
#include <stdlib.h>
#include <string.h>

#include "http/inside.h"

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool target_decode(const char *from, size_t size, char *ret, bool path)
{
	size_t n = 0;
	for (size_t i = 0; i < size; i++) {
		char c = from[i];
		if (c == '%') {
			int high = size - i > 2 ? hex_digit(from[i + 1]) : -1;
			int low = size - i > 2 ? hex_digit(from[i + 2]) : -1;
			if (high < 0 || low < 0)
				return false;
			c = (char)(high << 4 | low);
			if (c == '\0' || (path && (c == '/' || c == '\\')))
				return false;
			i += 2;
		} else if (c == '+' && !path) {
			c = ' ';
		}
		ret[n++] = c;
	}
	ret[n] = '\0';
	return true;
}

/* RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF; and no control characters. */
static bool text_valid(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;
	while (*p) {
		if (*p < 0x80) {
			if (*p < ' ' || *p == 0x7f)
				return false;
			p++;
			continue;
		}
		int more = *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
		if (*p < 0xc2 || *p > 0xf4)
			return false;
		unsigned value = *p & (0x3f >> more);
		for (int i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
			value = value << 6 | (p[i] & 0x3f);
		}
		if ((more == 2 && value < 0x800) || (more == 3 && (value < 0x10000 || value > 0x10ffff)) ||
			(value >= 0xd800 && value < 0xe000))
			return false;
		p += more + 1;
	}
	return true;
}

/* Escapes that are whole and harmless, and no segment "." or "..", however written. */
static bool path_valid(const char *path, size_t size)
{
	char segment[TARGET_MAX + 1];
	for (size_t i = 0; i < size;) {
		const char *end = memchr(path + i + 1, '/', size - i - 1);
		size_t next = end ? (size_t)(end - path) : size;
		if (memchr(path + i, '\\', next - i) || !target_decode(path + i + 1, next - i - 1, segment, true))
			return false;
		if (!text_valid(segment) || strcmp(segment, ".") == 0 || strcmp(segment, "..") == 0)
			return false;
		i = next;
	}
	return true;
}

static bool query_add(struct http_request *rq, const char *pair, size_t size, char **into)
{
	const char *eq = memchr(pair, '=', size);
	size_t name_size = eq ? (size_t)(eq - pair) : size;
	char *name = *into, *value = name + name_size + 1;
	if (!target_decode(pair, name_size, name, false) ||
		!target_decode(eq ? eq + 1 : "", eq ? size - name_size - 1 : 0, value, false)) {
		http_reply_error(
			rq, ERR_INVALID_QUERY, "", "A percent sign in the query does not begin a valid escape.");
		return false;
	}
	if (!text_valid(name) || !text_valid(value)) {
		http_reply_error(rq, ERR_INVALID_QUERY, "", "The query is not valid UTF-8 text.");
		return false;
	}
	if (http_query(rq, name)) {
		http_reply_error(rq, ERR_INVALID_QUERY, name, "The parameter is given twice.");
		return false;
	}
	if (rq->nquery == QUERY_MAX) {
		http_reply_error(rq, ERR_INVALID_QUERY, "", "There are more than %d parameters.", QUERY_MAX);
		return false;
	}
	rq->query[rq->nquery++] = (struct query_pair){name, value};
	*into = value + (eq ? size - name_size - 1 : 0) + 1;
	return true;
}

static bool query_parse(struct http_request *rq, const char *query)
{
	/* Decoding never lengthens; a pair needs two terminators, of which the '=' and the '&' pay all but the last. */
	rq->query_text = malloc(strlen(query) * 2 + 2);
	if (!rq->query_text)
		return false;
	char *into = rq->query_text;
	while (*query) {
		size_t size = strcspn(query, "&");
		if (size > 0 && !query_add(rq, query, size, &into))
			return false;
		query += size + (query[size] == '&');
	}
	return true;
}

bool target_parse(struct http_request *rq)
{
	if (!rq->target) {
		http_reply_error(rq, rq->target_size > TARGET_MAX ? ERR_URI_TOO_LONG : ERR_INTERNAL, "",
			"The URI may have at most %d bytes.", TARGET_MAX);
		return false;
	}
	for (const char *p = rq->target; *p; p++)
		if (*p <= ' ' || *p == 0x7f || *p == '#' || (unsigned char)*p >= 0x80) {
			http_reply_error(
				rq, ERR_INVALID_REQUEST, "", "The URI has a byte that must be percent-encoded.");
			return false;
		}
	char *query = strchr(rq->target, '?');
	if (query)
		*query++ = '\0';
	if (strcmp(rq->target, "*") == 0)
		return true; /* OPTIONS * is answered; for others the router finds nothing */
	if (rq->target[0] != '/' || !path_valid(rq->target, strlen(rq->target))) {
		http_reply_error(rq, ERR_INVALID_REQUEST, "", "The path of the URI is not valid.");
		return false;
	}
	return !query || query_parse(rq, query);
}
