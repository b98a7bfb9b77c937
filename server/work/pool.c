/*
 * pool.c - the worker threads (see work.h): claim, run, sleep on the hub until there may be something to claim.
 *
 * The queue's sequence number is read before each claim, so a job queued between an empty claim and the sleep wakes
 * the worker at once. A worker that sleeps has no OpenMP threads: libgomp counts those of all workers, and when there
 * are more than processors, threads that wait for work sleep at once (main.c says what that costs).
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backprop.h"
#include "base/crash.h"
#include "base/log.h"
#include "work/calibrate.h"
#include "work/run.h"
#include "work/work.h"

enum { CLAIM_RETRY_MS = 1000 };

struct work {
	struct work_context ctx;
	int nworkers;
	pthread_t *workers; /* nworkers of them are running */
	atomic_int named;
};

/* A name of its own, which the threads of its teams will have too: the crash handler knows them by it. */
static void name_take(struct work *w)
{
	char name[16];
	snprintf(name, sizeof(name), "worker-%d", atomic_fetch_add(&w->named, 1));
	pthread_setname_np(pthread_self(), name);
}

static void *worker_main(void *arg)
{
	struct work *w = arg;
	struct work_context *ctx = &w->ctx;
	name_take(w);
	while (!atomic_load(&ctx->stopping) && !hub_closed(ctx->hub)) {
		struct job_row row;
		struct lease_view other;
		uint64_t seen = hub_seq(ctx->hub, HUB_QUEUE);
		switch (store_job_claim(ctx->store, &row)) {
		case STORE_OK:
			run_ring(ctx, row.id);
			hub_ring(ctx->hub, HUB_QUEUE); /* who waits behind it may be next */
			crash_job_set(row.id);
			train_job(ctx, &row);
			bp_threads_end();
			crash_job_set(NULL);
			run_ring(ctx, row.id);
			hub_ring(ctx->hub, HUB_QUEUE);
			job_row_done(&row);
			break;
		case STORE_NOT_FOUND:
			if (leases_list(ctx->leases, &other, 1) == 0 && !atomic_exchange(&ctx->calibrated, true)) {
				calibrate_machine(ctx);
				bp_threads_end();
				break;
			}
			/* work_stop sets stopping and then rings: either it is seen here, or the topic has moved on. */
			if (!atomic_load(&ctx->stopping))
				hub_wait(ctx->hub, HUB_QUEUE, seen, store_job_next_ms(ctx->store));
			break;
		case STORE_CONFLICT:
		case STORE_STALE:
		case STORE_MANY:
		case STORE_FULL:
		case STORE_ERROR:
			hub_wait(ctx->hub, HUB_QUEUE, seen, CLAIM_RETRY_MS);
			break;
		}
	}
	return NULL;
}

struct work *work_start(const struct work_options *o)
{
	struct work *w = calloc(1, sizeof(*w));
	if (!w || !(w->workers = calloc((size_t)o->workers, sizeof(*w->workers)))) {
		log_line(LOG_ERROR, "no memory for the workers");
		free(w);
		return NULL;
	}
	w->ctx.store = o->store;
	w->ctx.hub = o->hub;
	w->ctx.state_dir = o->state_dir;
	w->ctx.leases = o->leases;
	w->ctx.keep_checkpoints = o->keep_checkpoints;
	w->ctx.retry_seconds = o->retry_seconds;
	atomic_init(&w->named, 0);
	atomic_init(&w->ctx.calibrated, false);
	atomic_init(&w->ctx.stopping, false);
	for (; w->nworkers < o->workers; w->nworkers++) {
		int rc = pthread_create(&w->workers[w->nworkers], NULL, worker_main, w);
		if (rc != 0) {
			log_line(LOG_ERROR, "cannot start a worker: %s", strerror(rc));
			work_stop(w);
			return NULL;
		}
	}
	log_line(LOG_INFO, "%d job(s) may run at the same time", w->nworkers);
	return w;
}

void work_stop(struct work *w)
{
	if (!w)
		return;
	atomic_store(&w->ctx.stopping, true);
	hub_ring(w->ctx.hub, HUB_QUEUE);
	for (int i = 0; i < w->nworkers; i++)
		pthread_join(w->workers[i], NULL);
	free(w->workers);
	free(w);
}
