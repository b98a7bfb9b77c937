/*
 * test_owner.c - another user's data sets, models and jobs do not exist: every route with an object in its path is
 * asked by the owner, by another user and by an admin.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/sample.h"
#include "http/talk.h"
#include "http/users.h"
#include "runner.h"

static struct daemon d;
static struct user ann, bob, admin;

static void start_it(void)
{
	static const char *const flags[] = {"--auth=token", NULL};
	daemon_start(&d, flags);
	ann = users_make(&d, "ann", "write", 0);
	bob = users_make(&d, "bob", "write", 0);
	admin = users_make(&d, "root", "admin", 0);
}

static void stop_it(void)
{
	daemon_done(&d);
}

/* The answer must have that status. New reference. */
static json_t *get(const struct user *who, const char *method, const char *target, const char *body, int status)
{
	struct response r = users_ask(&d, who, method, target, body);
	ck_assert_msg(r.status == status, "%s %s: %d %s", method, target, r.status, r.body ? r.body : "");
	json_t *json = json_loads(r.body, 0, NULL);
	response_free(&r);
	return json;
}

static void upload(const struct user *who, const char *name)
{
	char target[128];
	struct bytes npz = sample_npz_images(128, 16);
	snprintf(target, sizeof target, "/v1/datasets/%s", name);
	struct response r = request_do(d.port, "PUT", target, strstr(who->headers, "Authorization"), npz.at, npz.size);
	ck_assert_int_eq(r.status, 201);
	response_free(&r);
	bytes_free(&npz);
}

/* What the routes' {names} stand for: ann's things. */
static char model_id[64], job_id[64];

static void make_things(void)
{
	upload(&ann, "quarters");
	json_t *model = get(&ann, "POST", "/v1/models", sample_model(), 201);
	snprintf(model_id, sizeof model_id, "%s", talk_text(model, "id"));
	json_decref(model);
	char *body = sample_job("quarters", "\"epochs\":1");
	json_t *job = get(&ann, "POST", "/v1/jobs", body, 201);
	snprintf(job_id, sizeof job_id, "%s", talk_text(job, "id"));
	ck_assert_str_eq(talk_text(job, "owner"), "ann");
	json_decref(job);
	free(body);
	for (bool ended = false; !ended;) {
		char target[128];
		snprintf(target, sizeof target, "/v1/jobs/%s?wait=30", job_id);
		job = get(&ann, "GET", target, NULL, 200);
		ended = strcmp(talk_text(job, "status"), "succeeded") == 0;
		json_decref(job);
	}
}

/* The route's path with ann's things in it; false when it names none of them. */
static bool target_of(const char *path, char ret[256])
{
	static const struct {
		const char *at, *id;
	} places[] = {{"/v1/datasets/{name}", "/v1/datasets/quarters"}, {"/v1/models/{id}", model_id},
		{"/v1/jobs/{id}", job_id}};
	for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
		size_t n = strlen(places[i].at);
		if (strncmp(path, places[i].at, n) != 0)
			continue;
		const char *rest = path + n, *more = strchr(rest, '{');
		size_t base = strcspn(places[i].at + 4, "/") + 5;
		snprintf(ret, 256, "%.*s%s%.*s%s%s", i == 0 ? 0 : (int)base, path, places[i].id,
			more ? (int)(more - rest) : (int)strlen(rest), rest,
			!more                              ? ""
			: strncmp(more, "{which}", 7) == 0 ? "last"
							   : "0",
			more ? strchr(more, '}') + 1 : "");
		return true;
	}
	return false;
}

START_TEST(another_users_things_do_not_exist)
{
	make_things();
	json_t *catalog = get(&admin, "GET", "/v1/catalog", NULL, 200);
	const json_t *routes = talk_at(catalog, "routes");
	int asked = 0;
	for (int deleting = 0; deleting < 2; deleting++) {
		for (size_t i = 0; i < json_array_size(routes); i++) {
			const json_t *route = json_array_get(routes, i);
			const char *method = talk_text(route, "method"), *path = talk_text(route, "path");
			char target[256];
			bool reads = strcmp(method, "PATCH") == 0 || strstr(path, "clone") || strstr(path, "predict");
			const char *body = reads ? "{}" : NULL;
			/* A PUT under that name makes bob's own; ann's things go last. */
			if ((strcmp(method, "DELETE") == 0) != (deleting == 1) || strcmp(method, "PUT") == 0 ||
				!target_of(path, target))
				continue;
			int other = users_status(&d, &bob, method, target, body);
			ck_assert_msg(other == 404 || (body && other == 400), "bob: %s %s: %d", method, target, other);
			if (strstr(path, "clone") || strstr(path, "predict"))
				continue; /* what comes of them for the owner is other tests' matter */
			const struct user *who = strcmp(path, "/v1/datasets/{name}") != 0 && deleting ? &admin : &ann;
			int owner = users_status(&d, who, method, target, body);
			ck_assert_msg(owner != 404 && owner != 401 && owner != 403, "owner: %s %s: %d", method, target,
				owner);
			asked++;
		}
	}
	ck_assert_int_gt(asked, 15);
	json_decref(catalog);
}
END_TEST

START_TEST(lists_events_and_the_queue_show_ones_own)
{
	make_things();
	static const char *const lists[] = {"/v1/datasets", "/v1/models", "/v1/jobs", "/v1/events"};
	for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
		json_t *mine = get(&ann, "GET", lists[i], NULL, 200), *others = get(&bob, "GET", lists[i], NULL, 200);
		json_t *all = get(&admin, "GET", lists[i], NULL, 200);
		ck_assert_uint_gt(json_array_size(talk_at(mine, "data")), 0);
		ck_assert_uint_eq(json_array_size(talk_at(others, "data")), 0);
		ck_assert_uint_eq(json_array_size(talk_at(all, "data")), json_array_size(talk_at(mine, "data")));
		json_decref(mine);
		json_decref(others);
		json_decref(all);
	}
}
END_TEST

START_TEST(jobs_use_the_things_of_their_user_alone)
{
	make_things();
	char body[256];
	char *job = sample_job("quarters", "\"epochs\":1");
	ck_assert_int_eq(users_status(&d, &bob, "POST", "/v1/jobs", job), 400);
	upload(&bob, "quarters");
	json_t *made = get(&bob, "POST", "/v1/jobs", job, 201);
	ck_assert_str_eq(talk_text(made, "owner"), "bob");
	json_decref(made);
	free(job);
	snprintf(body, sizeof body, "{\"dataset\":\"quarters\",\"model\":\"%s\"}", model_id);
	ck_assert_int_eq(users_status(&d, &bob, "POST", "/v1/jobs?dry_run=true", body), 400);
	ck_assert_int_eq(users_status(&d, &ann, "POST", "/v1/jobs?dry_run=true", body), 200);
}
END_TEST

TEST_SUITE(owner, 60)
{
	tcase_add_checked_fixture(tc, start_it, stop_it);
	tcase_add_test(tc, another_users_things_do_not_exist);
	tcase_add_test(tc, lists_events_and_the_queue_show_ones_own);
	tcase_add_test(tc, jobs_use_the_things_of_their_user_alone);
}
