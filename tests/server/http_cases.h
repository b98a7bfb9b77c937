/*
 * http_cases.h - requests as raw bytes and what must become of them (http_cases.def), for the suites that send them one
 * by one (test_http_guard.c) and for the one that changes them at random first (tests/http/test_mutated.c).
 */
#ifndef TESTS_SERVER_HTTP_CASES_H
#define TESTS_SERVER_HTTP_CASES_H

#include <stddef.h>

/*
 * REFUSED: 4xx or 5xx, or the connection ended without a word. libmicrohttpd answers some by itself, and not every
 * version in the same way. UNSEEN: taken or refused by the library before a handler could look.
 */
enum { REFUSED = -1, UNSEEN = -2 };

/* EITHER: kept or ended, by the version of the library; what follows is answered as itself or not at all. */
enum raw_end { KEEPS, ENDS, EITHER };

struct raw_case {
	const char *what, *bytes;
	size_t size;
	int status;
	enum raw_end end;
};

extern const struct raw_case raw_cases[];
extern const int raw_ncases;

#endif
