/* talk.c - see talk.h. */
#include "http/talk.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *parse(struct response *r, const char *method, const char *target, int status)
{
	json_error_t error;
	ck_assert_msg(r->status == status, "%s %s: %d, not %d: %s", method, target, r->status, status,
		r->body ? r->body : "");
	json_t *json = NULL;
	if (status != 204 && status != 304) {
		json = json_loadb(r->body, r->size, JSON_REJECT_DUPLICATES, &error);
		ck_assert_msg(json != NULL, "%s %s: no JSON: %s", method, target, r->body);
	}
	response_free(r);
	return json;
}

static struct response ask(int port, const char *method, const char *target, const char *body)
{
	return body ? request_json(port, method, target, body) : request_do(port, method, target, NULL, NULL, 0);
}

json_t *talk(int port, const char *method, const char *target, const char *body, int status)
{
	struct response r = ask(port, method, target, body);
	return parse(&r, method, target, status);
}

json_t *talk_get(int port, const char *target)
{
	return talk(port, "GET", target, NULL, 200);
}

json_t *talk_put(int port, const char *target, const void *bytes, size_t size, int status)
{
	struct response r = request_do(port, "PUT", target, NULL, bytes, size);
	return parse(&r, "PUT", target, status);
}

void talk_problem(const struct response *r, int status, const char *code, const char *param)
{
	ck_assert_msg(r->status == status, "%d, not %d %s: %s", r->status, status, code, r->body ? r->body : "");
	const char *type = response_header(r, "Content-Type");
	ck_assert_ptr_nonnull(type);
	ck_assert_msg(strncmp(type, "application/problem+json", 24) == 0, "%s", type);
	json_t *json = json_loadb(r->body, r->size, JSON_REJECT_DUPLICATES, NULL);
	ck_assert_msg(json != NULL, "no JSON: %s", r->body);
	ck_assert_int_eq(talk_int(json, "status"), status);
	ck_assert_ptr_nonnull(talk_text(json, "title"));
	ck_assert_ptr_nonnull(talk_text(json, "request_id"));
	bool found = false;
	const json_t *errors = talk_at(json, "errors");
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const json_t *e = json_array_get(errors, i);
		if (strcmp(talk_text(e, "code"), code) == 0 && strcmp(talk_text(e, "param"), param) == 0)
			found = true;
	}
	ck_assert_msg(found, "no %s at \"%s\": %s", code, param, r->body);
	json_decref(json);
}

void talk_refused(int port, const char *method, const char *target, const char *body, int status, const char *code,
	const char *param)
{
	struct response r = ask(port, method, target, body);
	talk_problem(&r, status, code, param);
	response_free(&r);
}

const json_t *talk_at(const json_t *json, const char *path)
{
	const json_t *at = json;
	char name[64];
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, ".");
		ck_assert_uint_lt(n, sizeof name);
		snprintf(name, sizeof name, "%.*s", (int)n, p);
		at = json_is_array(at) ? json_array_get(at, (size_t)atoi(name)) : json_object_get(at, name);
		p += n + (p[n] == '.');
	}
	if (!at) {
		char *text = json_dumps(json, JSON_COMPACT);
		ck_abort_msg("no \"%s\" in %s", path, text);
	}
	return at;
}

const char *talk_text(const json_t *json, const char *path)
{
	const json_t *v = talk_at(json, path);
	ck_assert_msg(json_is_string(v), "\"%s\" is no string", path);
	return json_string_value(v);
}

long long talk_int(const json_t *json, const char *path)
{
	const json_t *v = talk_at(json, path);
	ck_assert_msg(json_is_integer(v), "\"%s\" is no integer", path);
	return json_integer_value(v);
}

double talk_number(const json_t *json, const char *path)
{
	const json_t *v = talk_at(json, path);
	ck_assert_msg(json_is_number(v), "\"%s\" is no number", path);
	return json_number_value(v);
}
