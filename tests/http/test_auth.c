/*
 * test_auth.c - who may ask for what: every route of the catalogue with every kind of credential, tokens from their
 * making to their end, and Linux users at the other end of the Unix socket.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "http/talk.h"
#include "http/users.h"
#include "runner.h"

static struct daemon d;

static void start_it(void)
{
	static const char *const flags[] = {"--auth=token", NULL};
	daemon_start(&d, flags);
}

static void stop_it(void)
{
	daemon_done(&d);
}

static void refused(const char *method, const char *target, const struct user *who, int status, const char *code)
{
	struct response r = users_ask(&d, who, method, target, NULL);
	ck_assert_msg(r.status == status, "%s %s: %d, not %d", method, target, r.status, status);
	talk_problem(&r, status, code, "Authorization");
	const char *challenge = response_header(&r, "WWW-Authenticate");
	ck_assert_ptr_nonnull(challenge);
	ck_assert(strncmp(challenge, "Bearer realm=\"backpropd\"", 24) == 0);
	response_free(&r);
}

static void admitted(const char *method, const char *target, const struct user *who)
{
	int status = users_status(&d, who, method, target, NULL);
	ck_assert_msg(status != 401 && status != 403 && status != 0, "%s %s: %d", method, target, status);
}

/* The route's path with something that does not exist in place of each {name}. */
static const char *target_of(const char *path, char ret[256])
{
	size_t n = 0;
	for (const char *p = path; *p; p++) {
		if (*p == '{') {
			n += (size_t)snprintf(ret + n, 256 - n, "none");
			p += strcspn(p, "}");
		} else {
			ret[n++] = *p;
		}
	}
	ret[n] = '\0';
	return ret;
}

static int rank(const char *scope)
{
	return strcmp(scope, "read") == 0 ? 1 : strcmp(scope, "write") == 0 ? 2 : strcmp(scope, "admin") == 0 ? 3 : 0;
}

/* As if its time were over: in the database, while no daemon has it. */
static void let_expire(const char *id)
{
	char path[128], sql[128];
	sqlite3 *db = NULL;
	daemon_stop(&d);
	ck_assert_int_eq(sqlite3_open(daemon_path(&d, "backpropd.db", path, sizeof path), &db), SQLITE_OK);
	snprintf(sql, sizeof sql, "UPDATE token SET expires_at = created_at WHERE id = '%s'", id);
	ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	ck_assert_int_eq(sqlite3_changes(db), 1);
	sqlite3_close(db);
	daemon_start_again(&d);
}

START_TEST(every_route_asks_for_its_scope)
{
	static const char *const scopes[] = {"read", "write", "admin"};
	static const struct user wrong[] = {
		{.headers = "Authorization: Bearer bpt_short\r\n"},
		{.headers = "Authorization: Bearer bpt_00000000000000000000000000000000000000\r\n"},
		{.headers = "Authorization: Basic YW5uOnNlY3JldA==\r\n"},
	};
	struct user users[3], revoked = users_make(&d, "ann", "admin", 0),
			      expired = users_make(&d, "ann", "admin", 3600);
	char target[256];
	for (int i = 0; i < 3; i++)
		users[i] = users_make(&d, "ann", scopes[i], 3600);
	snprintf(target, sizeof target, "/v1/tokens/%s", revoked.id);
	json_decref(users_local(&d, "DELETE", target, NULL, 204));
	ck_assert_int_eq(users_status(&d, &expired, "GET", "/v1/jobs", NULL), 200);
	let_expire(expired.id);
	json_t *catalog = users_local(&d, "GET", "/v1/catalog", NULL, 200);
	const json_t *routes = talk_at(catalog, "routes");
	for (size_t i = 0; i < json_array_size(routes); i++) {
		const json_t *route = json_array_get(routes, i);
		const char *method = talk_text(route, "method"), *scope = talk_text(route, "scope");
		target_of(talk_text(route, "path"), target);
		if (!scope[0]) {
			admitted(method, target, NULL);
			continue;
		}
		refused(method, target, NULL, 401, "token_missing");
		for (int w = 0; w < 3; w++)
			refused(method, target, &wrong[w], 401, "token_invalid");
		refused(method, target, &revoked, 401, "token_invalid");
		refused(method, target, &expired, 401, "token_invalid");
		for (int u = 0; u < 3; u++)
			if (rank(scopes[u]) < rank(scope))
				refused(method, target, &users[u], 403, "scope_insufficient");
			else
				admitted(method, target, &users[u]);
	}
	json_decref(catalog);
}
END_TEST

