/* token.c - API tokens: list, make, revoke; and who one is. A token's text is in the answer that makes it and nowhere
 * else. */
#include <stdlib.h>
#include <string.h>

#include "api/answer.h"
#include "api/auth.h"
#include "api/handlers.h"
#include "api/quota.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/token.h"
#include "spec/spec.h"

enum { LIFE_MAX = 10 * 366 * 86400 /* seconds */ };

static json_t *token_json(const struct token_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:o}", "object", "token", "id", row->id, "user",
		row->user, "name", row->name, "scope", scope_name(row->scope), "created_at",
		answer_time(row->created_at), "expires_at", answer_time(row->expires_at), "revoked_at",
		answer_time(row->revoked_at), "last_used_at", answer_time(row->last_used_at));
}

void api_whoami(struct http_request *rq)
{
	if (answer_query_refused(rq))
		return;
	http_reply_json(rq, 200,
		json_pack("{s:s, s:s, s:s, s:o}", "object", "identity", "user", http_identity(rq)->user, "scope",
			scope_name(auth_scope(rq)), "disk", quota_json(rq)));
}

void api_token_list(struct http_request *rq)
{
	struct problems problems = {0};
	struct page page;
	struct token_row *rows = NULL;
	int n = 0;
	http_query_only(rq, (const char *const[]){"limit", "after"}, 2, &problems);
	answer_page(rq, &page, &problems);
	if (answer_refused(rq, &problems))
		return;
	enum store_status st = store_token_list(answer_api(rq)->store, &page, &rows, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "token", "");
		return;
	}
	json_t *data = json_array();
	for (int i = 0; data && i < n; i++)
		if (json_array_append_new(data, token_json(&rows[i])) < 0) {
			json_decref(data);
			data = NULL;
		}
	free(rows);
	http_reply_json(rq, 200, answer_list(data, page.has_more));
}

/* What is asked for, with the caller's own user and scope where nothing is said; nobody gives away more than they have.
 */
struct wish {
	char user[USER_MAX + 1], name[NAME_MAX_BYTES + 1];
	enum scope scope;
	double expires_at;
};

static void wish_read(struct http_request *rq, struct wish *ret, struct problems *problems)
{
	const struct http_identity *me = http_identity(rq);
	struct spec_reader reader;
	char scope[16] = "read";
	int64_t life = 0;
	*ret = (struct wish){.scope = SCOPE_READ};
	memcpy(ret->user, me->user, sizeof ret->user);
	if (!spec_reader_begin(&reader, http_json(rq), "", problems))
		return;
	spec_read_string(&reader, "user", false, ret->user, sizeof ret->user);
	spec_read_title(&reader, "name", true, ret->name, sizeof ret->name);
	spec_read_string(&reader, "scope", false, scope, sizeof scope);
	spec_read_int(&reader, "expires_in_seconds", false, 1, LIFE_MAX, &life);
	spec_reader_end(&reader);
	ret->scope = scope_find(scope);
	ret->expires_at = life > 0 ? clock_now() + (double)life : 0;
	if (!auth_user_valid(ret->user))
		problems_add(problems, ERR_INVALID_NAME, "/user",
			"A user's name has 1 to %d letters, digits, dots, dashes and underscores.", USER_MAX);
	if (ret->scope == SCOPE_NONE)
		problems_add(problems, ERR_UNKNOWN_NAME, "/scope", "The scopes are read, write and admin.");
}

static bool wish_granted(struct http_request *rq, const struct wish *w)
{
	if (auth_scope(rq) == SCOPE_ADMIN)
		return true;
	const char *field = strcmp(w->user, http_identity(rq)->user) != 0 ? "/user"
			    : w->scope > auth_scope(rq)                   ? "/scope"
									  : NULL;
	if (field)
		http_reply_error(rq, ERR_SCOPE_INSUFFICIENT, field,
			"Without scope admin you can make tokens for yourself alone, and none that may do more than "
			"you.");
	return !field;
}

void api_token_create(struct http_request *rq)
{
	struct problems problems = {0};
	struct wish w;
	struct token_row row;
	char text[TOKEN_SIZE], hash[SHA256_HEX];
	http_query_only(rq, NULL, 0, &problems);
	wish_read(rq, &w, &problems);
	if (answer_refused(rq, &problems) || !wish_granted(rq, &w))
		return;
	token_new(text);
	sha256_hex(text, strlen(text), hash);
	struct token_new n = {
		.user = w.user, .name = w.name, .scope = w.scope, .expires_at = w.expires_at, .sha256 = hash};
	enum store_status st = store_token_add(answer_api(rq)->store, &n, &row);
	if (st != STORE_OK) {
		answer_store(rq, st, "token", "");
		return;
	}
	json_t *json = token_json(&row);
	if (json && json_object_set_new(json, "token", json_string(text)) < 0) {
		json_decref(json);
		json = NULL;
	}
	http_reply_json(rq, 201, json);
}

void api_token_revoke(struct http_request *rq)
{
	if (answer_query_refused(rq))
		return;
	enum store_status st = store_token_revoke(answer_api(rq)->store, auth_owner(rq), http_segment(rq, "id"));
	if (st == STORE_OK) {
		http_wake(rq);
		http_reply_empty(rq, 204);
	} else {
		answer_store(rq, st, "token", "");
	}
}
