/*
 * keep.c - see keep.h.
 *
 * Rows go first, in one transaction a job or data set, and their files after them: what a crash leaves between the two
 * has no row and is swept at the next start. A file that is being read at that moment stays readable until it is
 * closed.
 */
#include "keep/keep.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "keep/room.h"
#include "keep/sweep.h"

enum {
	PASS_MS = 600 * 1000,
	NOTE_SECONDS = 600,
	LOOK_MS_MIN = 100,
	ROOM_BESIDE = 1 << 20 /* bytes, for the database */
};

struct keeper {
	struct keep_options o;
	pthread_t thread;
	double looked; /* monotonic: when last whether a full disk has room */
	atomic_bool stop;
};

/* ---- one pass ----------------------------------------------------------------------------------------- */

struct pass {
	const struct keep_options *o;
	const atomic_bool *stop;
	struct keep_totals n; /* removed */
};

static bool stopped(const struct pass *p)
{
	return atomic_load(p->stop) || hub_closed(p->o->hub);
}

/* A file below the state directory; name "" removes the folder, which must be empty. */
static void remove_file(const struct pass *p, const char *folder, const char *name)
{
	char path[PATH_MAX];
	int n = snprintf(path, sizeof path, "%s/%s%s%s", p->o->state_dir, folder, name[0] ? "/" : "", name);
	if (n < 0 || n >= (int)sizeof path)
		return;
	if ((name[0] ? unlink(path) : rmdir(path)) != 0 && errno != ENOENT)
		log_line(LOG_WARNING, "cannot remove %s: %s", path, strerror(errno));
}

static void remove_files(const struct pass *p, const char *folder, const struct keep_removed *r)
{
	for (int i = 0; i < r->nfiles; i++)
		remove_file(p, folder, r->files[i]);
}

static void count(struct pass *p, const struct keep_removed *r)
{
	p->n.jobs += r->n.jobs;
	p->n.weights += r->n.weights;
	p->n.datasets += r->n.datasets;
	p->n.uploads += r->n.uploads;
	p->n.bytes += r->n.bytes;
}

static void told(const struct pass *p, const char *job_id)
{
	hub_ring(p->o->hub, job_id);
	hub_ring(p->o->hub, HUB_JOBS);
}

static void remove_jobs(struct pass *p, double before)
{
	struct keep_removed r;
	while (!stopped(p) && store_keep_remove_job(p->o->store, before, &r) == STORE_OK) {
		char folder[ID_MAX + 16];
		snprintf(folder, sizeof folder, "checkpoints/%s", r.id);
		sweep_job_files(p->o->store, p->o->state_dir, r.id);
		remove_file(p, folder, "");
		log_line(LOG_INFO, "%s: removed, it was kept for long enough (retain_jobs_days)", r.id);
		told(p, r.id);
		count(p, &r);
		keep_removed_done(&r);
	}
}

/* Of the next job; false when there is none. */
static bool remove_weights(struct pass *p, double before, enum weights_kept level, const char *why)
{
	struct keep_removed r;
	char folder[ID_MAX + 16];
	if (stopped(p) || store_keep_remove_weights(p->o->store, before, level, &r) != STORE_OK)
		return false;
	snprintf(folder, sizeof folder, "checkpoints/%s", r.id);
	remove_files(p, folder, &r);
	if (level == WEIGHTS_NONE)
		remove_file(p, folder, "");
	if (r.n.weights > 0) {
		log_line(LOG_INFO, "%s: %" PRId64 " checkpoint(s) removed (%s)", r.id, r.n.weights, why);
		told(p, r.id);
	}
	count(p, &r);
	keep_removed_done(&r);
	return true;
}

static void remove_datasets(struct pass *p, double before, bool ready)
{
	enum store_status st = STORE_OK;
	while (st == STORE_OK && !stopped(p)) {
		struct keep_removed r;
		store_files_lock(p->o->store);
		st = store_keep_remove_dataset(p->o->store, before, ready, &r);
		if (st == STORE_OK)
			remove_files(p, ready ? "datasets" : "uploads", &r);
		store_files_unlock(p->o->store);
		if (st != STORE_OK)
			break;
		log_line(LOG_INFO, "%s: removed, %s", r.id,
			ready ? "no job used it for long enough (retain_datasets_days)"
			      : "nobody committed its files (retain_uploads_days)");
		count(p, &r);
		keep_removed_done(&r);
	}
}

static void shrink_weights(struct pass *p, int64_t limit)
{
	int64_t bytes = 0;
	while (store_keep_weights_bytes(p->o->store, &bytes) == STORE_OK && bytes > limit &&
		remove_weights(p, INFINITY, WEIGHTS_NONE, "retain_weights_mb"))
		;
}

