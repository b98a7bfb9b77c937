/*
 * test_auth.c - who may ask for what: every route of the catalogue with every kind of credential, tokens from their
 * making to their end, and Linux users at the other end of the Unix socket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "http/daemon.h"
#include "http/sample.h"
#include "http/talk.h"
#include "runner.h"

enum { TEXT_MAX = 96 };

static struct daemon d;
static char folder[] = "/tmp/backpropd-auth-XXXXXX", socket_path[64], socket_flag[80];

static void start_it(void)
{
	strcpy(strrchr(folder, '-'), "-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(socket_path, sizeof socket_path, "%s/socket", folder);
	snprintf(socket_flag, sizeof socket_flag, "--unix-socket=%s", socket_path);
	static const char *flags[] = {"--auth=token", socket_flag, NULL};
	daemon_start(&d, flags);
}

static void stop_it(void)
{
	daemon_done(&d);
	rmdir(folder);
}

/* A request over the Unix socket: made by the Linux user who runs the test, who runs the daemon too. */
static json_t *ask_locally(const char *method, const char *target, const char *body, int status)
{
	struct client *c = client_open_unix(socket_path);
	ck_assert_ptr_nonnull(c);
	ck_assert(client_request(
		c, method, target, "Content-Type: application/json\r\n", body ? body : "", body ? strlen(body) : 0));
	struct response r = client_read(c, false);
	ck_assert_msg(r.status == status, "%s %s: %d %s", method, target, r.status, r.body ? r.body : "");
	json_t *json = r.size ? json_loads(r.body, 0, NULL) : NULL;
	response_free(&r);
	client_close(c);
	return json;
}

/* Makes a token and keeps its text and id. */
struct made {
	char text[TEXT_MAX], id[TEXT_MAX];
};
static struct made token_make(const char *user, const char *scope, int seconds)
{
	struct made ret;
	char body[256], life[48] = "";
	if (seconds)
		snprintf(life, sizeof life, ",\"expires_in_seconds\":%d", seconds);
	snprintf(body, sizeof body, "{\"user\":\"%s\",\"name\":\"test\",\"scope\":\"%s\"%s}", user, scope, life);
	json_t *json = ask_locally("POST", "/v1/tokens", body, 201);
	snprintf(ret.text, sizeof ret.text, "%s", talk_text(json, "token"));
	snprintf(ret.id, sizeof ret.id, "%s", talk_text(json, "id"));
	json_decref(json);
	return ret;
}

/* Over TCP with that token, or none. */
static struct response ask(const char *method, const char *target, const char *token, const char *body)
{
	char headers[256] = "Content-Type: application/json\r\n";
	if (token)
		snprintf(headers, sizeof headers, "Content-Type: application/json\r\nAuthorization: Bearer %.95s\r\n",
			token);
	return request_do(d.port, method, target, headers, body, body ? strlen(body) : 0);
}

static int status_of(const char *method, const char *target, const char *token, const char *body)
{
	struct response r = ask(method, target, token, body);
	int status = r.status;
	response_free(&r);
	return status;
}

static void refused(const char *method, const char *target, const char *token, int status, const char *code)
{
	struct response r = ask(method, target, token, NULL);
	ck_assert_msg(r.status == status, "%s %s: %d, not %d", method, target, r.status, status);
	talk_problem(&r, status, code, "Authorization");
	const char *challenge = response_header(&r, "WWW-Authenticate");
	ck_assert_ptr_nonnull(challenge);
	ck_assert(strncmp(challenge, "Bearer realm=\"backpropd\"", 24) == 0);
	response_free(&r);
}

static void admitted(const char *method, const char *target, const char *token)
{
	int status = status_of(method, target, token, NULL);
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

START_TEST(every_route_asks_for_its_scope)
{
	static const char *const scopes[] = {"read", "write", "admin"};
	struct made tokens[3], revoked = token_make("ann", "admin", 0), expired = token_make("ann", "admin", 1);
	char target[256];
	for (int i = 0; i < 3; i++)
		tokens[i] = token_make("ann", scopes[i], 0);
	snprintf(target, sizeof target, "/v1/tokens/%s", revoked.id);
	json_decref(ask_locally("DELETE", target, NULL, 204));
	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += 1;
	while (clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &end, NULL) != 0)
		; /* the moment that the token names */
	json_t *catalog = ask_locally("GET", "/v1/catalog", NULL, 200);
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
		refused(method, target, "bpt_short", 401, "token_invalid");
		refused(method, target, "bpt_00000000000000000000000000000000000000", 401, "token_invalid");
		refused(method, target, revoked.text, 401, "token_invalid");
		refused(method, target, expired.text, 401, "token_invalid");
		for (int s = 0; s < 3; s++)
			if (rank(scopes[s]) < rank(scope))
				refused(method, target, tokens[s].text, 403, "scope_insufficient");
			else
				admitted(method, target, tokens[s].text);
	}
	json_decref(catalog);
}
END_TEST

