/*
 * test_http_expect.c - "Expect: 100-continue": who asks first is told to go on, or is refused before the body; nobody
 * else hears of it (RFC 9110, section 10.1.1).
 */
#include "http_toy.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct toy *t;

static int64_t connections_of(const struct http_stats *s)
{
	return s->connections;
}

static bool admit(struct http_request *rq, const struct route *route)
{
	(void)route;
	if (!http_header(rq, "X-Stranger"))
		return true;
	http_reply_error(rq, ERR_TOKEN_MISSING, "Authorization", "Who are you?");
	return false;
}

static void start(void)
{
	t = toy_start(&(struct http_options){.listen_fd = -1, .deadlines = {.body = 1000}, .admit = admit});
}

static void stop(void)
{
	toy_stop(t);
}

#define HOST " HTTP/1.1\r\nHost: localhost\r\n"
#define ASKS "Expect: 100-continue\r\n"
#define JSON "{\"a\":1}"
#define CHUNKS "7\r\n" JSON "\r\n0\r\n\r\n"

static const struct {
	const char *what, *head, *body;
	int status; /* 2xx: after "100 Continue"; else at once, and the connection ends */
} cases[] = {
	{"a body of a known length", "POST /v1/things" HOST ASKS "Content-Length: 7\r\n\r\n", JSON, 201},
	{"in capitals", "POST /v1/things" HOST "EXPECT: 100-CONTINUE\r\nContent-Length: 7\r\n\r\n", JSON, 201},
	{"chunks", "POST /v1/things" HOST ASKS "Transfer-Encoding: chunked\r\n\r\n", CHUNKS, 201},
	{"an upload", "PUT /v1/files/a" HOST ASKS "Content-Length: 7\r\n\r\n", JSON, 201},
	{"an upload in chunks", "PUT /v1/files/a" HOST ASKS "Transfer-Encoding: chunked\r\n\r\n", CHUNKS, 201},
	{"too much", "POST /v1/things" HOST ASKS "Content-Length: 10001\r\n\r\n", JSON, 413},
	{"too large an upload", "PUT /v1/files/a" HOST ASKS "Content-Length: 1000001\r\n\r\n", JSON, 413},
	{"a stranger", "POST /v1/things" HOST ASKS "X-Stranger: 1\r\nContent-Length: 7\r\n\r\n", JSON, 401},
	{"a stranger's chunks", "POST /v1/things" HOST ASKS "X-Stranger: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		CHUNKS, 401},
	{"a stranger's upload", "PUT /v1/files/a" HOST ASKS "X-Stranger: 1\r\nContent-Length: 7\r\n\r\n", JSON, 401},
	{"no such route", "POST /v1/nothing" HOST ASKS "Content-Length: 7\r\n\r\n", JSON, 404},
	{"no such method there", "DELETE /v1/things" HOST ASKS "Content-Length: 7\r\n\r\n", JSON, 405},
	{"another type", "POST /v1/things" HOST ASKS "Content-Type: text/plain\r\nContent-Length: 7\r\n\r\n", JSON,
		415},
	{"another site", "POST /v1/things" HOST ASKS "Origin: http://evil.example\r\nContent-Length: 7\r\n\r\n", JSON,
		403},
	{"another expectation", "POST /v1/things" HOST "Expect: miracles\r\nContent-Length: 7\r\n\r\n", JSON, 417},
	{"one more expectation", "POST /v1/things" HOST "Expect: 100-continue, 1\r\nContent-Length: 7\r\n\r\n", JSON,
		417},
	{"another one in chunks", "POST /v1/things" HOST "Expect: 1\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKS,
		417},
	{"an empty expectation", "POST /v1/things" HOST "Expect:\r\nContent-Length: 7\r\n\r\n", JSON, 417},
	{"twice", "POST /v1/things" HOST ASKS ASKS "Content-Length: 7\r\n\r\n", JSON, 400},
	{"both framings", "POST /v1/things" HOST ASKS "Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n", CHUNKS,
		400},
};
enum { CASES = sizeof cases / sizeof cases[0] };

/* The status that the next bytes tell, which stay unread. */
static int next_status(struct client *c)
{
	char line[13] = "";
	ssize_t n = recv(client_fd(c), line, sizeof(line) - 1, MSG_PEEK | MSG_WAITALL);
	return n == sizeof(line) - 1 && strncmp(line, "HTTP/1.1 ", 9) == 0 ? atoi(line + 9) : 0;
}

static void check_last(struct client *c, const char *what, int status)
{
	struct response r = client_read(c, false);
	ck_assert_msg(r.status == status, "%s: %d, not %d", what, r.status, status);
	response_free(&r);
}

/* What follows is read as a request of its own. */
static void check_goes_on(struct client *c, const char *what)
{
	ck_assert(client_sendf(c, "GET /v1/things/canary" HOST "\r\n"));
	check_last(c, what, 200);
	client_close(c);
}

START_TEST(who_asks_first_is_told_to_go_on_or_refused_before_the_body)
{
	struct client *c = client_open(t->port);
	bool fine = cases[_i].status < 300;
	ck_assert(client_sendf(c, "%s", cases[_i].head));
	int first = next_status(c);
	ck_assert_msg(first == (fine ? 100 : cases[_i].status), "%s: %d at first", cases[_i].what, first);
	if (fine) {
		ck_assert(client_sendf(c, "%s", cases[_i].body));
		check_last(c, cases[_i].what, cases[_i].status);
		check_goes_on(c, cases[_i].what);
		return;
	}
	struct response r = client_read(c, false);
	ck_assert_msg(r.status == first && r.closes, "%s: %d", cases[_i].what, r.status);
	response_free(&r);
	client_sendf(c, "%sGET /v1/things/canary" HOST "\r\n", cases[_i].body); /* it may be gone already */
	check_last(c, cases[_i].what, 0);
	client_close(c);
	ck_assert_int_eq(toy_files(t), 0);
}
END_TEST

START_TEST(who_sends_the_body_without_waiting_is_answered_all_the_same)
{
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "%s%s", cases[_i].head, cases[_i].body));
	check_last(c, cases[_i].what, cases[_i].status); /* a "100 Continue" before it is passed over */
	if (cases[_i].status < 300)
		check_goes_on(c, cases[_i].what);
	else
		client_close(c);
}
END_TEST

