/*
 * users.h - a daemon with tokens, and who asks it: the Linux user who runs the test (over the Unix socket, an admin
 * because the daemon runs as the same user), and others by their tokens.
 */
#ifndef TESTS_HTTP_USERS_H
#define TESTS_HTTP_USERS_H

#include <jansson.h>

#include "http/client.h"
#include "http/daemon.h"

struct user {
	char text[64], id[64];
	char headers[160]; /* lines for a request of theirs with a JSON body */
};

/* The daemon's Unix socket. Static. */
const char *users_socket(const struct daemon *d);
/* Over the Unix socket; the answer must have that status. New reference, NULL without JSON. */
json_t *users_local(const struct daemon *d, const char *method, const char *target, const char *body, int status);
/* Makes a token; seconds 0: it never expires. */
struct user users_make(const struct daemon *d, const char *user, const char *scope, int seconds);
/* Over TCP, as that user or (NULL) without a token. */
struct response users_ask(
	const struct daemon *d, const struct user *who, const char *method, const char *target, const char *body);
int users_status(
	const struct daemon *d, const struct user *who, const char *method, const char *target, const char *body);

#endif
