/*
 * train.c - one claimed job: prepare, train with one callback, test, and the status at the end.
 *
 * Worker threads. Whatever happens, the job leaves `running` here: succeeded, failed with a reason, cancelled, or back
 * in the queue because the server stops. If even that cannot be written, the next start finds the row and requeues it.
 *
 * After a restart a job goes on from its newest checkpoint. Epochs between that and the crash are trained again, with
 * the same bits; their events exist already (epoch <= row->epoch) and are not written twice.
 */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/checkpoints.h"
#include "work/evaluate.h"
#include "work/prepare.h"
#include "work/report.h"
#include "work/run.h"

#define CANCEL_LOOK_SECONDS 0.1
#define PROGRESS_SECONDS_MIN 1.0
#define PROGRESS_SECONDS_MAX 10.0
#define PROGRESS_SHARE 600.0 /* at most so many progress rows for a run that is short, fewer a minute for a long one   \
			      */

enum outcome { OUT_RUNNING, OUT_INTERRUPTED, OUT_CANCELLED, OUT_FAILED, OUT_SUCCEEDED };

struct run {
	struct work_context *ctx;
	const struct job_row *row;
	struct prepared prepared;
	struct checkpoints checkpoints;
	enum outcome outcome;
	struct failure failure;
	double started;            /* monotonic; all below too */
	double looked, progressed; /* last look for a cancel, last progress event */
	int64_t batches_run;       /* since started */
	int64_t batches_told;      /* of them at the last progress event */
	double epoch_loss;         /* sum over the batches seen of this epoch */
	int64_t epoch_batches;
};

static enum bp_answer run_stop(struct run *r, enum outcome outcome)
{
	r->outcome = outcome;
	return BP_STOP;
}

static bool validated(const struct run *r)
{
	return r->prepared.val.count > 0;
}

/* ---- what the callback does ---------------------------------------------------------------------------- */

/* data is used up. False with a failure. */
static bool append(
	struct run *r, const char *type, char *data, int epoch, const char *metrics, const struct checkpoint_new *ckpt)
{
	int64_t seq;
	if (!data) {
		failure_set(&r->failure, "out_of_memory", "There was not enough memory to report on the job.");
		return false;
	}
	enum store_status st = store_event_append(r->ctx->store, r->row->id, type, data, epoch, metrics, ckpt, &seq);
	free(data);
	if (st != STORE_OK) {
		failure_from_store(&r->failure, st);
		return false;
	}
	run_ring(r->ctx, r->row->id);
	return true;
}

static bool cancelling(struct run *r)
{
	r->looked = clock_mono();
	return store_job_cancelling(r->ctx->store, r->row->id);
}

/* A checkpoint in mid-epoch, with an event of its own. */
static bool save_step(struct run *r, const struct bp_trainer *tr, const struct bp_event *ev)
{
	char file[CHECKPOINT_FILE_MAX];
	struct report_checkpoint ckpt = {.epoch = ev->epoch - 1, .step = ev->step};
	if (!checkpoints_write(&r->checkpoints, tr, false, &ckpt, NAN, file, &r->failure))
		return false;
	struct checkpoint_new row = {.epoch = ckpt.epoch, .step = ckpt.step, .file = file, .bytes = ckpt.bytes};
	if (!append(r, "checkpoint", report_checkpoint(&ckpt), -1, NULL, &row))
		return false;
	checkpoints_recorded(&r->checkpoints, &ckpt, NAN);
	return true;
}

static void tell_progress(struct run *r, const struct bp_event *ev)
{
	double now = clock_mono(), interval = (now - r->started) / PROGRESS_SHARE;
	interval = fmin(fmax(interval, PROGRESS_SECONDS_MIN), PROGRESS_SECONDS_MAX);
	if (now - r->progressed < interval)
		return;
	double rate = (double)(r->batches_run - r->batches_told) / (now - r->progressed);
	double mean_rate = (double)r->batches_run / (now - r->started);
	int64_t left = (int64_t)(r->row->epochs - ev->epoch) * ev->batches + ev->batches - ev->batch;
	struct report_batch b = {.epoch = ev->epoch,
		.batch = ev->batch,
		.batches = ev->batches,
		.step = ev->step,
		.loss = r->epoch_loss / (double)r->epoch_batches,
		.samples_per_second = rate * r->prepared.job.params.batch_size,
		.eta_seconds = (double)left / mean_rate};
	r->progressed = now;
	r->batches_told = r->batches_run;
	/* Losing one of these loses nothing. */
	if (!append(r, "progress", report_progress(&b), -1, NULL, NULL))
		log_line(LOG_WARNING, "%s: %s", r->row->id, r->failure.detail);
}

