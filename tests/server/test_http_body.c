/* test_http_body.c - bodies: JSON with its limits, uploads that leave nothing behind unless they were whole. */
#include "http_toy.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static struct toy *t;

static void start(void)
{
	t = toy_start(NULL);
}

static void stop(void)
{
	toy_stop(t);
}

static int64_t connections_of(const struct http_stats *s)
{
	return s->connections;
}

/* Sends one JSON body and looks at the answer. */
static void expect_json(const char *json, size_t size, int status, const char *in_body)
{
	struct response r = request_do(t->port, "POST", "/v1/things", "Content-Type: application/json\r\n", json, size);
	ck_assert_msg(r.status == status, "%.60s: %d, not %d", json, r.status, status);
	ck_assert_msg(strstr(r.body, in_body), "%.60s: no %s in %s", json, in_body, r.body);
	response_free(&r);
}

START_TEST(a_json_object_reaches_the_handler)
{
	struct response r = request_json(t->port, "POST", "/v1/things", "{\"a\":[1,2.5,null]}");
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(r.body, "{\"got\":{\"a\":[1,2.5,null]},\"size\":18}\n");
	ck_assert_str_eq(response_header(&r, "Location"), "/v1/things/one");
	response_free(&r);
}
END_TEST

START_TEST(what_is_not_a_json_object_is_told_where_and_why)
{
	static const struct {
		const char *json;
		const char *in_body;
	} cases[] = {
		{"", "\"code\":\"invalid_json\""},
		{" ", "\"code\":\"invalid_json\""},
		{"{\"a\":1", "Line 1, column"},
		{"{\"a\":\n 1,\n}", "Line 3, column"},
		{"{\"a\":1} x", "\"code\":\"invalid_json\""},
		{"{\"a\":1}{}", "\"code\":\"invalid_json\""},
		{"{\"a\":1,\"a\":2}", "duplicate object key"},
		{"{\"a\":{\"b\":1,\"b\":1}}", "duplicate object key"},
		{"{\"a\":NaN}", "\"code\":\"invalid_json\""},
		{"{\"a\":1e999}", "\"code\":\"invalid_json\""},
		{"{\"a\":99999999999999999999}", "\"code\":\"invalid_json\""},
		{"{\"a\":\"\xff\"}", "\"code\":\"invalid_json\""},
		{"{\"a\":\"\\u0000\"}", "\"code\":\"invalid_json\""},
		{"{'a':1}", "\"code\":\"invalid_json\""},
		{"[1]", "\"code\":\"wrong_type\""},
		{"\"text\"", "\"code\":"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		expect_json(cases[i].json, strlen(cases[i].json), 400, cases[i].in_body);
	expect_json("{\"a\":1\0}", 8, 400, "\"code\":\"invalid_json\"");
}
END_TEST

START_TEST(json_may_be_64_levels_deep_and_no_more)
{
	char json[400] = "{\"a\":";
	for (int i = 0; i < 63; i++)
		strcat(json, "[");
	for (int i = 0; i < 63; i++)
		strcat(json, "]");
	strcat(json, "}");
	expect_json(json, strlen(json), 201, "[[[");
	memmove(json + 6, json + 5, strlen(json + 5) + 1);
	expect_json(json, strlen(json), 400, "64 levels");
	char *deep = malloc(9000);
	memset(deep, '[', 9000);
	expect_json(deep, 9000, 400, "64 levels");
	free(deep);
	static const char quoted[] =
		"{\"a\":\"\\\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[\"}";
	expect_json(quoted, sizeof(quoted) - 1, 201, "[[");
}
END_TEST

START_TEST(only_json_is_accepted_as_json)
{
	static const struct {
		const char *type;
		int status;
	} cases[] = {
		{"application/json", 201},
		{"Application/JSON; charset=utf-8", 201},
		{"application/merge-patch+json", 201},
		{NULL, 201},
		{"text/plain", 415},
		{"application/x-www-form-urlencoded", 415},
		{"multipart/form-data; boundary=x", 415},
		{"application/jsonx", 415},
		{"application/xml", 415},
		{"json", 415},
		{"text/x+json", 415},
		{"", 415},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char header[100] = "";
		if (cases[i].type)
			snprintf(header, sizeof(header), "Content-Type: %s\r\n", cases[i].type);
		struct response r = request_do(t->port, "POST", "/v1/things", header, "{}", 2);
		ck_assert_msg(r.status == cases[i].status, "%s: %d", header, r.status);
		response_free(&r);
	}
}
END_TEST

START_TEST(a_body_too_large_is_refused_before_it_is_sent)
{
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "POST /v1/things HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
				  "Content-Length: 10001\r\n\r\n"));
	struct response r = client_read_head(c);
	ck_assert_int_eq(r.status, 413);
	ck_assert(r.closes);
	response_free(&r);
	ck_assert(client_read_end(c));
	ck_assert(client_closed(c));
	client_close(c);
	c = client_open(t->port);
	ck_assert(client_sendf(c, "PUT /v1/files/a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000001\r\n\r\n"));
	r = client_read(c, false);
	ck_assert_int_eq(r.status, 413);
	ck_assert_ptr_nonnull(strstr(r.body, "At most 1000000 bytes"));
	response_free(&r);
	client_close(c);
	ck_assert_int_eq(toy_files(t), 0);
}
END_TEST

