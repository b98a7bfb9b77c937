/*
 * finish.c - the test and the status at the end of a job's turn (see train.h).
 *
 * Whatever happens, the job leaves its worker here: succeeded, failed with a reason, cancelled, paused, or back in the
 * queue. While that cannot be written (a full disk), the worker tries again; when the server ends before it can, the
 * next start finds the row and requeues it.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/evaluate.h"
#include "work/train.h"

enum { WRITE_AGAIN_MS = 1000 };

/* Threads for the next part of the test; 0: it ends. */
static int test_goes_on(void *user)
{
	struct run *r = user;
	return run_goes_on(r) ? lease_threads(r->lease) : 0;
}

/* The best checkpoint, or the last, on the test split: an event, and test_loss and test_accuracy in the job's metrics.
 */
void run_test(struct run *r)
{
	struct report_test test = {0};
	struct job_row now;
	bool done = false;
	bool best = r->prepared.job.life.restore_best_weights;
	if (store_job_trained(r->ctx->store, r->row->id) != STORE_OK)
		log_line(LOG_WARNING, "%s: it could not be noted that no epoch will follow", r->row->id);
	if (!checkpoints_load(&r->checkpoints, best, r->prepared.net, &test.epoch, &r->failure) ||
		!evaluate_net(r->prepared.net, &r->prepared.job, &r->prepared.test, test_goes_on, r, &test, &done,
			&r->failure)) {
		r->outcome = OUT_FAILED;
		return;
	}
	if (!done)
		return;
	enum store_status st = store_job_get(r->ctx->store, r->row->id, &now);
	if (st != STORE_OK) {
		failure_from_store(&r->failure, st);
		r->outcome = OUT_FAILED;
		return;
	}
	char *metrics = report_metrics_with_test(now.metrics, &test);
	job_row_done(&now);
	if (!metrics || !run_append(r, "test", report_test(&test), -1, metrics, NULL))
		r->outcome = OUT_FAILED;
	free(metrics);
}

/* Where the job goes, and why. */
struct ending_move {
	enum job_status to;
	const char *reason, *detail;
};

static struct ending_move move_of(const struct run *r)
{
	switch (r->outcome) {
	case OUT_INTERRUPTED:
		return (struct ending_move){
			JOB_QUEUED, "server_restart", "The server stopped; the job goes on from here when it is back."};
	case OUT_GAVE_WAY:
		return (struct ending_move){JOB_QUEUED, "gave_way",
			"It made room for another user; it goes on from here when its turn comes."};
	case OUT_PAUSED:
		if (r->over_quota)
			return (struct ending_move){JOB_PAUSED, "disk_quota",
				"Your data sets and checkpoints take all of the disk that a user may; it goes on by "
				"itself once there is room."};
		return (struct ending_move){JOB_PAUSED, "client_request", NULL};
	case OUT_CANCELLED:
		return (struct ending_move){JOB_CANCELLED, r->ended ? r->ended : "client_request", NULL};
	case OUT_RUNNING:
	case OUT_ROLLBACK:
	case OUT_FAILED:
		break;
	case OUT_SUCCEEDED:
		return (struct ending_move){JOB_SUCCEEDED, r->ended, NULL};
	}
	return (struct ending_move){
		JOB_FAILED, r->failure.reason ? r->failure.reason : "training_failed", r->failure.detail};
}

/* Until there is room. */
static enum store_status wait_for_disk(const struct run *r)
{
	const struct failure *f = &r->failure;
	char detail[sizeof(f->detail) + 64];
	snprintf(detail, sizeof(detail), "%s It goes on by itself once there is room.", f->detail);
	enum store_status st = store_job_wait_for_disk(r->ctx->store, r->row->id, detail, r->ctx->retry_seconds);
	if (st == STORE_OK)
		log_line(LOG_WARNING, "%s: waits for room (%s): %s", r->row->id, f->reason, f->detail);
	return st;
}

/* A failure that may pass: later again. CONFLICT: something else was asked for meanwhile. */
static enum store_status try_again(const struct run *r)
{
	const struct failure *f = &r->failure;
	char detail[sizeof(f->detail) + 64];
	bool again = false;
	double delay = r->ctx->retry_seconds;
	for (int i = 0; i < r->row->retries; i++)
		delay *= 2;
	snprintf(detail, sizeof(detail), "%s It is tried again.", f->detail);
	enum store_status st = store_job_retry(r->ctx->store, r->row->id, f->reason, detail, delay, &again);
	if (st == STORE_OK)
		log_line(LOG_WARNING, "%s: %s (%s): %s", r->row->id, again ? "tried again" : "failed", f->reason,
			f->detail);
	return st;
}

/* One try at leaving. What was asked for in the meantime may have made the move illegal; one of these is legal then. */
static enum store_status leave(const struct run *r, struct ending_move move)
{
	static const enum job_status others[] = {JOB_QUEUED, JOB_PAUSED, JOB_CANCELLED};
	enum store_status st = STORE_CONFLICT;
	if (r->outcome == OUT_FAILED && r->failure.kind != LASTS) {
		st = r->failure.kind == DISK_FULL ? wait_for_disk(r) : try_again(r);
		if (st != STORE_CONFLICT)
			return st;
	} else {
		st = store_job_move(r->ctx->store, r->row->id, move.to, move.reason, move.detail);
	}
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]) && st == STORE_CONFLICT; i++)
		st = store_job_move(r->ctx->store, r->row->id, move.to = others[i], "client_request", NULL);
	if (st == STORE_OK)
		log_line(move.to == JOB_FAILED ? LOG_WARNING : LOG_INFO, "%s: %s%s%s%s%s", r->row->id,
			job_status_name(move.to), move.reason ? " (" : "", move.reason ? move.reason : "",
			move.reason ? "): " : "", move.detail ? move.detail : "");
	return st;
}

void run_finish(struct run *r)
{
	for (;;) {
		uint64_t seen = hub_seq(r->ctx->hub, HUB_QUEUE);
		enum store_status st = leave(r, move_of(r));
		if (st == STORE_OK)
			return;
		if (st == STORE_NOT_FOUND || store_failed(r->ctx->store) || atomic_load(&r->ctx->stopping))
			break;
		hub_wait(r->ctx->hub, HUB_QUEUE, seen, WRITE_AGAIN_MS);
	}
	log_line(LOG_ERROR, "%s: its end could not be recorded; it will go on at the next start", r->row->id);
}