static enum bp_answer batch_done(struct run *r, struct bp_trainer *tr, const struct bp_event *ev)
{
	r->batches_run++;
	r->epoch_batches++;
	r->epoch_loss += ev->loss;
	if (atomic_load_explicit(&r->ctx->stopping, memory_order_relaxed)) {
		/* Without this checkpoint the job goes on from the one before: no reason to fail it. */
		if (!save_step(r, tr, ev))
			log_line(LOG_WARNING, "%s: stops without a checkpoint: %s", r->row->id, r->failure.detail);
		return run_stop(r, OUT_INTERRUPTED);
	}
	if (clock_mono() - r->looked >= CANCEL_LOOK_SECONDS && cancelling(r))
		return run_stop(r, OUT_CANCELLED);
	if (ev->epoch > r->row->epoch)
		tell_progress(r, ev);
	return BP_CONTINUE;
}

/* The layer whose gradients were not finite for the largest share of the epoch is where it began: gradients flow from
 * the output to the input, so among equals it is the one nearest to the output. */
static void fail_nonfinite(struct run *r, const struct bp_epoch *m)
{
	struct bp_layer_info info;
	const struct bp_layer_stats *first = NULL;
	double most = 0;
	for (int i = 0; i < m->nstats; i++) {
		bp_net_layer_info(r->prepared.net, m->stats[i].layer, &info);
		double share = (double)m->stats[i].nonfinite / (double)(info.parameters > 0 ? info.parameters : 1);
		if (share > 0 && share >= most) {
			most = share;
			first = &m->stats[i];
		}
	}
	const char *what = isnan(m->loss) ? "not a number" : "infinite";
	if (first) {
		bp_net_layer_info(r->prepared.net, first->layer, &info);
		failure_set(&r->failure, "nonfinite_loss",
			"The loss of epoch %d is %s; gradients stopped being finite "
			"in layer \"%s\" first. A lower learning rate or clip_grad_norm may help.",
			m->epoch, what, info.name);
	} else {
		failure_set(&r->failure, "nonfinite_loss",
			"The loss of epoch %d is %s although all gradients were finite. "
			"Look at the scale of the data and its targets.",
			m->epoch, what);
	}
}

/* The epoch's event, the job's epoch and metrics, and the checkpoint's row: one transaction. */
static bool record_epoch(
	struct run *r, const struct bp_epoch *m, const struct report_checkpoint *ckpt, const char *file)
{
	bool ok = false;
	bool news = m->epoch > r->row->epoch;
	double eta = m->seconds * (r->row->epochs - m->epoch);
	char *metrics = report_metrics(m, validated(r));
	struct checkpoint_new row = {.epoch = m->epoch, .step = m->step, .file = file, .metrics = metrics};
	if (ckpt) {
		row.bytes = ckpt->bytes;
		row.is_best = ckpt->is_best;
	}
	if (!metrics)
		failure_set(&r->failure, "out_of_memory", "There was not enough memory to report on the job.");
	else if (news)
		ok = append(r, "epoch", report_epoch(r->prepared.net, m, validated(r), eta, ckpt), m->epoch, metrics,
			ckpt ? &row : NULL);
	else
		ok = !ckpt || append(r, "checkpoint", report_checkpoint(ckpt), -1, NULL, &row);
	free(metrics);
	return ok;
}

static enum bp_answer epoch_done(struct run *r, struct bp_trainer *tr, const struct bp_epoch *m)
{
	char file[CHECKPOINT_FILE_MAX];
	struct report_checkpoint ckpt = {.epoch = m->epoch, .step = m->step};
	double loss = checkpoint_loss(m, validated(r));
	bool due = m->epoch % r->prepared.job.checkpoint_every == 0 || m->epoch >= r->row->epochs;
	bool broken = !isfinite(m->loss);
	r->epoch_loss = 0;
	r->epoch_batches = 0;
	/* An epoch that went wrong is told, but its weights are worth nothing. */
	bool saved = due && !broken && checkpoints_write(&r->checkpoints, tr, true, &ckpt, loss, file, &r->failure);
	if (!record_epoch(r, m, saved ? &ckpt : NULL, file))
		return run_stop(r, OUT_FAILED);
	if (saved)
		checkpoints_recorded(&r->checkpoints, &ckpt, loss);
	if (broken)
		fail_nonfinite(r, m);
	return broken || (due && !saved) ? run_stop(r, OUT_FAILED) : BP_CONTINUE;
}

