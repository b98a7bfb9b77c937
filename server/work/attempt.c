/* attempt.c - a job from its claim to the end of its training (see train.h). */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "work/train.h"

enum { THREADS_WAIT_MS = 100 };

/* The job's threads: not before those who had them have given them back. False: it does not run. */
static bool lease_begin(struct run *r)
{
	r->lease = lease_open(r->ctx->leases, r->row->id, r->row->owner, r->row->threads);
	if (!r->lease) {
		failure_from_memory(&r->failure, "There was not enough memory to start the job.");
		r->outcome = OUT_FAILED;
		return false;
	}
	while (lease_wait(r->lease, THREADS_WAIT_MS) == 0)
		if (!run_goes_on(r))
			return false;
	r->fewest = lease_threads(r->lease);
	return true;
}

static void run_fail_core(struct run *r, const char *reason, const struct bp_error *err)
{
	failure_from_core(&r->failure, reason, err);
	r->outcome = OUT_FAILED;
}

static bool prepare(struct run *r)
{
	const char *id = r->row->id;
	if (!prepared_open(&r->prepared, r->ctx, r->row, r->lease, &r->failure))
		return false;
	const struct spec_job *job = &r->prepared.job;
	struct change start = {
		.epochs = job->params.epochs, .lr = bp_item_arg(BP_OPTIMIZER, &job->params.optimizer, "lr")->v[0]};
	r->ending.life = &job->life;
	if (!checkpoints_open(&r->checkpoints, r->ctx, id, &job->life, &r->failure) ||
		!changes_open(&r->changes, r->ctx, id, &start, &r->failure))
		return false;
	/* A checkpoint of any of its epochs can be taken up. */
	r->prepared.job.params.epochs = changes_most_epochs(&r->changes);
	return true;
}

static bool trainer_make(struct run *r, struct bp_trainer **ret)
{
	struct prepared *p = &r->prepared;
	struct bp_error err = {.status = BP_ENOMEM, .layer = -1, .message = "there is no memory to start the weights"};
	if (bp_net_init(p->net, p->job.params.seed) == BP_OK &&
		bp_trainer_new(p->net, &p->job.params, &p->train, p->val.count > 0 ? &p->val : NULL, ret, &err) ==
			BP_OK)
		return true;
	run_fail_core(r, "invalid_job", &err);
	return false;
}

/* Anew from the start. False with a failure. */
static bool trainer_again(struct run *r, struct bp_trainer **tr)
{
	bp_trainer_free(*tr);
	*tr = NULL;
	return trainer_make(r, tr);
}

/* What the epochs before place say, of going on and of findings. False with a failure. */
static bool replay(struct run *r, const struct checkpoint_place *place)
{
	struct past_epoch *past;
	enum store_status st = history_epochs(r->ctx->store, r->row->id, place->epoch, &past);
	if (st != STORE_OK) {
		failure_from_store(&r->failure, st);
		return false;
	}
	enum verdict verdict = ending_replay(&r->ending, past, place->epoch);
	if (verdict != GOES_ON && place->epoch < changes_now(&r->changes)->epochs)
		r->ended = verdict == REACHED_TARGET ? "target_reached" : "early_stopped";
	run_examine_begin(r, past, place->epoch);
	free(past);
	return true;
}

/* Before the first batch: what was asked for while no worker had the job, or before the server died. False: it does not
 * train. */
static bool begin(struct run *r, struct bp_trainer *tr, const struct checkpoint_place *place)
{
	struct job_asked asked = {.status = r->row->status, .lr = r->row->asked_lr, .epochs = r->row->asked_epochs};
	int64_t step = place->step > 0 ? place->step : 0;
	changes_restart(&r->changes, tr, step);
	if (!replay(r, place)) {
		r->outcome = OUT_FAILED;
		return false;
	}
	if (asked.status == JOB_STOPPING) {
		r->ended = "stopped";
		if (place->step < 0)
			r->outcome = OUT_CANCELLED; /* nothing was learned */
	} else if (place->step >= 0 && run_out_of_time(r)) {
		r->ended = "time_budget";
	} else if ((asked.lr > 0 || asked.epochs > 0) &&
		   !run_take_up(r, tr, &asked, step, place->begun > 0 ? place->begun : 1)) {
		r->outcome = OUT_FAILED;
	}
	if (!r->ended && r->outcome == OUT_RUNNING && place->epoch < changes_now(&r->changes)->epochs &&
		run_over_quota(r))
		r->outcome = OUT_PAUSED;
	return !r->ended && r->outcome == OUT_RUNNING;
}