/* Woken by the hub, so that whoever made room need not wait. */
static void resume(const struct keep_options *o)
{
	int n = 0;
	if (store_keep_resume(o->store, &n) != STORE_OK || n == 0)
		return;
	log_line(LOG_NOTICE, "%d job(s) go on: their owners have room again", n);
	hub_ring(o->hub, HUB_JOBS);
	hub_ring(o->hub, HUB_QUEUE);
}

/* Jobs that wait for the disk, the first to be made first, as many as there is room for. Milliseconds until the next
 * look; PASS_MS: none waits. */
static int resume_full(struct keeper *keeper)
{
	const struct keep_options *o = &keeper->o;
	char id[ID_MAX] = "";
	int64_t bytes, room = ROOM_BESIDE;
	bool waits = store_keep_disk_next(o->store, id, &bytes) == STORE_OK;
	double now = clock_mono(), wait = fmax(o->look_seconds * 1000, LOOK_MS_MIN);
	if (!waits)
		return PASS_MS;
	if (now - keeper->looked < wait / 1000)
		return (int)(wait - (now - keeper->looked) * 1000) + 1;
	keeper->looked = now;
	while (waits && room_for(o->state_dir, room += bytes)) {
		if (store_keep_disk_resume(o->store, id) == STORE_OK) {
			log_line(LOG_NOTICE, "%s: goes on, there is room on the disk", id);
			hub_ring(o->hub, id);
			hub_ring(o->hub, HUB_JOBS);
			hub_ring(o->hub, HUB_QUEUE);
		}
		waits = store_keep_disk_next(o->store, id, &bytes) == STORE_OK;
	}
	return waits ? (int)fmin(wait, PASS_MS) : PASS_MS;
}

static void pass(struct keeper *keeper)
{
	const struct keep_options *o = &keeper->o;
	struct pass p = {.o = o, .stop = &keeper->stop};
	const struct keep_rules *k = &o->rules;
	double now = store_kept_now(o->store);
	if (k->uploads > 0)
		remove_datasets(&p, now - k->uploads, false);
	if (k->jobs > 0)
		remove_jobs(&p, now - k->jobs);
	while (k->weights > 0 && remove_weights(&p, now - k->weights, WEIGHTS_NONE, "retain_weights_days"))
		;
	while (k->only_best && remove_weights(&p, INFINITY, WEIGHTS_BEST, "retain_only_best"))
		;
	if (k->weights_bytes > 0)
		shrink_weights(&p, k->weights_bytes);
	if (k->datasets > 0)
		remove_datasets(&p, now - k->datasets, true);
	if (p.n.jobs || p.n.weights || p.n.datasets || p.n.uploads)
		log_line(LOG_NOTICE,
			"retention removed %" PRId64 " job(s), %" PRId64 " checkpoint(s), %" PRId64
			" data set(s), %" PRId64 " upload(s): %" PRId64 " bytes",
			p.n.jobs, p.n.weights, p.n.datasets, p.n.uploads, p.n.bytes);
	resume(o);
}

/* ---- the thread --------------------------------------------------------------------------------------- */

static void *keeper_main(void *arg)
{
	struct keeper *k = arg;
	double noted = clock_mono();
	sweep_ended(k->o.store, k->o.state_dir, &k->stop);
	while (!atomic_load(&k->stop) && !hub_closed(k->o.hub)) {
		uint64_t seen = hub_seq(k->o.hub, HUB_QUEUE);
		pass(k);
		int wait = resume_full(k);
		if (clock_mono() - noted >= NOTE_SECONDS && store_kept_note(k->o.store) == STORE_OK)
			noted = clock_mono();
		/* keep_stop sets stop and then rings: either it is seen here, or the topic has moved on. */
		if (!atomic_load(&k->stop))
			hub_wait(k->o.hub, HUB_QUEUE, seen, wait);
	}
	store_kept_note(k->o.store);
	return NULL;
}

struct keeper *keep_start(const struct keep_options *o)
{
	struct keeper *k = calloc(1, sizeof *k);
	if (!k) {
		log_line(LOG_ERROR, "no memory for the keeper");
		return NULL;
	}
	k->o = *o;
	k->looked = -INFINITY;
	atomic_init(&k->stop, false);
	int rc = pthread_create(&k->thread, NULL, keeper_main, k);
	if (rc != 0) {
		log_line(LOG_ERROR, "cannot start the keeper: %s", strerror(rc));
		free(k);
		return NULL;
	}
	pthread_setname_np(k->thread, "keeper");
	return k;
}

void keep_stop(struct keeper *k)
{
	if (!k)
		return;
	atomic_store(&k->stop, true);
	hub_ring(k->o.hub, HUB_QUEUE);
	pthread_join(k->thread, NULL);
	free(k);
}
