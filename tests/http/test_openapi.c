/* test_openapi.c - the description of the interface against the route table and the error registry, both ways. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "http/daemon.h"
#include "http/talk.h"
#include "runner.h"

static json_t *document, *catalog;

static void fetch(void)
{
	struct daemon d;
	daemon_start(&d, NULL);
	document = talk_get(d.port, "/openapi.json");
	catalog = talk_get(d.port, "/v1/catalog");
	daemon_done(&d);
}

static void release(void)
{
	json_decref(document);
	json_decref(catalog);
}

static const char *lower(const char *method, char buf[16])
{
	size_t n = 0;
	for (; method[n] && n < 15; n++)
		buf[n] = (char)tolower((unsigned char)method[n]);
	buf[n] = '\0';
	return buf;
}

START_TEST(it_is_an_openapi_document)
{
	ck_assert_str_eq(talk_text(document, "openapi"), "3.1.0");
	ck_assert_str_eq(talk_text(document, "info.title"), "backpropd");
	ck_assert_uint_gt(strlen(talk_text(document, "info.version")), 0);
	ck_assert(json_is_object(talk_at(document, "paths")));
	ck_assert(json_is_object(talk_at(document, "components.schemas")));
}
END_TEST

START_TEST(every_route_is_documented)
{
	const json_t *routes = talk_at(catalog, "routes"), *paths = talk_at(document, "paths");
	ck_assert_uint_gt(json_array_size(routes), 30);
	for (size_t i = 0; i < json_array_size(routes); i++) {
		char method[16];
		const json_t *route = json_array_get(routes, i);
		const json_t *path = json_object_get(paths, talk_text(route, "path"));
		const json_t *op = json_object_get(path, lower(talk_text(route, "method"), method));
		ck_assert_msg(json_is_object(op), "%s %s", talk_text(route, "method"), talk_text(route, "path"));
		ck_assert_str_eq(talk_text(op, "summary"), talk_text(route, "summary"));
		const char *scope = talk_text(route, "scope");
		if (scope[0])
			ck_assert_str_eq(talk_text(op, "security.0.token.0"), scope);
		else
			ck_assert_uint_eq(json_array_size(talk_at(op, "security")), 0);
		ck_assert(json_is_object(talk_at(op, "responses.default")));
		ck_assert_uint_ge(json_object_size(talk_at(op, "responses")), 2);
	}
}
END_TEST

static bool routed(const char *method, const char *path)
{
	const json_t *routes = talk_at(catalog, "routes");
	for (size_t i = 0; i < json_array_size(routes); i++)
		if (strcasecmp(talk_text(json_array_get(routes, i), "method"), method) == 0 &&
			strcmp(talk_text(json_array_get(routes, i), "path"), path) == 0)
			return true;
	return false;
}

START_TEST(every_documented_operation_is_routed)
{
	const char *path, *method;
	json_t *item, *op;
	json_object_foreach((json_t *)talk_at(document, "paths"), path, item) json_object_foreach(item, method, op)
		ck_assert_msg(routed(method, path), "%s %s is documented alone", method, path);
}
END_TEST

/* The parameter itself, or the one in components that it refers to. */
static const json_t *resolve(const json_t *p)
{
	const char *ref = json_string_value(json_object_get(p, "$ref"));
	return ref ? json_object_get(talk_at(document, "components.parameters"), strrchr(ref, '/') + 1) : p;
}

START_TEST(every_place_in_a_path_is_a_documented_parameter)
{
	const char *path, *method;
	json_t *item, *op;
	json_object_foreach((json_t *)talk_at(document, "paths"), path, item) json_object_foreach(item, method, op)
	{
		for (const char *at = path; (at = strchr(at, '{')); at++) {
			bool found = false;
			size_t n = strcspn(at + 1, "}");
			const json_t *parameters = json_object_get(op, "parameters");
			for (size_t i = 0; i < json_array_size(parameters); i++) {
				const json_t *p = resolve(json_array_get(parameters, i));
				const char *name = talk_text(p, "name");
				if (strcmp(talk_text(p, "in"), "path") == 0 && strlen(name) == n &&
					strncmp(name, at + 1, n) == 0)
					found = true;
			}
			ck_assert_msg(found, "%s %s", method, path);
		}
	}
}
END_TEST

START_TEST(operation_ids_are_unique)
{
	const char *path, *method;
	json_t *item, *op, *seen = json_object();
	json_object_foreach((json_t *)talk_at(document, "paths"), path, item) json_object_foreach(item, method, op)
	{
		const char *id = talk_text(op, "operationId");
		ck_assert_msg(!json_object_get(seen, id), "%s", id);
		json_object_set_new(seen, id, json_true());
	}
	json_decref(seen);
}
END_TEST

START_TEST(every_error_code_is_documented_and_no_other)
{
	const json_t *errors = talk_at(catalog, "errors");
	const json_t *codes = talk_at(document, "components.schemas.Problem.properties.code.enum");
	ck_assert_uint_eq(json_array_size(errors), json_array_size(codes));
	for (size_t i = 0; i < json_array_size(errors); i++) {
		const char *code = talk_text(json_array_get(errors, i), "code");
		bool found = false;
		for (size_t k = 0; k < json_array_size(codes); k++)
			if (strcmp(json_string_value(json_array_get(codes, k)), code) == 0)
				found = true;
		ck_assert_msg(found, "%s", code);
	}
}
END_TEST

START_TEST(every_status_of_a_job_is_documented_and_no_other)
{
	const json_t *statuses = talk_at(catalog, "job_statuses");
	const json_t *names = talk_at(document, "components.schemas.JobStatus.enum");
	ck_assert_uint_eq(json_array_size(statuses), json_array_size(names));
	for (size_t i = 0; i < json_array_size(statuses); i++)
		ck_assert_str_eq(
			talk_text(json_array_get(statuses, i), "name"), json_string_value(json_array_get(names, i)));
}
END_TEST

/* Every "$ref" leads to something. */
static void check_refs(const json_t *json)
{
	const char *key;
	json_t *v;
	for (size_t i = 0; i < json_array_size(json); i++)
		check_refs(json_array_get(json, i));
	json_object_foreach((json_t *)json, key, v)
	{
		const char *ref = strcmp(key, "$ref") == 0 ? json_string_value(v) : NULL;
		char path[128] = "";
		if (ref)
			snprintf(path, sizeof path, "%s", ref + 2);
		for (char *p = path; *p; p++)
			if (*p == '/')
				*p = '.';
		if (ref)
			ck_assert(json_is_object(talk_at(document, path)));
		check_refs(v);
	}
}

START_TEST(every_reference_leads_somewhere)
{
	check_refs(document);
}
END_TEST

TEST_SUITE(openapi, 30)
{
	tcase_add_checked_fixture(tc, fetch, release);
	tcase_add_test(tc, it_is_an_openapi_document);
	tcase_add_test(tc, every_route_is_documented);
	tcase_add_test(tc, every_documented_operation_is_routed);
	tcase_add_test(tc, every_place_in_a_path_is_a_documented_parameter);
	tcase_add_test(tc, operation_ids_are_unique);
	tcase_add_test(tc, every_error_code_is_documented_and_no_other);
	tcase_add_test(tc, every_status_of_a_job_is_documented_and_no_other);
	tcase_add_test(tc, every_reference_leads_somewhere);
}