/* Back to the end of the last good epoch, or to the start, at a lower learning rate. False with a failure. */
static bool roll_back(struct run *r, struct bp_trainer **tr, struct checkpoint_place *ret)
{
	const struct change *before = changes_newest(&r->changes);
	struct report_change change = {.lr = before->lr * r->prepared.job.life.lr_factor,
		.lr_before = before->lr,
		.epochs = before->epochs,
		.epochs_before = before->epochs,
		.reason = "rollback",
		.rollbacks = ++r->changes.rollbacks};
	log_line(LOG_NOTICE, "%s: %s Goes back.", r->row->id, r->failure.detail);
	if (!checkpoints_restore(&r->checkpoints, *tr, true, ret, &r->failure))
		return false;
	if (ret->step < 0 && !trainer_again(r, tr))
		return false;
	change.step = ret->step > 0 ? ret->step : 0;
	change.epoch = ret->epoch;
	changes_restart(&r->changes, *tr, change.step);
	r->outcome = OUT_RUNNING;
	return run_change(r, *tr, &change, NULL) && replay(r, ret);
}

/* More epochs may have been asked for while the last one was finished. */
static bool prolonged(struct run *r, struct bp_trainer *tr)
{
	struct job_asked asked;
	const struct change *now = changes_now(&r->changes);
	if (r->outcome != OUT_RUNNING || r->ended || !store_job_asked(r->ctx->store, r->row->id, &asked) ||
		asked.epochs <= now->epochs)
		return false;
	int epochs = now->epochs;
	if (!run_take_up(r, tr, &asked, r->last_step, epochs))
		r->outcome = OUT_FAILED;
	return r->outcome == OUT_RUNNING;
}

/* Prepares and trains, to the end of the last epoch or until the outcome says otherwise. */
static void train(struct run *r)
{
	struct bp_trainer *tr = NULL;
	struct bp_error err;
	struct checkpoint_place place;
	r->told = r->row->epoch;
	if (!prepare(r) || !trainer_make(r, &tr) ||
		!checkpoints_restore(&r->checkpoints, tr, false, &place, &r->failure)) {
		r->outcome = OUT_FAILED;
		goto out;
	}
	if (place.spoiled && !trainer_again(r, &tr)) {
		r->outcome = OUT_FAILED;
		goto out;
	}
	r->last_step = place.step > 0 ? place.step : 0;
	if (!begin(r, tr, &place))
		goto out;
	r->started = r->progressed = r->looked = r->saved = clock_mono();
	for (bool again = true; again;) {
		bool done = false;
		if (bp_trainer_run(tr, run_event, r, &done, &err) != BP_OK)
			run_fail_core(r, "training_failed", &err);
		if (r->outcome == OUT_ROLLBACK) {
			if (!roll_back(r, &tr, &place))
				r->outcome = OUT_FAILED;
			again = r->outcome == OUT_RUNNING && !r->ended;
		} else {
			again = done && prolonged(r, tr);
		}
	}
out:
	bp_trainer_free(tr);
}

void train_job(struct work_context *ctx, const struct job_row *row)
{
	struct run r = {.ctx = ctx, .row = row, .outcome = OUT_RUNNING};
	log_line(LOG_INFO, "%s: \"%s\" starts (attempt %d)", row->id, row->name, row->attempt);
	r.claimed = r.charged = clock_mono();
	if (lease_begin(&r))
		train(&r);
	if (r.outcome == OUT_RUNNING && r.prepared.test.count > 0)
		run_test(&r);
	if (r.outcome == OUT_RUNNING)
		r.outcome = OUT_SUCCEEDED;
	/* Once the row says that it has ended, the next job may take its memory. */
	run_examine_done(&r);
	changes_done(&r.changes);
	prepared_close(&r.prepared);
	if (r.lease)
		run_charge(&r);
	run_finish(&r);
	lease_close(r.lease);
}