START_TEST(a_token_says_who_asks_and_is_shown_once)
{
	struct user ann = users_make(&d, "ann", "write", 3600);
	struct response r = users_ask(&d, &ann, "GET", "/v1/whoami", NULL);
	json_t *me = json_loads(r.body, 0, NULL);
	ck_assert_str_eq(talk_text(me, "user"), "ann");
	ck_assert_str_eq(talk_text(me, "scope"), "write");
	json_decref(me);
	response_free(&r);
	r = users_ask(&d, &ann, "GET", "/v1/tokens", NULL);
	ck_assert_int_eq(r.status, 200);
	ck_assert_ptr_nonnull(strstr(r.body, ann.id));
	ck_assert_ptr_null(strstr(r.body, ann.text));
	json_t *list = json_loads(r.body, 0, NULL);
	ck_assert(talk_number(list, "data.0.expires_at") > talk_number(list, "data.0.created_at"));
	ck_assert(talk_number(list, "data.0.last_used_at") > 0);
	json_decref(list);
	response_free(&r);
}
END_TEST

START_TEST(a_changed_letter_is_noticed)
{
	struct user ann = users_make(&d, "ann", "write", 0);
	ck_assert_int_eq(users_status(&d, &ann, "GET", "/v1/jobs", NULL), 200);
	for (size_t i = 0; i < strlen(ann.text); i++) {
		struct user wrong = ann;
		char *letter = strstr(wrong.headers, ann.text) + i;
		*letter = *letter == 'q' ? 'r' : 'q';
		ck_assert_int_eq(users_status(&d, &wrong, "GET", "/v1/jobs", NULL), 401);
	}
}
END_TEST

START_TEST(nobody_gives_away_more_than_they_have)
{
	struct user ann = users_make(&d, "ann", "write", 0), admin = users_make(&d, "root", "admin", 0);
	ck_assert_int_eq(users_status(&d, &ann, "POST", "/v1/tokens", "{\"name\":\"mine\",\"scope\":\"write\"}"), 201);
	ck_assert_int_eq(users_status(&d, &ann, "POST", "/v1/tokens", "{\"name\":\"x\",\"scope\":\"admin\"}"), 403);
	ck_assert_int_eq(users_status(&d, &ann, "POST", "/v1/tokens", "{\"name\":\"x\",\"user\":\"bob\"}"), 403);
	ck_assert_int_eq(users_status(&d, &admin, "POST", "/v1/tokens", "{\"name\":\"x\",\"user\":\"bob\"}"), 201);
	ck_assert_int_eq(users_status(&d, &admin, "POST", "/v1/tokens", "{\"name\":\"x\",\"user\":\"b b\"}"), 400);
	ck_assert_int_eq(users_status(&d, &admin, "POST", "/v1/tokens", "{\"name\":\"x\",\"scope\":\"all\"}"), 400);
	ck_assert_int_eq(
		users_status(&d, &admin, "POST", "/v1/tokens", "{\"name\":\"x\",\"expires_in_seconds\":0}"), 400);
	ck_assert_int_eq(users_status(&d, &admin, "POST", "/v1/tokens", "{\"scope\":\"read\"}"), 400);
}
END_TEST

START_TEST(users_revoke_their_own_tokens_alone)
{
	struct user ann = users_make(&d, "ann", "write", 0), other = users_make(&d, "ann", "read", 0),
		    bob = users_make(&d, "bob", "write", 0);
	char target[128];
	snprintf(target, sizeof target, "/v1/tokens/%s", bob.id);
	ck_assert_int_eq(users_status(&d, &ann, "DELETE", target, NULL), 404);
	ck_assert_int_eq(users_status(&d, &bob, "GET", "/v1/jobs", NULL), 200);
	snprintf(target, sizeof target, "/v1/tokens/%s", other.id);
	ck_assert_int_eq(users_status(&d, &ann, "DELETE", target, NULL), 204);
	ck_assert_int_eq(users_status(&d, &other, "GET", "/v1/jobs", NULL), 401);
	ck_assert_int_eq(users_status(&d, &ann, "DELETE", target, NULL), 204);
}
END_TEST

START_TEST(a_refused_upload_is_not_read)
{
	struct client *c = client_open(d.port);
	ck_assert(client_sendf(
		c, "PUT /v1/datasets/big HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000000\r\n\r\n"));
	struct response r = client_read(c, false);
	ck_assert_int_eq(r.status, 401);
	response_free(&r);
	client_close(c);
	ck_assert_int_eq(daemon_files(&d, "uploads"), 0);
}
END_TEST

/* In a process of another user: what whoami says over the Unix socket. */
static int whoami_as(unsigned uid, const char *expect)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (setresuid(uid, uid, uid) != 0)
			_exit(3);
		struct client *c = client_open_unix(users_socket(&d));
		if (!c || !client_request(c, "GET", "/v1/whoami", NULL, NULL, 0))
			_exit(2);
		struct response r = client_read(c, false);
		_exit(r.status == 200 && strstr(r.body, expect) ? 0 : 1);
	}
	int status = -1;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

