/*
 * talk.h - JSON conversations with the daemon, failing the test when an answer is not the expected one.
 */
#ifndef TESTS_HTTP_TALK_H
#define TESTS_HTTP_TALK_H

#include <jansson.h>

#include "http/client.h"

/* One request with a JSON body or none (NULL); the answer must have that status and be JSON (NULL for 204 and 304).
 * New reference. */
json_t *talk(int port, const char *method, const char *target, const char *body, int status);
json_t *talk_get(int port, const char *target); /* 200 */
/* Puts bytes under target; the answer must have that status. */
json_t *talk_put(int port, const char *target, const void *bytes, size_t size, int status);

/* The answer is application/problem+json of that status whose errors hold code at param. */
void talk_problem(const struct response *r, int status, const char *code, const char *param);
/* The same for a request with a JSON body. */
void talk_refused(int port, const char *method, const char *target, const char *body, int status, const char *code,
	const char *param);

/* Members of an answer, failing the test when they are absent or of another type. Paths go down with dots and indices:
 * "data.0.id". */
const json_t *talk_at(const json_t *json, const char *path);
const char *talk_text(const json_t *json, const char *path);
long long talk_int(const json_t *json, const char *path);
double talk_number(const json_t *json, const char *path);

#endif
