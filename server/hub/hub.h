/*
 * hub.h - a topic has changed; no payload.
 *
 * Whoever commits a change rings the topic; whoever waits for it compares sequence numbers under the hub's lock, so
 * no ring is lost. Topics are hashed into a fixed table of counters: two topics may share one, which costs a needless
 * look and nothing else. All functions may be called from any thread.
 */
#ifndef HUB_HUB_H
#define HUB_HUB_H

#include <stdbool.h>
#include <stdint.h>

struct hub;

/* A sleeper, zeroed by its owner before first use and embedded in its object. wake is called once for each registering,
 * under the hub's lock and after unregistering: it must not call the hub. */
struct hub_waiter {
	void (*wake)(struct hub_waiter *w);
	struct hub_waiter *next, **prev_next; /* the hub's */
};

#define HUB_JOBS "jobs"   /* any job changed or has a new event */
#define HUB_QUEUE "queue" /* there may be something to claim */

struct hub *hub_new(void);
void hub_free(struct hub *h);

uint64_t hub_seq(struct hub *h, const char *topic);
void hub_ring(struct hub *h, const char *topic);
/* Registers w unless the topic moved on from seen or the hub is closed: then false, and w is untouched. The register
 * step runs `asleep(w)` (may be NULL) under the lock after registering, so that "registered" means "suspended". */
bool hub_register(
	struct hub *h, const char *topic, uint64_t seen, struct hub_waiter *w, void (*asleep)(struct hub_waiter *w));
/* Unregisters and wakes w if it is still registered (a deadline has passed). */
void hub_cancel(struct hub *h, struct hub_waiter *w);
/* Blocks until the topic moves on from seen, the hub is closed, or timeout_ms passed (-1: none). True when it moved. */
bool hub_wait(struct hub *h, const char *topic, uint64_t seen, int timeout_ms);
/* Wakes everyone, for good. */
void hub_close(struct hub *h);
bool hub_closed(struct hub *h);

#endif
