/*
 * problem.h - what is wrong with a request, gathered so that a client hears everything at once.
 *
 * A struct problems is filled by whoever checks (http, api, spec, ingest) and turned into application/problem+json
 * (RFC 9457) by http. The first one added gives the status. Plain data, no thread of its own, nothing to free.
 */
#ifndef BASE_PROBLEM_H
#define BASE_PROBLEM_H

#include <stdbool.h>
#include <stddef.h>

enum error_code {
#define ERROR(name, status, code, title) ERR_##name,
#include "base/errors.def"
	ERR_COUNT
};

struct error_info {
	int status;
	const char *code, *title;
};
const struct error_info *error_info(enum error_code code);

struct problem {
	enum error_code code;
	char param[200];  /* JSON Pointer into the body, or the name of a query parameter or header; "" = the whole */
	char detail[300]; /* one sentence, no path, SQL, errno or pointer */
};

enum { PROBLEMS_MAX = 20 };

struct problems {
	int count; /* stored */
	bool more; /* further ones were dropped */
	struct problem list[PROBLEMS_MAX];
};

static inline bool problems_any(const struct problems *p)
{
	return p->count > 0;
}
/* What is longer than its room is cut after a whole character. */
void problems_add(struct problems *p, enum error_code code, const char *param, const char *detail_fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Bytes of the longest prefix of s that holds at most max bytes and whole UTF-8 characters, to quote it. */
size_t whole_characters(const char *s, size_t max);

/* Nearest of the n words to given, for "did you mean"; NULL when none is near. */
const char *nearest_word(const char *given, const char *const *words, int n);

#endif
