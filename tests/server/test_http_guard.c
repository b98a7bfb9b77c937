/*
 * test_http_guard.c - requests that must not be believed: each is sent as raw bytes, followed by a second request that
 * must not be answered once the first was refused with its connection.
 */
#include "http_toy.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct toy *t;

static void start(void)
{
	t = toy_start(NULL);
}

static void stop(void)
{
	toy_stop(t);
}

/* REFUSED: 4xx, or the connection ended without a word; whichever, it ends. libmicrohttpd answers some by itself. */
enum { REFUSED = -1 };

struct raw_case {
	const char *what, *bytes;
	size_t size;
	int status;
	bool closes;
};

#define RAW(what, bytes, status, closes)                                                                               \
	{                                                                                                              \
		what, bytes, sizeof(bytes) - 1, status, closes                                                         \
	}
#define HOST "Host: localhost\r\n"
#define GET(more) "GET /v1/things HTTP/1.1\r\n" HOST more "\r\n"
#define POST(more) "POST /v1/things HTTP/1.1\r\n" HOST "Content-Type: application/json\r\n" more
#define TARGET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

static const struct raw_case cases[] = {
	/* well-formed, to see that the guard lets pass what it should */
	RAW("a plain GET", GET(""), 200, false),
	RAW("HTTP/1.0 with a Host", "GET /v1/things HTTP/1.0\r\n" HOST "\r\n", 200, true),
	RAW("HTTP/1.0 without a Host", "GET /v1/things HTTP/1.0\r\n\r\n", 200, true),
	RAW("a Content-Length body", POST("Content-Length: 7\r\n\r\n{\"a\":1}"), 201, false),
	RAW("a chunked body", POST("Transfer-Encoding: chunked\r\n\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n"), 201,
		false),
	RAW("a trailer", POST("Transfer-Encoding: chunked\r\n\r\n7\r\n{\"a\":1}\r\n0\r\nX-Sum: 1\r\n\r\n"), 201, false),
	RAW("Chunked in capitals", POST("Transfer-Encoding: CHUNKED\r\n\r\n7\r\n{\"a\":1}\r\n0\r\n\r\n"), 201, false),
	RAW("an empty line before the request", "\r\n" GET(""), 200, false),

	/* where does the request end? */
	RAW("two equal Content-Length", POST("Content-Length: 7\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), 400, true),
	RAW("two different Content-Length", POST("Content-Length: 7\r\nContent-Length: 50\r\n\r\n{\"a\":1}"), 400,
		true),
	RAW("a list of lengths", POST("Content-Length: 7, 7\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a signed length", POST("Content-Length: +7\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a negative length", POST("Content-Length: -1\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a hexadecimal length", POST("Content-Length: 0x7\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a length with letters", POST("Content-Length: 7a\r\n\r\n{\"a\":1}"), 400, true),
	RAW("an empty length", POST("Content-Length:\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a length of 2^63", POST("Content-Length: 9223372036854775808\r\n\r\n"), REFUSED, true),
	RAW("a length of 2^64", POST("Content-Length: 18446744073709551616\r\n\r\n"), REFUSED, true),
	RAW("Content-Length, then chunked", POST("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
		400, true),
	RAW("chunked, then Content-Length", POST("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n"),
		400, true),
	RAW("Transfer-Encoding twice",
		POST("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, true),
	RAW("identity, then chunked",
		POST("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400, true),
	RAW("gzip, chunked", POST("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), REFUSED, true),
	RAW("gzip alone", POST("Transfer-Encoding: gzip\r\n\r\n"), REFUSED, true),
	RAW("xchunked", POST("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"), REFUSED, true),
	RAW("chunked in quotes", POST("Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n"), REFUSED, true),
	RAW("an empty Transfer-Encoding", POST("Transfer-Encoding:\r\n\r\n0\r\n\r\n"), REFUSED, true),
	RAW("chunked on HTTP/1.0", "POST /v1/things HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		REFUSED, true),
	RAW("a space before the colon", POST("Content-Length : 7\r\n\r\n{\"a\":1}"), REFUSED, true),
	RAW("a tab before the colon", POST("Transfer-Encoding\t: chunked\r\n\r\n0\r\n\r\n"), REFUSED, true),
	RAW("a GET with both framings",
		"GET /v1/things HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n"
		"0\r\n\r\n",
		400, true),
	RAW("a GET with a body", "GET /v1/things HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nabc", 413, true),
	RAW("a chunk size without digits", POST("Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n"), REFUSED,
		true),
	RAW("a chunk size of 2^64", POST("Transfer-Encoding: chunked\r\n\r\n10000000000000000\r\n{}\r\n0\r\n\r\n"),
		REFUSED, true),
	RAW("a negative chunk size", POST("Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n"), REFUSED, true),
	RAW("a chunk longer than it says", POST("Transfer-Encoding: chunked\r\n\r\n2\r\n{}xx\r\n0\r\n\r\n"), REFUSED,
		true),
	RAW("an unknown expectation", POST("Expect: miracles\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), 400, true),

	/* headers */
	RAW("no Host", "GET /v1/things HTTP/1.1\r\n\r\n", 400, true),
	RAW("two Host", "GET /v1/things HTTP/1.1\r\n" HOST HOST "\r\n", 400, true),
	RAW("two Host, one hostile", "GET /v1/things HTTP/1.1\r\n" HOST "Host: evil.example\r\n\r\n", 400, true),
	RAW("two Content-Type", POST("Content-Type: text/plain\r\nContent-Length: 7\r\n\r\n{\"a\":1}"), 400, true),
	RAW("a NUL in a value", GET("X-A: a\0b\r\n"), REFUSED, true),
	RAW("a NUL in a name", GET("X-\0A: ab\r\n"), REFUSED, true),
	RAW("a control character in a value", GET("X-A: a\001b\r\n"), REFUSED, true),
	RAW("a header without a colon", GET("nonsense\r\n"), REFUSED, true),
	RAW("a header without a name", GET(": x\r\n"), REFUSED, true),
	RAW("a line of a colon and a name", GET(":Content-Length: 40\r\n"), REFUSED, true),
	RAW("a line that begins with a NUL", GET("\0X-A: b\r\n"), REFUSED, true),
	RAW("a NUL after the value", GET("X-A: b\0\r\n"), REFUSED, true),
	RAW("a NUL in a length", POST("Content-Length: 7\0 9\r\n\r\n{\"a\":1}"), REFUSED, true),
	RAW("a folded header", GET("X-A: b\r\n c\r\n"), REFUSED, true),
	RAW("a folded Transfer-Encoding", POST("Transfer-Encoding: chunked\r\n , gzip\r\n\r\n0\r\n\r\n"), REFUSED,
		true),
	RAW("a line that ends without CR", GET("X-A: b\n"), REFUSED, true),
	RAW("spaces around a value", GET("X-A: \t b  \r\n"), 200, false),
	RAW("no space before a value, and none at all", GET("X-A:b\r\nX-B:\r\n"), 200, false),
	RAW("HTTP/2.0", "GET /v1/things HTTP/2.0\r\n" HOST "\r\n", REFUSED, true),
	RAW("HTTP/1.2", "GET /v1/things HTTP/1.2\r\n" HOST "\r\n", 400, true),
	RAW("lower-case http", "GET /v1/things http/1.1\r\n" HOST "\r\n", REFUSED, true),
	RAW("no version", "GET /v1/things\r\n" HOST "\r\n", REFUSED, true),
	RAW("nothing like HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", REFUSED, true),

	/* targets */
	RAW("a NUL in the path", "GET /v1/things\0/x HTTP/1.1\r\n" HOST "\r\n", REFUSED, true),
	RAW("a space in the path", TARGET("/v1/thi ngs"), REFUSED, true),
	RAW("%00 in the path", TARGET("/v1/things/a%00b"), 400, false),
	RAW("%2f in the path", TARGET("/v1/things%2fabc"), 400, false),
	RAW("%2F in a name", TARGET("/v1/things/a%2Fb"), 400, false),
	RAW("%5c in the path", TARGET("/v1/things/a%5cb"), 400, false),
	RAW("a backslash in the path", TARGET("/v1/things/a\\b"), 400, false),
	RAW("..", TARGET("/v1/../v1/things"), 400, false),
	RAW("%2e%2e", TARGET("/v1/%2e%2e/v1/things"), 400, false),
	RAW(".%2E as a name", TARGET("/v1/things/.%2E"), 400, false),
	RAW("a single dot", TARGET("/v1/./things"), 400, false),
	RAW("half an escape", TARGET("/v1/things/a%4"), 400, false),
	RAW("a bare percent sign", TARGET("/v1/things/%"), 400, false),
	RAW("an escape of no digits", TARGET("/v1/things/%zz"), 400, false),
	RAW("an escape that is decoded once", TARGET("/v1/things/%2565"), 400, false),
	RAW("an escaped letter in a name", TARGET("/v1/things/%61bc"), 200, false),
	RAW("an escaped letter of a route", TARGET("/v1/%74hings"), 404, false),
	RAW("an overlong slash", TARGET("/v1/things/%c0%af"), 400, false),
	RAW("raw UTF-8", TARGET("/v1/things/\xc3\xbc"), 400, false),
	RAW("a fragment", TARGET("/v1/things#x"), 400, false),
	RAW("a whole URL", TARGET("http://localhost/v1/things"), 400, false),
	RAW("no slash", TARGET("v1/things"), 400, false),
	RAW("a star", TARGET("*"), 405, false),
	RAW("two slashes", TARGET("/v1//things"), 404, false),
	RAW("a slash at the end", TARGET("/v1/things/"), 404, false),
	RAW("%00 in the query", TARGET("/v1/things?name=a%00b"), 400, false),
	RAW("half an escape in the query", TARGET("/v1/things?name=%4"), 400, false),
	RAW("a newline in the query", TARGET("/v1/things?name=a%0ab"), 400, false),
	RAW("what is not UTF-8 in the query", TARGET("/v1/things?name=%ff"), 400, false),
	RAW("the same parameter twice", TARGET("/v1/things?name=a&name=b"), 400, false),
	RAW("a slash in the query", TARGET("/v1/things?name=a%2fb"), 200, false),

	/* methods */
	RAW("an unknown method", "BREW / HTTP/1.1\r\n" HOST "\r\n", 501, false),
	RAW("a method in small letters", "get / HTTP/1.1\r\n" HOST "\r\n", 501, false),
	RAW("TRACE", "TRACE / HTTP/1.1\r\n" HOST "\r\n", 501, false),
	RAW("CONNECT", "CONNECT localhost:80 HTTP/1.1\r\n" HOST "\r\n", 501, false),
	RAW("a method that the path has not", "PATCH /v1/things HTTP/1.1\r\n" HOST "\r\n", 405, false),

	/* who asks? */
	RAW("another Host", "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n", 403, false),
	RAW("a Host that only begins like ours", "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n", 403, false),
	RAW("a Host that ends like ours", "GET / HTTP/1.1\r\nHost: evil-localhost\r\n\r\n", 403, false),
	RAW("an empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 403, false),
	RAW("a Host with a user", "GET / HTTP/1.1\r\nHost: localhost:80@evil.example\r\n\r\n", 403, false),
	RAW("127.0.0.1 with a port", "GET / HTTP/1.1\r\nHost: 127.0.0.1:8700\r\n\r\n", 200, false),
	RAW("[::1] with a port", "GET / HTTP/1.1\r\nHost: [::1]:8700\r\n\r\n", 200, false),
	RAW("LOCALHOST", "GET / HTTP/1.1\r\nHost: LOCALHOST\r\n\r\n", 200, false),
	RAW("our own Origin", "GET / HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:1\r\n\r\n", 200, false),
	RAW("another Origin", GET("Origin: https://evil.example\r\n"), 403, false),
	RAW("another port of localhost", "GET / HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:2\r\n\r\n",
		403, false),
	RAW("Origin null", GET("Origin: null\r\n"), 403, false),
	RAW("an Origin on DELETE", "DELETE /v1/things/a HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n", 403,
		false),
	RAW("an Origin on OPTIONS", "OPTIONS /v1/things HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n", 403,
		false),
	RAW("an Origin where no route is", "GET /nowhere HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n\r\n", 403,
		false),
	RAW("an Origin with a body",
		"PUT /v1/files/a HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\nContent-Length: 3\r\n\r\nabc", 403,
		true),
	RAW("cross-site", GET("Sec-Fetch-Site: cross-site\r\n"), 403, false),
	RAW("same-site", GET("Sec-Fetch-Site: same-site\r\n"), 403, false),
	RAW("same-origin", GET("Sec-Fetch-Site: same-origin\r\n"), 200, false),
	RAW("typed by the user", GET("Sec-Fetch-Site: none\r\n"), 200, false),
	RAW("a link from elsewhere",
		GET("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n"), 200,
		false),
	RAW("a frame from elsewhere",
		GET("Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n"), 403,
		false),
	RAW("a form from elsewhere",
		"DELETE /v1/things/a HTTP/1.1\r\n" HOST
		"Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\r\n",
		403, false),
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

START_TEST(a_doubtful_request_is_refused_and_what_follows_is_not_smuggled_in)
{
	const struct raw_case *k = &cases[_i];
	struct client *c = client_open(t->port);
	client_timeout(c, 3000);
	ck_assert(client_send(c, k->bytes, k->size));
	ck_assert(client_sendf(c, "GET /v1/things/smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"));
	struct response first = client_read(c, false);
	if (k->status == REFUSED)
		ck_assert_msg(first.status == 0 || (first.status >= 400 && first.status < 506), "%s: %d", k->what,
			first.status);
	else
		ck_assert_msg(first.status == k->status, "%s: %d, not %d", k->what, first.status, k->status);
	struct response second = client_read(c, false);
	if (k->closes)
		ck_assert_msg(second.status == 0, "%s: the connection went on", k->what);
	else
		ck_assert_msg(second.status == 200 && strstr(second.body, "smuggled"), "%s: the next request got %d",
			k->what, second.status);
	response_free(&first);
	response_free(&second);
	client_close(c);
	struct response after = request_get(t->port, "/v1/things");
	ck_assert_int_eq(after.status, 200);
	response_free(&after);
}
END_TEST

static struct response get_with(const char *target_head, size_t fill, const char *headers)
{
	char *target = malloc(fill + strlen(target_head) + 1);
	size_t n = strlen(target_head);
	memcpy(target, target_head, n);
	memset(target + n, 'a', fill);
	target[n + fill] = '\0';
	struct response r = request_do(t->port, "GET", target, headers, NULL, 0);
	free(target);
	return r;
}

START_TEST(a_uri_of_eight_kib_is_read_and_a_longer_one_is_414)
{
	struct response r = get_with("/v1/things?name=", 8192 - 16, NULL);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	r = get_with("/v1/things?name=", 8192 - 15, NULL);
	ck_assert_int_eq(r.status, 414);
	ck_assert_ptr_nonnull(strstr(r.body, "\"code\":\"uri_too_long\""));
	response_free(&r);
	r = get_with("/", 60000, NULL);
	ck_assert_int_eq(r.status, 414);
	response_free(&r);
	r = get_with("/", 500000, NULL);
	ck_assert_msg(r.status == 0 || r.status == 414 || r.status == 431, "%d", r.status);
	response_free(&r);
}
END_TEST

START_TEST(headers_too_many_or_too_large_are_431)
{
	static char headers[600000];
	size_t n = 0;
	for (int i = 0; i < 99; i++)
		n += (size_t)snprintf(headers + n, sizeof(headers) - n, "X-%d: y\r\n", i);
	struct response r = get_with("/v1/things", 0, headers);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	snprintf(headers + n, sizeof(headers) - n, "X-100: y\r\n");
	r = get_with("/v1/things", 0, headers);
	ck_assert_int_eq(r.status, 431);
	ck_assert(r.closes);
	response_free(&r);
	snprintf(headers, sizeof(headers), "X-A: %033000d\r\n", 1);
	r = get_with("/v1/things", 0, headers);
	ck_assert_int_eq(r.status, 431);
	response_free(&r);
	snprintf(headers, sizeof(headers), "X-A: %0500000d\r\n", 1);
	r = get_with("/v1/things", 0, headers);
	ck_assert_msg(r.status == 0 || r.status == 431, "%d", r.status);
	response_free(&r);
}
END_TEST

START_TEST(more_query_parameters_than_allowed_are_refused)
{
	char target[2000] = "/v1/things?";
	for (int i = 0; i < 65; i++)
		snprintf(target + strlen(target), sizeof(target) - strlen(target), "p%d=1&", i);
	struct response r = request_get(t->port, target);
	ck_assert_int_eq(r.status, 400);
	ck_assert_ptr_nonnull(strstr(r.body, "more than 64"));
	response_free(&r);
}
END_TEST

START_TEST(requests_sent_at_once_are_answered_in_order)
{
	struct client *c = client_open(t->port);
	for (int i = 0; i < 20; i++)
		client_sendf(c, "GET /v1/things/n%d HTTP/1.1\r\nHost: localhost\r\n\r\n", i);
	for (int i = 0; i < 20; i++) {
		char want[20];
		snprintf(want, sizeof(want), "\"n%d\"", i);
		struct response r = client_read(c, false);
		ck_assert_int_eq(r.status, 200);
		ck_assert_ptr_nonnull(strstr(r.body, want));
		response_free(&r);
	}
	client_close(c);
}
END_TEST

START_TEST(a_request_that_comes_byte_by_byte_is_understood)
{
	static const char bytes[] = POST("Content-Length: 7\r\n\r\n{\"a\":1}");
	struct client *c = client_open(t->port);
	for (size_t i = 0; i < sizeof(bytes) - 1; i++)
		ck_assert(client_send(c, bytes + i, 1));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	client_close(c);
}
END_TEST

START_TEST(refusals_are_counted)
{
	struct http_stats s;
	struct response r = request_do(t->port, "GET", "/", "Origin: http://evil.example\r\n", NULL, 0);
	ck_assert_int_eq(r.status, 403);
	ck_assert_ptr_nonnull(strstr(r.body, "\"code\":\"origin_not_allowed\""));
	ck_assert_ptr_nonnull(strstr(r.body, "\"param\":\"Origin\""));
	response_free(&r);
	http_stats(t->srv, &s);
	ck_assert_int_eq(s.guard_refused, 1);
	ck_assert_int_eq(s.requests_total, 1);
	ck_assert_int_eq(s.responses_by_class[4], 1);
}
END_TEST

TEST_SUITE(http_guard, 20)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_loop_test(tc, a_doubtful_request_is_refused_and_what_follows_is_not_smuggled_in, 0, CASES);
	tcase_add_test(tc, a_uri_of_eight_kib_is_read_and_a_longer_one_is_414);
	tcase_add_test(tc, headers_too_many_or_too_large_are_431);
	tcase_add_test(tc, more_query_parameters_than_allowed_are_refused);
	tcase_add_test(tc, requests_sent_at_once_are_answered_in_order);
	tcase_add_test(tc, a_request_that_comes_byte_by_byte_is_understood);
	tcase_add_test(tc, refusals_are_counted);
}