START_TEST(linux_users_are_known_over_the_unix_socket)
{
	json_t *me = users_local(&d, "GET", "/v1/whoami", NULL, 200);
	ck_assert_str_eq(talk_text(me, "scope"), "admin");
	json_decref(me);
	if (geteuid() != 0)
		return; /* only root can become another user */
	char state[128];
	ck_assert_int_eq(chmod(d.dir, 0755), 0);
	ck_assert_int_eq(chmod(daemon_path(&d, "", state, sizeof state), 0755), 0);
	ck_assert_int_eq(chmod(users_socket(&d), 0666), 0);
	ck_assert_int_eq(whoami_as(65534, "\"user\":\"nobody\",\"scope\":\"write\""), 0);
	ck_assert_int_eq(whoami_as(54321, "\"user\":\"uid-54321\",\"scope\":\"write\""), 0);
}
END_TEST

START_TEST(a_token_counts_over_the_unix_socket_too)
{
	struct user ann = users_make(&d, "ann", "read", 0);
	struct client *c = client_open_unix(users_socket(&d));
	ck_assert(client_request(c, "GET", "/v1/whoami", ann.headers, NULL, 0));
	struct response r = client_read(c, false);
	ck_assert_ptr_nonnull(strstr(r.body, "\"user\":\"ann\""));
	response_free(&r);
	client_close(c);
}
END_TEST

static struct client *follow(const struct user *who, const char *type)
{
	char headers[320];
	struct client *c = client_open(d.port);
	snprintf(headers, sizeof headers, "Accept: %s\r\n%s", type, who->headers);
	ck_assert(client_request(c, "GET", "/v1/events?follow=true", headers, NULL, 0));
	struct response r = client_read_head(c);
	ck_assert_int_eq(r.status, 200);
	response_free(&r);
	return c;
}

START_TEST(a_stream_ends_when_its_token_is_revoked)
{
	struct user ann = users_make(&d, "ann", "read", 0), other = users_make(&d, "ann", "read", 0);
	struct client *events = follow(&ann, "text/event-stream"), *lines = follow(&ann, "application/x-ndjson"),
		      *goes_on = follow(&other, "text/event-stream");
	char target[128];
	snprintf(target, sizeof target, "/v1/tokens/%s", ann.id);
	json_decref(users_local(&d, "DELETE", target, NULL, 204));
	client_timeout(events, 5000);
	const char *said = client_read_until(events, "revoked");
	ck_assert_ptr_nonnull(said);
	ck_assert(client_read_end(events));
	ck_assert(client_read_end(lines));
	client_timeout(goes_on, 500);
	ck_assert(!client_read_end(goes_on));
	client_close(events);
	client_close(lines);
	client_close(goes_on);
}
END_TEST

START_TEST(a_stream_and_a_long_poll_end_when_their_token_expires)
{
	struct user ann = users_make(&d, "ann", "read", 1);
	struct client *events = follow(&ann, "text/event-stream"), *poll = client_open(d.port);
	ck_assert(client_request(poll, "GET", "/v1/events?wait=60", ann.headers, NULL, 0));
	client_timeout(events, 5000);
	client_timeout(poll, 5000);
	ck_assert_ptr_nonnull(client_read_until(events, "expired"));
	ck_assert(client_read_end(events));
	struct response r = client_read(poll, false);
	talk_problem(&r, 401, "token_invalid", "Authorization");
	response_free(&r);
	client_close(events);
	client_close(poll);
}
END_TEST

START_TEST(a_long_poll_ends_when_its_token_is_revoked)
{
	struct user ann = users_make(&d, "ann", "read", 0);
	struct client *poll = client_open(d.port);
	ck_assert(client_request(poll, "GET", "/v1/events?wait=60", ann.headers, NULL, 0));
	char target[128];
	snprintf(target, sizeof target, "/v1/tokens/%s", ann.id);
	json_decref(users_local(&d, "DELETE", target, NULL, 204));
	client_timeout(poll, 5000);
	struct response r = client_read(poll, false);
	talk_problem(&r, 401, "token_invalid", "Authorization");
	response_free(&r);
	client_close(poll);
}
END_TEST

TEST_SUITE(auth, 60)
{
	tcase_add_checked_fixture(tc, start_it, stop_it);
	tcase_add_test(tc, every_route_asks_for_its_scope);
	tcase_add_test(tc, a_token_says_who_asks_and_is_shown_once);
	tcase_add_test(tc, a_changed_letter_is_noticed);
	tcase_add_test(tc, nobody_gives_away_more_than_they_have);
	tcase_add_test(tc, users_revoke_their_own_tokens_alone);
	tcase_add_test(tc, a_refused_upload_is_not_read);
	tcase_add_test(tc, linux_users_are_known_over_the_unix_socket);
	tcase_add_test(tc, a_token_counts_over_the_unix_socket_too);
	tcase_add_test(tc, a_stream_ends_when_its_token_is_revoked);
	tcase_add_test(tc, a_stream_and_a_long_poll_end_when_their_token_expires);
	tcase_add_test(tc, a_long_poll_ends_when_its_token_is_revoked);
}
