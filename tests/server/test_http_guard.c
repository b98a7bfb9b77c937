/*
 * test_http_guard.c - requests that must not be believed: each is sent as raw bytes, followed by a second request that
 * must not be answered once the first was refused with its connection.
 */
#include "http_cases.h"
#include "http_toy.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct toy *t;

static void start(void)
{
	/* A body that never ends is waited for until its time is up. */
	t = toy_start(&(struct http_options){.listen_fd = -1, .deadlines = {.body = 1000}});
}

static void stop(void)
{
	toy_stop(t);
}

/* Two requests follow each case. Where the connection is kept they are answered as what they are, with nothing between;
 * where it ends, neither is. What a case hides in its body is never answered. */
#define AFTER(name) "GET /v1/things/" name " HTTP/1.1\r\nHost: localhost\r\n\r\n"

static void check_next(struct client *c, const struct raw_case *k, const char *name)
{
	char want[40];
	struct response r = client_read(c, false);
	snprintf(want, sizeof(want), "\"id\":\"%s\"", name);
	ck_assert_msg(r.status == 200 && strstr(r.body, want), "%s: the request \"%s\" got %d %s", k->what, name,
		r.status, r.body ? r.body : "");
	response_free(&r);
}

START_TEST(a_doubtful_request_is_refused_and_what_follows_is_not_smuggled_in)
{
	const struct raw_case *k = &raw_cases[_i];
	struct client *c = client_open(t->port);
	client_timeout(c, 3000);
	ck_assert(client_send(c, k->bytes, k->size));
	client_sendf(c, AFTER("canary") AFTER("last"));
	struct response first = client_read(c, false);
	bool refused = first.status == 0 || (first.status >= 400 && first.status < 506);
	bool fits = k->status == REFUSED  ? refused
		    : k->status == UNSEEN ? refused || first.status < 300
					  : first.status == k->status;
	ck_assert_msg(fits, "%s: %d, not %d", k->what, first.status, k->status);
	ck_assert_msg(!first.body || (!strstr(first.body, "hidden") && !strstr(first.body, "canary")), "%s: %s",
		k->what, first.body);
	if (k->end == KEEPS || (k->end == EITHER && first.status && !first.closes)) {
		check_next(c, k, "canary");
		check_next(c, k, "last");
	} else {
		struct response second = client_read(c, false);
		ck_assert_msg(second.status == 0, "%s: the connection went on", k->what);
		ck_assert_msg(client_closed(c), "%s: the connection does not end", k->what);
	}
	response_free(&first);
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

static const char whole[] = "POST /v1/things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 7\r\n\r\n{\"a\":1}";

START_TEST(a_request_that_comes_byte_by_byte_is_understood)
{
	struct client *c = client_open(t->port);
	for (size_t i = 0; i < sizeof(whole) - 1; i++)
		ck_assert(client_send(c, whole + i, 1));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	client_close(c);
}
END_TEST

static int64_t connections_of(const struct http_stats *s)
{
	return s->connections;
}

/* Ended by FIN, by FIN of one side, and by RST; each at every byte. */
START_TEST(a_request_that_is_cut_at_any_byte_is_not_carried_out)
{
	enum { LENGTH = sizeof(whole) - 1, WAYS = 3 };
	static struct client *half[LENGTH];
	for (size_t i = 0; i < LENGTH; i++)
		for (int way = 0; way < WAYS; way++) {
			struct client *c = client_open(t->port);
			ck_assert_ptr_nonnull(c);
			ck_assert(client_send(c, whole, i));
			if (way == 0)
				client_close(c);
			else if (way == 1)
				client_reset(c);
			else
				client_shutdown_write(half[i] = c);
		}
	for (size_t i = 0; i < LENGTH; i++) {
		struct response r = client_read(half[i], false);
		ck_assert_msg(r.status == 0 || r.status == 400, "cut at byte %zu: %d", i, r.status);
		response_free(&r);
		client_close(half[i]);
	}
	ck_assert(toy_stat_reaches(t, connections_of, 0));
	struct http_stats s;
	http_stats(t->srv, &s);
	ck_assert_int_eq(s.responses_by_class[2], 0);
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
	tcase_add_loop_test(tc, a_doubtful_request_is_refused_and_what_follows_is_not_smuggled_in, 0, raw_ncases);
	tcase_add_test(tc, a_uri_of_eight_kib_is_read_and_a_longer_one_is_414);
	tcase_add_test(tc, headers_too_many_or_too_large_are_431);
	tcase_add_test(tc, more_query_parameters_than_allowed_are_refused);
	tcase_add_test(tc, requests_sent_at_once_are_answered_in_order);
	tcase_add_test(tc, a_request_that_comes_byte_by_byte_is_understood);
	tcase_add_test(tc, a_request_that_is_cut_at_any_byte_is_not_carried_out);
	tcase_add_test(tc, refusals_are_counted);
}
