/* lease.c - see lease.h. */
#include "share/lease.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

struct lease {
	struct leases *all;
	struct lease *next; /* opened later */
	char job[LEASE_TEXT], user[LEASE_TEXT];
	int most;
	int held;         /* written by its worker under the lock, read by it without, by others under it */
	atomic_int offer; /* what its worker should hold: written under the lock, looked at without */
	int target;       /* its share: the offer once others have given back what they hold beyond theirs */
	double used, since;
};

struct leases {
	pthread_mutex_t lock;
	pthread_cond_t offered;
	int cores, max_per_user;
	struct lease *first;
};

struct leases *leases_new(int cores, int max_per_user)
{
	pthread_condattr_t attr;
	struct leases *l = calloc(1, sizeof(*l));
	if (!l)
		return NULL;
	pthread_mutex_init(&l->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&l->offered, &attr);
	pthread_condattr_destroy(&attr);
	l->cores = cores < 1 ? 1 : cores;
	l->max_per_user = max_per_user > 0 && max_per_user < l->cores ? max_per_user : l->cores;
	return l;
}

void leases_free(struct leases *l)
{
	if (!l)
		return;
	pthread_cond_destroy(&l->offered);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

/* ---- shares, under the lock ---------------------------------------------------------------------------- */

/* What a user's leases shall hold together. */
static int user_target(const struct leases *l, const char *user)
{
	int sum = 0;
	for (const struct lease *x = l->first; x; x = x->next)
		sum += strcmp(x->user, user) == 0 ? x->target : 0;
	return sum;
}

static bool may_grow(const struct leases *l, const struct lease *x)
{
	return x->target < x->most && user_target(l, x->user) < l->max_per_user;
}

/* Whose turn it is to get one core more: the user's with the fewest, of theirs the job with the fewest, of these the
 * oldest. NULL: all have what they may have. Only those that have a share at all. */
static struct lease *poorest(const struct leases *l)
{
	struct lease *best = NULL;
	for (struct lease *x = l->first; x; x = x->next) {
		if (x->target == 0 || !may_grow(l, x))
			continue;
		int mine = user_target(l, x->user), theirs = best ? user_target(l, best->user) : 0;
		if (!best || mine < theirs || (mine == theirs && x->target < best->target))
			best = x;
	}
	return best;
}

/* Sets the targets: one core for each that runs, then for each that waits, as long as there are any; the rest one by
 * one. Shares follow from the leases and their order alone. */
static void set_targets(struct leases *l)
{
	int left = l->cores;
	for (struct lease *x = l->first; x; x = x->next) {
		x->target = x->held > 0;
		left -= x->target;
	}
	for (struct lease *x = l->first; x && left > 0; x = x->next)
		if (x->target == 0 && may_grow(l, x)) {
			x->target = 1;
			left--;
		}
	for (struct lease *x; left > 0 && (x = poorest(l)); left--)
		x->target++;
}

/* Shares out anew. Who holds too much is offered less, and its cores stay taken until it says so; what nobody holds is
 * offered first to those that wait for their first thread, then to the others. */
static void share_out(struct leases *l)
{
	int left = l->cores;
	set_targets(l);
	for (struct lease *x = l->first; x; x = x->next) {
		atomic_store(&x->offer, x->target < x->held ? x->target : x->held);
		left -= x->held;
	}
	for (struct lease *x = l->first; x && left > 0; x = x->next)
		if (x->held == 0 && x->target > 0) {
			atomic_store(&x->offer, 1);
			left--;
		}
	for (bool more = true; more && left > 0;) {
		more = false;
		for (struct lease *x = l->first; x && left > 0; x = x->next) {
			int offer = atomic_load(&x->offer);
			if (offer == 0 || offer >= x->target)
				continue;
			atomic_store(&x->offer, offer + 1);
			left--;
			more = true;
		}
	}
	pthread_cond_broadcast(&l->offered);
}

/* Its worker takes what it is offered. */
static void take(struct lease *x)
{
	int offer = atomic_load(&x->offer);
	double now = clock_mono();
	bool less = offer < x->held;
	x->used += x->held * (now - x->since);
	x->since = now;
	x->held = offer;
	if (less)
		share_out(x->all);
}

/* ---- a lease's life ------------------------------------------------------------------------------------ */

struct lease *lease_open(struct leases *l, const char *job, const char *user, int most)
{
	struct lease *x = calloc(1, sizeof(*x)), **end = &l->first;
	if (!x)
		return NULL;
	x->all = l;
	snprintf(x->job, sizeof(x->job), "%s", job);
	snprintf(x->user, sizeof(x->user), "%s", user);
	x->most = most > 0 && most < l->max_per_user ? most : l->max_per_user;
	x->since = clock_mono();
	atomic_init(&x->offer, 0);
	pthread_mutex_lock(&l->lock);
	while (*end)
		end = &(*end)->next;
	*end = x;
	share_out(l);
	pthread_mutex_unlock(&l->lock);
	return x;
}

void lease_close(struct lease *lease)
{
	if (!lease)
		return;
	struct leases *l = lease->all;
	pthread_mutex_lock(&l->lock);
	for (struct lease **at = &l->first; *at; at = &(*at)->next)
		if (*at == lease) {
			*at = lease->next;
			break;
		}
	share_out(l);
	pthread_mutex_unlock(&l->lock);
	free(lease);
}

int lease_wait(struct lease *lease, int timeout_ms)
{
	struct leases *l = lease->all;
	struct timespec until;
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&l->lock);
	while (atomic_load(&lease->offer) == 0 && pthread_cond_timedwait(&l->offered, &l->lock, &until) != ETIMEDOUT)
		continue;
	take(lease);
	int held = lease->held;
	pthread_mutex_unlock(&l->lock);
	return held;
}

int lease_threads(struct lease *lease)
{
	if (atomic_load_explicit(&lease->offer, memory_order_relaxed) == lease->held)
		return lease->held;
	pthread_mutex_lock(&lease->all->lock);
	take(lease);
	pthread_mutex_unlock(&lease->all->lock);
	return lease->held;
}

int lease_most(const struct lease *lease)
{
	return lease->most;
}

double lease_used(struct lease *lease)
{
	pthread_mutex_lock(&lease->all->lock);
	double now = clock_mono(), used = lease->used + lease->held * (now - lease->since);
	lease->used = 0;
	lease->since = now;
	pthread_mutex_unlock(&lease->all->lock);
	return used;
}

/* ---- looking on ---------------------------------------------------------------------------------------- */

int leases_list(struct leases *l, struct lease_view *ret, int max)
{
	int n = 0;
	pthread_mutex_lock(&l->lock);
	for (const struct lease *x = l->first; x && n < max; x = x->next, n++) {
		memcpy(ret[n].job, x->job, sizeof(x->job));
		memcpy(ret[n].user, x->user, sizeof(x->user));
		ret[n].threads = x->held;
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

int lease_held_by(struct leases *l, const char *job)
{
	int held = 0;
	pthread_mutex_lock(&l->lock);
	for (const struct lease *x = l->first; x; x = x->next)
		if (strcmp(x->job, job) == 0)
			held = x->held;
	pthread_mutex_unlock(&l->lock);
	return held;
}
