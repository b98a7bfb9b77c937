/* hub.c - see hub.h. One mutex guards all: what happens under it is a few instructions and the waking of sleepers. */
#include "hub/hub.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

enum { SLOTS = 1024 };

struct slot {
	uint64_t seq;
	struct hub_waiter *waiters;
};

struct hub {
	pthread_mutex_t lock;
	pthread_cond_t moved; /* any slot, or closed; threads in hub_wait are few */
	bool closed;
	struct slot slots[SLOTS];
};

/* FNV-1a (Fowler, Noll, Vo), 32 bits. */
static struct slot *slot_of(struct hub *h, const char *topic)
{
	uint32_t hash = 2166136261u;
	for (const char *p = topic; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	return &h->slots[(hash ^ hash >> 16) % SLOTS];
}

struct hub *hub_new(void)
{
	struct hub *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	pthread_condattr_t attr;
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_mutex_init(&h->lock, NULL);
	pthread_cond_init(&h->moved, &attr);
	pthread_condattr_destroy(&attr);
	return h;
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	pthread_cond_destroy(&h->moved);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

static void unlink_waiter(struct hub_waiter *w)
{
	*w->prev_next = w->next;
	if (w->next)
		w->next->prev_next = w->prev_next;
	w->next = NULL;
	w->prev_next = NULL;
}

/* The sleeper may belong to another thread the moment it is awake: it is not looked at again. */
static void wake_all(struct slot *slot)
{
	while (slot->waiters) {
		struct hub_waiter *w = slot->waiters;
		unlink_waiter(w);
		w->wake(w);
	}
}

uint64_t hub_seq(struct hub *h, const char *topic)
{
	pthread_mutex_lock(&h->lock);
	uint64_t seq = slot_of(h, topic)->seq;
	pthread_mutex_unlock(&h->lock);
	return seq;
}

void hub_ring(struct hub *h, const char *topic)
{
	pthread_mutex_lock(&h->lock);
	struct slot *slot = slot_of(h, topic);
	slot->seq++;
	wake_all(slot);
	pthread_cond_broadcast(&h->moved);
	pthread_mutex_unlock(&h->lock);
}

bool hub_register(
	struct hub *h, const char *topic, uint64_t seen, struct hub_waiter *w, void (*asleep)(struct hub_waiter *w))
{
	pthread_mutex_lock(&h->lock);
	struct slot *slot = slot_of(h, topic);
	bool sleeps = slot->seq == seen && !h->closed;
	if (sleeps) {
		w->next = slot->waiters;
		w->prev_next = &slot->waiters;
		if (w->next)
			w->next->prev_next = &w->next;
		slot->waiters = w;
		if (asleep)
			asleep(w);
	}
	pthread_mutex_unlock(&h->lock);
	return sleeps;
}

void hub_cancel(struct hub *h, struct hub_waiter *w)
{
	pthread_mutex_lock(&h->lock);
	if (w->prev_next) {
		unlink_waiter(w);
		w->wake(w);
	}
	pthread_mutex_unlock(&h->lock);
}

static struct timespec deadline_in(int timeout_ms)
{
	struct timespec ts = {0};
	clock_gettime(CLOCK_MONOTONIC, &ts);
	ts.tv_sec += timeout_ms / 1000;
	ts.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	if (ts.tv_nsec >= 1000000000) {
		ts.tv_sec++;
		ts.tv_nsec -= 1000000000;
	}
	return ts;
}

bool hub_wait(struct hub *h, const char *topic, uint64_t seen, int timeout_ms)
{
	struct timespec deadline = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
	int rc = 0;
	pthread_mutex_lock(&h->lock);
	const struct slot *slot = slot_of(h, topic);
	while (slot->seq == seen && !h->closed && rc != ETIMEDOUT) {
		if (timeout_ms < 0)
			pthread_cond_wait(&h->moved, &h->lock);
		else
			rc = pthread_cond_timedwait(&h->moved, &h->lock, &deadline);
	}
	bool moved = slot->seq != seen;
	pthread_mutex_unlock(&h->lock);
	return moved;
}

void hub_close(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->closed = true;
	for (int i = 0; i < SLOTS; i++)
		wake_all(&h->slots[i]);
	pthread_cond_broadcast(&h->moved);
	pthread_mutex_unlock(&h->lock);
}

bool hub_closed(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	bool closed = h->closed;
	pthread_mutex_unlock(&h->lock);
	return closed;
}