/* Such a client would take "100 Continue" for the answer. */
START_TEST(of_http_1_0_no_expectation_is_heard)
{
	static const char *const expect[] = {"100-continue", "miracles"};
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(
		c, "POST /v1/things HTTP/1.0\r\nExpect: %s\r\nContent-Length: 7\r\n\r\n%s", expect[_i], JSON));
	ck_assert_int_eq(next_status(c), 201);
	check_last(c, expect[_i], 201);
	client_close(c);
	c = client_open(t->port);
	ck_assert(client_sendf(c, "GET /v1/things HTTP/1.0\r\nExpect: %s\r\n\r\n", expect[_i]));
	ck_assert_int_eq(next_status(c), 200);
	client_close(c);
}
END_TEST

START_TEST(an_expectation_without_a_body_is_refused)
{
	static const char *const requests[] = {
		"GET /v1/things" HOST ASKS "\r\n", "POST /v1/things" HOST ASKS "Content-Length: 0\r\n\r\n"};
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "%s", requests[_i]));
	check_last(c, requests[_i], 400);
	client_close(c);
}
END_TEST

/* Its time runs from the head on, as for any body. */
START_TEST(who_is_told_to_go_on_and_never_does_is_cut_off)
{
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "%s", cases[_i].head));
	ck_assert_int_eq(next_status(c), 100);
	struct response r = client_read(c, false);
	ck_assert_msg(r.status == 0 || r.status == 408, "%s: %d", cases[_i].what, r.status);
	response_free(&r);
	ck_assert(client_closed(c));
	client_close(c);
	ck_assert(toy_stat_reaches(t, connections_of, 0));
	ck_assert_int_eq(toy_files(t), 0);
}
END_TEST

TEST_SUITE(http_expect, 30)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_loop_test(tc, who_asks_first_is_told_to_go_on_or_refused_before_the_body, 0, CASES);
	tcase_add_loop_test(tc, who_sends_the_body_without_waiting_is_answered_all_the_same, 0, CASES);
	tcase_add_loop_test(tc, of_http_1_0_no_expectation_is_heard, 0, 2);
	tcase_add_loop_test(tc, an_expectation_without_a_body_is_refused, 0, 2);
	tcase_add_loop_test(tc, who_is_told_to_go_on_and_never_does_is_cut_off, 0, 5);
}