START_TEST(a_client_that_asks_first_is_told_to_go_on)
{
	struct client *c = client_open(t->port);
	ck_assert(client_sendf(c, "POST /v1/things HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\n"
				  "Content-Length: 2\r\n\r\n"));
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	char got[sizeof(go_on)] = "";
	ck_assert_int_eq(recv(client_fd(c), got, sizeof(go_on) - 1, MSG_WAITALL), sizeof(go_on) - 1);
	ck_assert_str_eq(got, go_on);
	ck_assert(client_send(c, "{}", 2));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(r.body, "{\"got\":{},\"size\":2}\n");
	response_free(&r);
	client_close(c);
}
END_TEST

/* A chunked body of n chunks of 1000 bytes; false once the server hung up. */
static bool send_chunks(struct client *c, int n)
{
	char chunk[1010];
	snprintf(chunk, sizeof(chunk), "3e8\r\n%01000d\r\n", 0);
	for (int i = 0; i < n; i++)
		if (!client_send(c, chunk, 1007))
			return false;
	return true;
}

START_TEST(a_chunked_body_is_counted_while_it_comes)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "POST /v1/things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
	ck_assert(send_chunks(c, 11));
	ck_assert(client_sendf(c, "0\r\n\r\n"));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 413);
	response_free(&r);
	ck_assert(client_request(c, "GET", "/v1/things", NULL, NULL, 0));
	r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	client_close(c);
}
END_TEST

START_TEST(a_chunked_upload_too_large_is_413_and_leaves_no_file)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "PUT /v1/files/a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
	ck_assert(send_chunks(c, 1100));
	ck_assert(client_sendf(c, "0\r\n\r\n"));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 413);
	response_free(&r);
	client_close(c);
	ck_assert_int_eq(toy_files(t), 0);
}
END_TEST

