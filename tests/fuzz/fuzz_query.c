/*
 * fuzz_query.c - whatever comes as a request's target: path and query are decoded once, the path finds a route of the
 * real table or is refused, and what was decoded can be written and read again.
 */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "http/inside.h"

enum { TARGET_BYTES = 512, WRITTEN = 3 * TARGET_BYTES + 8, LIST_MAX = 1000, PARSE_EVERY = 8 };

static void handler(struct http_request *rq)
{
	(void)rq;
}

static const struct route routes[] = {
#define ROUTE(method, path, unused, body, pace, scope, summary) {method, path, handler, body, pace, summary, 0},
#include "api/routes.def"
};
enum { ROUTES = sizeof(routes) / sizeof(routes[0]) };

/* One for the whole process, as the daemon has. */
static struct http_server *server(void)
{
	static struct http_server srv;
	if (!srv.routes) {
		srv.o.nroutes = ROUTES;
		srv.routes = routes_compile(routes, ROUTES);
		must(srv.routes != NULL, "the routes are valid");
	}
	return &srv;
}

static struct http_request *request(const char *target, size_t size)
{
	struct http_request *rq = calloc(1, sizeof(*rq));
	must(rq != NULL, "there is memory");
	rq->srv = server();
	rq->method = "GET";
	rq->target = strndup(target, size);
	rq->target_size = strlen(rq->target);
	return rq;
}

static void request_free(struct http_request *rq)
{
	reply_free(&rq->reply);
	free(rq->target);
	free(rq->query_text);
	free(rq);
}

/* A refusal is a reply with its code, of a request that was wrong and not of a server that is. Every so many-th is
 * parsed: that takes as long as all else together. */
static void check_refusal(const struct http_request *rq)
{
	const struct reply *r = &rq->reply;
	must(reply_any(rq) && r->status >= 400 && r->status < 500, "a refusal is an answer to a client");
	must(r->size > 2 && memchr(r->data, '\0', r->size) == NULL, "a refusal is a text");
	if (rq->target_size % PARSE_EVERY)
		return;
	json_t *json = json_loadb(r->data, r->size, JSON_REJECT_DUPLICATES, NULL);
	const json_t *first = json_array_get(json_object_get(json, "errors"), 0);
	must(json_is_string(json_object_get(json, "code")) && json_is_string(json_object_get(first, "param")),
		"a refusal has a code, and says of what");
	json_decref(json);
}

/* Every byte of a text that could mean something else is escaped. */
static char *write_text(char *to, const char *text)
{
	for (const char *p = text; *p; p++)
		if ((*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9'))
			*to++ = *p;
		else
			to += snprintf(to, 4, "%%%02X", (unsigned char)*p);
	return to;
}

/* Names are told apart, and the query in another spelling is the same query. */
static void check_query(const struct http_request *rq)
{
	char text[WRITTEN] = "/?", *end = text + 2;
	for (int i = 0; i < rq->nquery; i++) {
		must(http_query(rq, rq->query[i].name) == rq->query[i].value, "a name has one value");
		end = write_text(end, rq->query[i].name);
		*end++ = '=';
		end = write_text(end, rq->query[i].value);
		*end++ = '&';
	}
	struct http_request *again = request(text, (size_t)(end - text));
	must(target_parse(again) && again->nquery == rq->nquery, "a query that was written can be read");
	for (int i = 0; i < rq->nquery; i++)
		must(strcmp(again->query[i].name, rq->query[i].name) == 0 &&
				strcmp(again->query[i].value, rq->query[i].value) == 0,
			"and says the same");
	request_free(again);
}

/* What lists read: a limit in its bounds, and no parameter that nobody knows. */
static void check_numbers(const struct http_request *rq)
{
	static const char *const names[] = {"after", "limit", "status", "wait"};
	struct problems problems = {0};
	int64_t limit = 20;
	const char *text = http_query(rq, "limit");
	bool ok = http_query_int(rq, "limit", 1, LIST_MAX, &limit, &problems);
	must(limit >= 1 && limit <= LIST_MAX, "a limit is within its bounds");
	must(ok == !problems_any(&problems) && (!text || !ok || strtoll(text, NULL, 10) == limit),
		"a limit is its number");
	http_query_only(rq, names, sizeof(names) / sizeof(names[0]), &problems);
	must_tell(&problems);
}

static void check_route(struct http_request *rq)
{
	if (!route_find(rq)) {
		check_refusal(rq);
		return;
	}
	must(!reply_any(rq) && rq->route && strcmp(rq->route->method, "GET") == 0, "a route is found");
	for (int i = 0; i < rq->nnamed; i++)
		must(rq->named[i].value[0] && !strpbrk(rq->named[i].value, "/\\%? ") &&
				strcmp(rq->named[i].value, "..") != 0,
			"a name is a name");
}

void fuzz_query(const uint8_t *data, size_t size)
{
	struct http_request *rq = request((const char *)data, size < TARGET_BYTES ? size : TARGET_BYTES);
	if (target_parse(rq)) {
		must(!reply_any(rq), "what was read is not refused");
		check_query(rq);
		check_numbers(rq);
		check_route(rq);
	} else {
		check_refusal(rq);
	}
	request_free(rq);
}