static enum bp_answer on_event(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct run *r = user;
	switch (ev->kind) {
	case BP_EVENT_BATCH:
		return batch_done(r, tr, ev);
	case BP_EVENT_EPOCH:
		return epoch_done(r, tr, ev->metrics);
	}
	return BP_CONTINUE;
}

/* ---- from the claim to the end ------------------------------------------------------------------------- */

static void run_fail_core(struct run *r, const char *reason, const struct bp_error *err)
{
	failure_from_core(&r->failure, reason, err);
	r->outcome = OUT_FAILED;
}

/* Trains to the end of the last epoch, or until the callback says stop (and sets the outcome). */
static void run_train(struct run *r)
{
	struct prepared *p = &r->prepared;
	struct bp_trainer *tr = NULL;
	struct bp_error err;
	bool restored = false, done = false;
	bp_net_init(p->net, p->job.params.seed);
	if (bp_trainer_new(p->net, &p->job.params, &p->train, validated(r) ? &p->val : NULL, &tr, &err) != BP_OK) {
		run_fail_core(r, "invalid_job", &err);
		return;
	}
	if (!checkpoints_restore(&r->checkpoints, tr, &restored, &r->failure)) {
		r->outcome = OUT_FAILED;
		goto out;
	}
	r->started = r->progressed = r->looked = clock_mono();
	if (bp_trainer_run(tr, on_event, r, &done, &err) != BP_OK)
		run_fail_core(r, "training_failed", &err);
out:
	bp_trainer_free(tr);
}

static bool test_stops(void *user)
{
	struct run *r = user;
	if (atomic_load(&r->ctx->stopping))
		r->outcome = OUT_INTERRUPTED;
	else if (cancelling(r))
		r->outcome = OUT_CANCELLED;
	return r->outcome != OUT_RUNNING;
}

/* The best checkpoint on the test split: an event, and test_loss and test_accuracy in the job's metrics. */
static void run_test(struct run *r)
{
	struct report_test test = {0};
	struct job_row now;
	bool done = false;
	if (!checkpoints_load_best(&r->checkpoints, r->prepared.net, &test.epoch, &r->failure) ||
		!evaluate_net(r->prepared.net, &r->prepared.job, &r->prepared.test, test_stops, r, &test, &done,
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
	if (!metrics || !append(r, "test", report_test(&test), -1, metrics, NULL))
		r->outcome = OUT_FAILED;
	free(metrics);
}

/* Moves the job to what the outcome says; a cancel that came in the meantime wins. */
static void run_finish(struct run *r)
{
	enum job_status to = JOB_FAILED;
	const char *reason = NULL, *detail = NULL;
	switch (r->outcome) {
	case OUT_INTERRUPTED:
		to = JOB_QUEUED;
		reason = "server_restart";
		detail = "The server stopped; the job goes on from here when it is back.";
		break;
	case OUT_CANCELLED:
		to = JOB_CANCELLED;
		break;
	case OUT_RUNNING:
	case OUT_FAILED:
		reason = r->failure.reason ? r->failure.reason : "training_failed";
		detail = r->failure.detail;
		break;
	case OUT_SUCCEEDED:
		to = JOB_SUCCEEDED;
		break;
	}
	enum store_status st = store_job_move(r->ctx->store, r->row->id, to, reason, detail);
	if (st == STORE_CONFLICT)
		st = store_job_move(r->ctx->store, r->row->id, to = JOB_CANCELLED, NULL, NULL);
	if (st != STORE_OK)
		log_line(LOG_ERROR, "%s: its end could not be recorded; it will go on at the next start", r->row->id);
	log_line(to == JOB_FAILED ? LOG_WARNING : LOG_INFO, "%s: %s%s%s%s%s", r->row->id, job_status_name(to),
		reason ? " (" : "", reason ? reason : "", reason ? "): " : "", detail ? detail : "");
}

void train_job(struct work_context *ctx, const struct job_row *row)
{
	struct run r = {.ctx = ctx, .row = row, .outcome = OUT_RUNNING};
	log_line(LOG_INFO, "%s: \"%s\" starts (attempt %d)", row->id, row->name, row->attempt);
	if (!prepared_open(&r.prepared, ctx, row, &r.failure) ||
		!checkpoints_open(&r.checkpoints, ctx, row->id, &r.failure))
		r.outcome = OUT_FAILED;
	if (r.outcome == OUT_RUNNING)
		run_train(&r);
	if (r.outcome == OUT_RUNNING && r.prepared.test.count > 0)
		run_test(&r);
	if (r.outcome == OUT_RUNNING)
		r.outcome = OUT_SUCCEEDED;
	run_finish(&r);
	prepared_close(&r.prepared);
}
