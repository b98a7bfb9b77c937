/* users.c - see users.h. */
#include "http/users.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "http/talk.h"

#define JSON_TYPE "Content-Type: application/json\r\n"

const char *users_socket(const struct daemon *d)
{
	static char path[128];
	return daemon_path(d, "socket", path, sizeof path);
}

static size_t length(const char *body)
{
	return body ? strlen(body) : 0;
}

json_t *users_local(const struct daemon *d, const char *method, const char *target, const char *body, int status)
{
	struct client *c = client_open_unix(users_socket(d));
	ck_assert_ptr_nonnull(c);
	ck_assert(client_request(c, method, target, JSON_TYPE, body, length(body)));
	struct response r = client_read(c, false);
	ck_assert_msg(r.status == status, "%s %s: %d %s", method, target, r.status, r.body ? r.body : "");
	json_t *json = r.size ? json_loads(r.body, 0, NULL) : NULL;
	response_free(&r);
	client_close(c);
	return json;
}

struct user users_make(const struct daemon *d, const char *user, const char *scope, int seconds)
{
	struct user ret;
	char body[256], life[48] = "";
	if (seconds)
		snprintf(life, sizeof life, ",\"expires_in_seconds\":%d", seconds);
	snprintf(body, sizeof body, "{\"user\":\"%s\",\"name\":\"test\",\"scope\":\"%s\"%s}", user, scope, life);
	json_t *json = users_local(d, "POST", "/v1/tokens", body, 201);
	snprintf(ret.text, sizeof ret.text, "%s", talk_text(json, "token"));
	snprintf(ret.id, sizeof ret.id, "%s", talk_text(json, "id"));
	snprintf(ret.headers, sizeof ret.headers, JSON_TYPE "Authorization: Bearer %s\r\n", ret.text);
	json_decref(json);
	return ret;
}

struct response users_ask(
	const struct daemon *d, const struct user *who, const char *method, const char *target, const char *body)
{
	return request_do(d->port, method, target, who ? who->headers : JSON_TYPE, body, length(body));
}

int users_status(
	const struct daemon *d, const struct user *who, const char *method, const char *target, const char *body)
{
	struct response r = users_ask(d, who, method, target, body);
	int status = r.status;
	response_free(&r);
	return status;
}
