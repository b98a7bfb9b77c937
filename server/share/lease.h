/*
 * lease.h - who has how many of the machine's cores: bookkeeping alone, under one mutex.
 *
 * Each running job holds a lease of threads. When a lease opens or closes, all are shared out anew: by user first, then
 * by job within a user. What a job is offered changes at once, what it holds changes when its worker takes the offer,
 * between two batches. A core is offered only once nobody holds it, so at any time the threads held, and those that may
 * be taken, are together at most the cores.
 *
 * Made by main. A lease belongs to the worker that opened it; leases_list and lease_held_by may be called from any
 * thread.
 */
#ifndef SHARE_LEASE_H
#define SHARE_LEASE_H

#include <stdbool.h>

enum { LEASE_TEXT = 40 }; /* bytes of an id or a user's name, with the end */

struct leases;
struct lease;

/* max_per_user: cores that one user's jobs may hold together; 0: all. NULL: no memory. */
struct leases *leases_new(int cores, int max_per_user);
/* All are closed. NULL is fine. */
void leases_free(struct leases *l);

/* A new lease, which holds nothing yet. most: threads that the job can use; 0: any number. NULL: no memory. */
struct lease *lease_open(struct leases *l, const char *job, const char *user, int most);
/* Gives all back. NULL is fine. */
void lease_close(struct lease *lease);
/* Waits for the first threads: as many as it holds then, or 0 when timeout_ms have passed. */
int lease_wait(struct lease *lease, int timeout_ms);
/* Between two batches, of a lease that holds threads: takes what is offered, and returns how many it holds now, at
 * least 1. One atomic load when nothing has changed. */
int lease_threads(struct lease *lease);
/* The most that it can ever hold. */
int lease_most(const struct lease *lease);
/* Core-seconds held since the last call. */
double lease_used(struct lease *lease);

struct lease_view {
	char job[LEASE_TEXT], user[LEASE_TEXT];
	int threads; /* held */
};
/* The leases in the order in which they were opened, at most max; returns how many. */
int leases_list(struct leases *l, struct lease_view *ret, int max);
/* Threads that the job holds; 0: it has no lease. */
int lease_held_by(struct leases *l, const char *job);

#endif
