/*
 * http_toy.h - a small server for the tests of server/http: routes that do one thing each, started on a free port in
 * the test's own process, with deadlines as short as the test wants. One at a time.
 */
#ifndef TESTS_SERVER_HTTP_TOY_H
#define TESTS_SERVER_HTTP_TOY_H

#include <stdatomic.h>

#include "http/client.h"
#include "http/http.h"

struct toy {
	struct hub *hub;
	struct http_server *srv;
	int port;
	char dir[64];       /* uploads; removed by toy_stop */
	char socket[96];    /* path of the Unix socket */
	atomic_int entered; /* handlers of /slow that have begun */
	atomic_int freed;   /* streams whose state was freed */
	atomic_int last;    /* the newest number /stream may tell */
	atomic_int pulled;  /* the newest number it told */
	atomic_int spared;  /* looks that a lazy one did not take */
	void *gate;         /* /slow waits here */
};

/* o may be NULL; its routes, hub, directory and limits that are 0 are filled in. */
struct toy *toy_start(const struct http_options *o);
void toy_open_gate(struct toy *t);
void toy_tell(struct toy *t, int last); /* /stream may count up to last: stores, then rings */
int toy_files(const struct toy *t);     /* files lying in the upload directory */
/* Polls until *value is at least wanted; false after 10 s. */
bool toy_reaches(const atomic_int *value, int wanted);
bool toy_stat_reaches(const struct toy *t, int64_t (*of)(const struct http_stats *), int64_t wanted);
void toy_stop(struct toy *t);

#endif
