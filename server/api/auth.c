/* auth.c - see auth.h. */
#include "api/auth.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "api/quota.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "base/token.h"

enum { USED_EVERY = 3600 /* seconds between two notes of a token's use: a write each */ };

bool auth_user_valid(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-");
	return n > 0 && n <= USER_MAX && name[n] == '\0';
}

/* root and the daemon's own user administer it; any other Linux user who can open the socket is one of its users. */
static void identify_peer(struct http_request *rq, unsigned uid)
{
	char name[USER_MAX + 1], room[4096];
	struct passwd entry, *found = NULL;
	if (getpwuid_r(uid, &entry, room, sizeof room, &found) == 0 && found && auth_user_valid(entry.pw_name))
		snprintf(name, sizeof name, "%s", entry.pw_name);
	else
		snprintf(name, sizeof name, "uid-%u", uid);
	http_identify(rq, name, uid == 0 || uid == geteuid() ? SCOPE_ADMIN : SCOPE_WRITE);
}

static bool refuse_token(struct http_request *rq, enum error_code code, const char *detail)
{
	http_reply_header(rq, "WWW-Authenticate",
		code == ERR_TOKEN_MISSING ? "Bearer realm=\"backpropd\""
					  : "Bearer realm=\"backpropd\", error=\"invalid_token\"");
	http_reply_error(rq, code, "Authorization", "%s", detail);
	return false;
}

/* Tokens are found by their hash, so how long the search takes tells nothing about them. */
static bool identify_token(struct http_request *rq, const char *header)
{
	struct api *api = http_app(rq);
	char hash[SHA256_HEX];
	struct token_row token;
	const char *text = token_in_header(header);
	if (!text)
		return refuse_token(rq, ERR_TOKEN_INVALID, "This is not \"Bearer\" and a whole token.");
	sha256_hex(text, strlen(text), hash);
	enum store_status st = store_token_find(api->store, hash, &token);
	double now = clock_now();
	if (st == STORE_NOT_FOUND)
		return refuse_token(rq, ERR_TOKEN_INVALID, "This server did not make that token.");
	if (st != STORE_OK) {
		http_reply_error(rq, ERR_INTERNAL, "", "The server's database failed.");
		return false;
	}
	if (token.revoked_at > 0)
		return refuse_token(rq, ERR_TOKEN_INVALID, "The token was revoked.");
	if (token.expires_at > 0 && now >= token.expires_at)
		return refuse_token(rq, ERR_TOKEN_INVALID, "The token has expired.");
	http_identify(rq, token.user, token.scope);
	http_identify_token(rq, token.id, token.expires_at);
	if (now - token.last_used_at > USED_EVERY)
		store_token_used(api->store, token.id); /* when it fails, the store says so itself */
	return true;
}

static bool identify(struct http_request *rq)
{
	const struct api *api = http_app(rq);
	const char *header = http_header(rq, "Authorization");
	unsigned uid;
	if (strcmp(api->config->auth, "none") == 0)
		http_identify(rq, AUTH_LOCAL, SCOPE_ADMIN);
	else if (header)
		return identify_token(rq, header);
	else if (http_peer_uid(rq, &uid))
		identify_peer(rq, uid);
	return true;
}

bool auth_admit(struct http_request *rq, const struct route *route)
{
	if (route->scope == SCOPE_NONE)
		return true;
	if (!identify(rq))
		return false;
	if (auth_scope(rq) == SCOPE_NONE)
		return refuse_token(rq, ERR_TOKEN_MISSING,
			"Send \"Authorization: Bearer TOKEN\"; \"backpropd token\" and /v1/tokens make tokens.");
	if ((int)auth_scope(rq) >= route->scope) {
		if (route->body == BODY_FILE)
			quota_admit(rq);
		return true;
	}
	char challenge[96];
	const char *needed = scope_name((enum scope)route->scope);
	snprintf(challenge, sizeof challenge, "Bearer realm=\"backpropd\", error=\"insufficient_scope\", scope=\"%s\"",
		needed);
	http_reply_header(rq, "WWW-Authenticate", challenge);
	http_reply_error(rq, ERR_SCOPE_INSUFFICIENT, "Authorization", "This needs a token of scope %s, not %s.", needed,
		scope_name(auth_scope(rq)));
	return false;
}

/* One too few: the first look asks for the token, which may have been revoked since it was admitted. */
void auth_pass_begin(const struct http_request *rq, struct auth_pass *ret)
{
	*ret = (struct auth_pass){.who = *http_identity(rq)};
	ret->seen = store_token_revocations(((const struct api *)http_app(rq))->store) - 1;
}

bool auth_pass_holds(const struct api *api, struct auth_pass *pass)
{
	if (!pass->who.token[0])
		return true;
	if (pass->who.expires_at > 0 && clock_now() >= pass->who.expires_at)
		return false;
	unsigned now = store_token_revocations(api->store);
	if (now == pass->seen)
		return true;
	bool holds = store_token_holds(api->store, pass->who.token);
	if (holds)
		pass->seen = now;
	return holds;
}

enum scope auth_scope(const struct http_request *rq)
{
	return (enum scope)http_identity(rq)->scope;
}

const char *auth_owner(const struct http_request *rq)
{
	return auth_scope(rq) == SCOPE_ADMIN ? NULL : http_identity(rq)->user;
}

const char *auth_user(const struct http_request *rq)
{
	return http_identity(rq)->user;
}

bool auth_sees(const struct http_request *rq, const char *owner)
{
	return auth_scope(rq) == SCOPE_ADMIN || strcmp(owner, auth_user(rq)) == 0;
}
