/* test_http_request.c - requests as clients should send them: routes, methods, queries, and the headers of answers. */
#include "http_toy.h"
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct toy *t;

static void start(void)
{
	t = toy_start(NULL);
}

static void stop(void)
{
	toy_stop(t);
}

static void expect(const char *method, const char *target, const char *headers, int status, const char *in_body)
{
	struct response r = request_do(t->port, method, target, headers, NULL, 0);
	ck_assert_msg(
		r.status == status, "%s %s: %d, not %d: %s", method, target, r.status, status, r.body ? r.body : "");
	if (in_body)
		ck_assert_msg(strstr(r.body, in_body), "%s %s: no %s in %s", method, target, in_body, r.body);
	response_free(&r);
}

START_TEST(a_handler_answers_with_json_and_every_header_that_protects)
{
	struct response r = request_get(t->port, "/v1/things/abc");
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(r.body, "{\"id\":\"abc\",\"lr\":0.1}\n");
	ck_assert_str_eq(response_header(&r, "Content-Type"), "application/json");
	ck_assert_str_eq(response_header(&r, "X-Content-Type-Options"), "nosniff");
	ck_assert_str_eq(response_header(&r, "Cache-Control"), "no-cache");
	ck_assert_int_eq(response_header_count(&r, "Cache-Control"), 1);
	ck_assert(strncmp(response_header(&r, "X-Request-Id"), "req_", 4) == 0);
	ck_assert_ptr_null(response_header(&r, "Server"));
	ck_assert_ptr_null(response_header(&r, "Access-Control-Allow-Origin"));
	response_free(&r);
	r = request_get(t->port, "/v1/things");
	ck_assert_str_eq(response_header(&r, "Cache-Control"), "no-store");
	ck_assert_ptr_null(response_header(&r, "Content-Security-Policy"));
	response_free(&r);
}
END_TEST

START_TEST(a_page_comes_with_a_content_security_policy)
{
	struct response r = request_get(t->port, "/");
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_nonnull(strstr(response_header(&r, "Content-Security-Policy"),
		"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'"));
	response_free(&r);
}
END_TEST

START_TEST(each_answer_has_a_request_id_of_its_own)
{
	struct response a = request_get(t->port, "/nowhere"), b = request_get(t->port, "/nowhere");
	char id[64];
	snprintf(id, sizeof(id), "%s", response_header(&a, "X-Request-Id"));
	ck_assert_str_ne(id, response_header(&b, "X-Request-Id"));
	ck_assert_ptr_nonnull(strstr(a.body, id));
	response_free(&a);
	response_free(&b);
}
END_TEST

START_TEST(an_unknown_path_is_404_as_problem_json)
{
	struct response r = request_get(t->port, "/v1/nothing");
	ck_assert_int_eq(r.status, 404);
	ck_assert_str_eq(response_header(&r, "Content-Type"), "application/problem+json");
	json_t *p = json_loads(r.body, 0, NULL);
	const char *type, *title, *code, *detail, *request_id;
	int status;
	json_t *errors;
	ck_assert_int_eq(
		json_unpack(p, "{s:s, s:s, s:i, s:s, s:s, s:o, s:s !}", "type", &type, "title", &title, "status",
			&status, "code", &code, "detail", &detail, "errors", &errors, "request_id", &request_id),
		0);
	ck_assert_str_eq(type, "urn:backpropd:error:route_not_found");
	ck_assert_str_eq(code, "route_not_found");
	ck_assert_int_eq(status, 404);
	ck_assert_uint_eq(json_array_size(errors), 1);
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(errors, 0), "code")), "route_not_found");
	json_decref(p);
	response_free(&r);
}
END_TEST

START_TEST(a_known_path_with_another_method_is_405_and_says_which_there_are)
{
	struct response r = request_do(t->port, "PUT", "/v1/things", NULL, NULL, 0);
	ck_assert_int_eq(r.status, 405);
	ck_assert_str_eq(response_header(&r, "Allow"), "GET, HEAD, POST, OPTIONS");
	response_free(&r);
	r = request_do(t->port, "POST", "/v1/things/abc", NULL, NULL, 0);
	ck_assert_int_eq(r.status, 405);
	ck_assert_str_eq(response_header(&r, "Allow"), "GET, HEAD, DELETE, OPTIONS");
	response_free(&r);
}
END_TEST

