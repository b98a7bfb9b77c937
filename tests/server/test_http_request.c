/* test_http_request.c - requests as clients should send them: routes, methods, bodies, headers of every answer. */
#include "http_toy.h"
#include "runner.h"

#include <string.h>

static struct toy *t;

static void start(void) { t = toy_start(NULL); }
static void stop(void) { toy_stop(t); }

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
	response_free(&r);
}
END_TEST

TEST_SUITE(http_request, 20)
{
	tcase_add_checked_fixture(tc, start, stop);
	tcase_add_test(tc, a_handler_answers_with_json_and_every_header_that_protects);
}
