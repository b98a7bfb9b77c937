/* problems.h - checks on what a client is told. */
#ifndef TESTS_SERVER_PROBLEMS_H
#define TESTS_SERVER_PROBLEMS_H

#include <jansson.h>

#include "base/problem.h"

/* JSON with ' for ", for the sake of reading. New reference; fails the test when it does not parse. */
json_t *json_of(const char *text);
/* There is a problem of exactly this code and param, whose detail holds part. */
void problem_expect(const struct problems *p, enum error_code code, const char *param, const char *part);
/* No problem; else the first is shown. */
void problem_none(const struct problems *p);

#endif