START_TEST(options_is_answered_with_the_methods_and_no_cors)
{
	struct response r = request_do(t->port, "OPTIONS", "/v1/things", NULL, NULL, 0);
	ck_assert_int_eq(r.status, 204);
	ck_assert_str_eq(response_header(&r, "Allow"), "GET, HEAD, POST, OPTIONS");
	ck_assert_ptr_null(response_header(&r, "Access-Control-Allow-Methods"));
	response_free(&r);
	r = request_do(t->port, "OPTIONS", "*", NULL, NULL, 0);
	ck_assert_int_eq(r.status, 204);
	ck_assert_str_eq(response_header(&r, "Allow"), "GET, HEAD, POST, PUT, DELETE, OPTIONS");
	response_free(&r);
	expect("OPTIONS", "/nowhere", NULL, 404, "route_not_found");
}
END_TEST

START_TEST(head_has_the_headers_of_get_and_no_body)
{
	struct client *c = client_open(t->port);
	ck_assert(client_request(c, "HEAD", "/v1/things/abc", NULL, NULL, 0));
	struct response r = client_read(c, true);
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(response_header(&r, "Content-Length"), "22");
	response_free(&r);
	ck_assert(client_request(c, "HEAD", "/nowhere", NULL, NULL, 0));
	r = client_read(c, true);
	ck_assert_int_eq(r.status, 404);
	response_free(&r);
	ck_assert(client_request(c, "HEAD", "/stream", NULL, NULL, 0));
	r = client_read(c, true);
	ck_assert_int_eq(r.status, 200);
	ck_assert_str_eq(response_header(&r, "Content-Type"), "text/event-stream");
	response_free(&r);
	ck_assert(toy_reaches(&t->freed, 1));
	ck_assert(client_closed(c));
	client_close(c);
}
END_TEST

START_TEST(answers_without_a_body_keep_the_connection)
{
	struct client *c = client_open(t->port);
	for (int i = 0; i < 3; i++) {
		ck_assert(client_request(c, "DELETE", "/v1/things/abc", NULL, NULL, 0));
		struct response r = client_read(c, false);
		ck_assert_int_eq(r.status, 204);
		response_free(&r);
		ck_assert(client_request(c, "GET", "/unchanged", NULL, NULL, 0));
		r = client_read(c, false);
		ck_assert_int_eq(r.status, 304);
		ck_assert_str_eq(response_header(&r, "ETag"), "\"1\"");
		response_free(&r);
	}
	client_close(c);
}
END_TEST

START_TEST(a_literal_segment_is_preferred_to_a_name)
{
	expect("GET", "/v1/things/validate", NULL, 200, "\"valid\":true");
	expect("DELETE", "/v1/things/validate", NULL, 204, NULL);
}
END_TEST

START_TEST(a_name_in_the_path_has_at_most_64_plain_characters)
{
	char target[100] = "/v1/things/";
	memset(target + 11, 'n', 64);
	expect("GET", target, NULL, 200, NULL);
	memset(target + 11, 'n', 65);
	expect("GET", target, NULL, 400, "\"code\":\"invalid_name\"");
	expect("GET", "/v1/things/a%20b", NULL, 400, "{id}");
	expect("GET", "/v1/things/%C3%BC", NULL, 400, "\"code\":\"invalid_name\"");
	expect("GET", "/v1/things/A-b_c.9", NULL, 200, "A-b_c.9");
}
END_TEST

START_TEST(query_values_are_decoded_once)
{
	expect("GET", "/v1/things?name=a%20b%2Bc+d%2525", NULL, 200, "\"name\":\"a b+c d%25\"");
	expect("GET", "/v1/things?name=%C3%BC", NULL, 200, "\"name\":\"\xc3\xbc\"");
	expect("GET", "/v1/things?name=a=b", NULL, 200, "\"name\":\"a=b\"");
	expect("GET", "/v1/things?name", NULL, 200, "\"name\":\"\"");
	expect("GET", "/v1/things?&&limit=7&", NULL, 200, "\"limit\":7");
	expect("GET", "/v1/things?", NULL, 200, "\"limit\":10");
}
END_TEST

START_TEST(wrong_parameters_are_reported_all_at_once_and_with_what_was_meant)
{
	struct response r = request_get(t->port, "/v1/things?limti=5&limit=0&zzz=1");
	ck_assert_int_eq(r.status, 400);
	json_t *p = json_loads(r.body, 0, NULL), *errors = json_object_get(p, "errors");
	ck_assert_uint_eq(json_array_size(errors), 3);
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(json_array_get(errors, 0), "detail")), "\"limit\"?"));
	ck_assert_str_eq(json_string_value(json_object_get(json_array_get(errors, 2), "param")), "limit");
	json_decref(p);
	response_free(&r);
	static const char *const wrong[] = {
		"", "-", "1x", "101", "99999999999999999999", "-9223372036854775808", "1.5", "0x1"};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char target[80];
		snprintf(target, sizeof(target), "/v1/things?limit=%s", wrong[i]);
		expect("GET", target, NULL, 400, "from 1 to 100");
	}
}
END_TEST