START_TEST(a_body_without_end_is_cut_off)
{
	struct client *c = client_open(t->port);
	client_sendf(c, "POST /v1/things HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
	ck_assert(!send_chunks(c, 100000));
	client_close(c);
}
END_TEST

START_TEST(an_upload_is_a_whole_file_that_the_handler_may_keep)
{
	char *bytes = malloc(1000000), path[200];
	for (int i = 0; i < 1000000; i++)
		bytes[i] = (char)(i * 7);
	struct response r = request_do(t->port, "PUT", "/v1/files/kept.bin?keep=1", NULL, bytes, 1000000);
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(r.body, "{\"size\":1000000}\n");
	response_free(&r);
	ck_assert_int_eq(toy_files(t), 1);
	snprintf(path, sizeof(path), "%s/kept.bin", t->dir);
	FILE *f = fopen(path, "rb");
	char *again = malloc(1000001);
	ck_assert_uint_eq(fread(again, 1, 1000001, f), 1000000);
	ck_assert_mem_eq(again, bytes, 1000000);
	fclose(f);
	free(again);
	free(bytes);
}
END_TEST

START_TEST(an_upload_that_is_not_kept_is_removed)
{
	struct response r = request_do(t->port, "PUT", "/v1/files/a", NULL, "abc", 3);
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(r.body, "{\"size\":3}\n");
	response_free(&r);
	ck_assert(toy_stat_reaches(t, connections_of, 0));
	ck_assert_int_eq(toy_files(t), 0);
	r = request_do(t->port, "PUT", "/v1/files/empty", NULL, "", 0);
	ck_assert_int_eq(r.status, 201);
	ck_assert_str_eq(r.body, "{\"size\":0}\n");
	response_free(&r);
}
END_TEST

START_TEST(a_truncated_upload_leaves_nothing)
{
	for (int reset = 0; reset < 2; reset++) {
		struct client *c = client_open(t->port);
		client_sendf(c, "PUT /v1/files/a?keep=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n");
		char part[50000] = {0};
		ck_assert(client_send(c, part, sizeof(part)));
		while (toy_files(t) == 0)
			; /* the server has begun: the file is there */
		if (reset)
			client_reset(c);
		else
			client_close(c);
		ck_assert_msg(toy_stat_reaches(t, connections_of, 0), "reset %d", reset);
		ck_assert_int_eq(toy_files(t), 0);
	}
}
END_TEST

START_TEST(an_upload_needs_a_length_and_other_routes_take_no_body)
{
	struct response r = request_do(t->port, "PUT", "/v1/files/a", NULL, NULL, 0);
	ck_assert_int_eq(r.status, 411);
	response_free(&r);
	r = request_do(t->port, "DELETE", "/v1/things/a", NULL, "{}", 2);
	ck_assert_int_eq(r.status, 413);
	ck_assert_ptr_nonnull(strstr(r.body, "takes no body"));
	response_free(&r);
	r = request_do(t->port, "DELETE", "/v1/things/a", NULL, "", 0);
	ck_assert_int_eq(r.status, 204);
	response_free(&r);
}
END_TEST

START_TEST(what_a_crash_left_in_the_upload_directory_is_removed_at_start)
{
	char path[200];
	static const char *const names[] = {"up_left", "mine"};
	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "%s/%s", t->dir, names[i]);
		fclose(fopen(path, "w"));
	}
	struct http_options o = {
		.listen_fd = -1, .event_threads = 1, .slow_threads = 1, .upload_dir = t->dir, .hub = t->hub};
	struct http_server *second = http_start(&o);
	ck_assert_ptr_nonnull(second);
	http_stop(second);
	ck_assert_int_eq(toy_files(t), 1);
}
END_TEST

TEST_SUITE(http_body, 30)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, a_json_object_reaches_the_handler);
	tcase_add_test(tc, what_is_not_a_json_object_is_told_where_and_why);
	tcase_add_test(tc, json_may_be_64_levels_deep_and_no_more);
	tcase_add_test(tc, only_json_is_accepted_as_json);
	tcase_add_test(tc, a_body_too_large_is_refused_before_it_is_sent);
	tcase_add_test(tc, a_client_that_asks_first_is_told_to_go_on);
	tcase_add_test(tc, a_chunked_body_is_counted_while_it_comes);
	tcase_add_test(tc, a_chunked_upload_too_large_is_413_and_leaves_no_file);
	tcase_add_test(tc, a_body_without_end_is_cut_off);
	tcase_add_test(tc, an_upload_is_a_whole_file_that_the_handler_may_keep);
	tcase_add_test(tc, an_upload_that_is_not_kept_is_removed);
	tcase_add_test(tc, a_truncated_upload_leaves_nothing);
	tcase_add_test(tc, an_upload_needs_a_length_and_other_routes_take_no_body);
	tcase_add_test(tc, what_a_crash_left_in_the_upload_directory_is_removed_at_start);
}