START_TEST(a_token_says_who_asks_and_is_shown_once)
{
	struct made ann = token_make("ann", "write", 3600);
	struct response r = ask("GET", "/v1/whoami", ann.text, NULL);
	json_t *me = json_loads(r.body, 0, NULL);
	ck_assert_str_eq(talk_text(me, "user"), "ann");
	ck_assert_str_eq(talk_text(me, "scope"), "write");
	json_decref(me);
	response_free(&r);
	r = ask("GET", "/v1/tokens", ann.text, NULL);
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
	struct made ann = token_make("ann", "write", 0);
	ck_assert_int_eq(status_of("GET", "/v1/jobs", ann.text, NULL), 200);
	for (size_t i = 0; i < strlen(ann.text); i++) {
		char wrong[TEXT_MAX];
		snprintf(wrong, sizeof wrong, "%s", ann.text);
		wrong[i] = wrong[i] == 'q' ? 'r' : 'q';
		ck_assert_int_eq(status_of("GET", "/v1/jobs", wrong, NULL), 401);
	}
}
END_TEST

START_TEST(nobody_gives_away_more_than_they_have)
{
	struct made ann = token_make("ann", "write", 0), admin = token_make("root", "admin", 0);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", ann.text, "{\"name\":\"mine\",\"scope\":\"write\"}"), 201);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", ann.text, "{\"name\":\"x\",\"scope\":\"admin\"}"), 403);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", ann.text, "{\"name\":\"x\",\"user\":\"bob\"}"), 403);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", admin.text, "{\"name\":\"x\",\"user\":\"bob\"}"), 201);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", admin.text, "{\"name\":\"x\",\"user\":\"b b\"}"), 400);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", admin.text, "{\"name\":\"x\",\"scope\":\"all\"}"), 400);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", admin.text, "{\"name\":\"x\",\"expires_in_seconds\":0}"), 400);
	ck_assert_int_eq(status_of("POST", "/v1/tokens", admin.text, "{\"scope\":\"read\"}"), 400);
}
END_TEST

START_TEST(users_revoke_their_own_tokens_alone)
{
	struct made ann = token_make("ann", "write", 0), other = token_make("ann", "read", 0),
		    bob = token_make("bob", "write", 0);
	char target[128];
	snprintf(target, sizeof target, "/v1/tokens/%s", bob.id);
	ck_assert_int_eq(status_of("DELETE", target, ann.text, NULL), 404);
	ck_assert_int_eq(status_of("GET", "/v1/jobs", bob.text, NULL), 200);
	snprintf(target, sizeof target, "/v1/tokens/%s", other.id);
	ck_assert_int_eq(status_of("DELETE", target, ann.text, NULL), 204);
	ck_assert_int_eq(status_of("GET", "/v1/jobs", other.text, NULL), 401);
	ck_assert_int_eq(status_of("DELETE", target, ann.text, NULL), 204);
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
		struct client *c = client_open_unix(socket_path);
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
	json_t *me = ask_locally("GET", "/v1/whoami", NULL, 200);
	ck_assert_str_eq(talk_text(me, "scope"), "admin");
	json_decref(me);
	if (geteuid() != 0)
		return; /* only root can become another user */
	ck_assert_int_eq(chmod(folder, 0755), 0);
	ck_assert_int_eq(chmod(socket_path, 0666), 0);
	ck_assert_int_eq(whoami_as(65534, "\"user\":\"nobody\",\"scope\":\"write\""), 0);
	ck_assert_int_eq(whoami_as(54321, "\"user\":\"uid-54321\",\"scope\":\"write\""), 0);
}
END_TEST

START_TEST(a_token_counts_over_the_unix_socket_too)
{
	struct made ann = token_make("ann", "read", 0);
	char header[160];
	snprintf(header, sizeof header, "Authorization: Bearer %s\r\n", ann.text);
	struct client *c = client_open_unix(socket_path);
	ck_assert(client_request(c, "GET", "/v1/whoami", header, NULL, 0));
	struct response r = client_read(c, false);
	ck_assert_ptr_nonnull(strstr(r.body, "\"user\":\"ann\""));
	response_free(&r);
	client_close(c);
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
}