START_TEST(accept_chooses_the_type_of_the_answer)
{
	static const struct {
		const char *accept, *type;
	} cases[] = {
		{NULL, "application/json"},
		{"*/*", "application/json"},
		{"text/event-stream", "text/event-stream"},
		{"TEXT/*", "text/event-stream"},
		{"application/x-ndjson, */*;q=0.1", "application/x-ndjson"},
		{"application/json;q=0.2, text/event-stream;q=0.8", "text/event-stream"},
		{"application/*;q=0.5,application/json;q=0", "application/x-ndjson"},
		{"application/json ; charset=utf-8 ; q=0.9 , text/*;q=0.95", "text/event-stream"},
		{"application/json;q=1.000, text/event-stream", "application/json"},
		{"text/html", NULL},
		{"*/*;q=0", NULL},
		{"", NULL},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char header[200] = "";
		if (cases[i].accept)
			snprintf(header, sizeof(header), "Accept: %s\r\n", cases[i].accept);
		expect("GET", "/accepts", header, cases[i].type ? 200 : 406, cases[i].type);
	}
}
END_TEST

START_TEST(a_handlers_mistakes_become_500_and_its_first_reply_stands)
{
	expect("GET", "/silent", NULL, 500, "\"code\":\"internal\"");
	expect("GET", "/nothing", NULL, 500, "\"code\":\"internal\"");
	expect("GET", "/twice", NULL, 200, "{\"first\":1}");
	expect("GET", "/quote", NULL, 409, "\"param\":\"/a\"");
}
END_TEST

START_TEST(a_large_answer_arrives_whole)
{
	struct response r = request_get(t->port, "/big");
	ck_assert_int_eq(r.status, 200);
	ck_assert_uint_eq(r.size, 3000000);
	for (size_t i = 0; i < r.size; i++)
		if (r.body[i] != (char)('a' + i % 26))
			ck_abort_msg("byte %zu differs", i);
	response_free(&r);
	r = request_do(t->port, "HEAD", "/big", NULL, NULL, 0);
	ck_assert_str_eq(response_header(&r, "Content-Length"), "3000000");
	response_free(&r);
}
END_TEST

START_TEST(the_unix_socket_takes_any_host_but_no_other_site)
{
	struct stat st;
	ck_assert_int_eq(stat(t->socket, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0660);
	struct client *c = client_open_unix(t->socket);
	ck_assert(client_sendf(
		c, "GET /v1/things/abc HTTP/1.1\r\nHost: train.example\r\nOrigin: https://train.example\r\n\r\n"));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	ck_assert(client_sendf(c, "GET / HTTP/1.1\r\nHost: train.example\r\nOrigin: https://evil.example\r\n\r\n"));
	r = client_read(c, false);
	ck_assert_int_eq(r.status, 403);
	response_free(&r);
	client_close(c);
}
END_TEST

TEST_SUITE(http_request, 20)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, a_handler_answers_with_json_and_every_header_that_protects);
	tcase_add_test(tc, a_page_comes_with_a_content_security_policy);
	tcase_add_test(tc, each_answer_has_a_request_id_of_its_own);
	tcase_add_test(tc, an_unknown_path_is_404_as_problem_json);
	tcase_add_test(tc, a_known_path_with_another_method_is_405_and_says_which_there_are);
	tcase_add_test(tc, options_is_answered_with_the_methods_and_no_cors);
	tcase_add_test(tc, head_has_the_headers_of_get_and_no_body);
	tcase_add_test(tc, answers_without_a_body_keep_the_connection);
	tcase_add_test(tc, a_literal_segment_is_preferred_to_a_name);
	tcase_add_test(tc, a_name_in_the_path_has_at_most_64_plain_characters);
	tcase_add_test(tc, query_values_are_decoded_once);
	tcase_add_test(tc, wrong_parameters_are_reported_all_at_once_and_with_what_was_meant);
	tcase_add_test(tc, accept_chooses_the_type_of_the_answer);
	tcase_add_test(tc, a_handlers_mistakes_become_500_and_its_first_reply_stands);
	tcase_add_test(tc, a_large_answer_arrives_whole);
	tcase_add_test(tc, the_unix_socket_takes_any_host_but_no_other_site);
}
