/*
 * api.h - the HTTP wing: handlers of routes.def. One file a resource; a handler checks, asks the store, answers.
 * It never trains and never includes the core; it reaches networks through spec/ and infer/ alone.
 *
 * Quick handlers run on event threads, SLOW ones on http's slow threads; several at once, all on the same struct api.
 */
#ifndef API_API_H
#define API_API_H

#include <pthread.h>

#include "base/config.h"
#include "http/http.h"
#include "share/lease.h"
#include "store/store.h"

/* Read by all handlers, changed by none but for what has a lock; filled by main before http starts. */
struct api {
	struct store *store;
	struct hub *hub;
	const struct config *config;
	const char *state_dir, *boot_id;
	struct leases *leases;
	int threads, workers; /* that jobs may use together; jobs that may run at the same time */
	int64_t memory_limit; /* bytes for all running jobs together */
	double started_at, started_mono;
	struct http_server *http; /* set once started; for /metrics */
	/* Uploads on their way, by user (quota.c). The lock begins as PTHREAD_MUTEX_INITIALIZER (all zero is the same).
	 */
	pthread_mutex_t pending_lock;
	struct pending *pending;
};

extern const struct route api_routes[];
extern const int api_nroutes;

#endif
