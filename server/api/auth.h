/*
 * auth.h - who asks, and what they may. A request is made by the user of its token (Authorization: Bearer, RFC 6750),
 * or by the Linux user at the other end of the Unix socket, whom the kernel vouches for.
 */
#ifndef API_AUTH_H
#define API_AUTH_H

#include "api/api.h"

/* The user of a daemon without tokens, and of what was made before there were any. */
#define AUTH_LOCAL "local"

/* For http_options.admit: identifies the request and compares its scope with the route's. Event threads. */
bool auth_admit(struct http_request *rq, const struct route *route);
/* Whose things the request may see: the user's name, or NULL for an admin, who may see all. */
const char *auth_owner(const struct http_request *rq);
/* The user's own name: whose things it makes, and whose names it uses. */
const char *auth_user(const struct http_request *rq);
/* Whether it may see what belongs to owner. What it may not see does not exist for it: 404. */
bool auth_sees(const struct http_request *rq, const char *owner);
enum scope auth_scope(const struct http_request *rq);
/* What let a stream begin, to be looked at while it lasts. */
struct auth_pass {
	struct http_identity who;
	unsigned seen; /* revocations */
};
void auth_pass_begin(const struct http_request *rq, struct auth_pass *ret);
/* Whether it would still be admitted: its token has neither been revoked nor expired. Cheap. */
bool auth_pass_holds(const struct api *api, struct auth_pass *pass);
/* Letters, digits, '.', '_' and '-', 1 to USER_MAX. */
bool auth_user_valid(const char *name);

#endif
