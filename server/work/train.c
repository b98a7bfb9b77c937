/*
 * train.c - the callback of a training: what happens after each batch and each epoch (see train.h).
 *
 * After a restart a job goes on from its newest checkpoint. Epochs between that and the crash are trained again, with
 * the same bits; their events exist already (epoch <= told) and are not written twice.
 */
#include "work/train.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sha256.h"

#define LOOK_SECONDS 0.1
#define GIVE_WAY_SECONDS 1.0
#define CHARGE_SECONDS 10.0
#define PROGRESS_SECONDS_MIN 1.0
#define PROGRESS_SECONDS_MAX 10.0
#define PROGRESS_SHARE                                                                                                 \
	600.0 /* at most so many progress rows for a run that is short, fewer a minute for a long one                  \
	       */

static enum bp_answer run_stop(struct run *r, enum outcome outcome)
{
	r->outcome = outcome;
	return BP_STOP;
}

static bool validated(const struct run *r)
{
	return r->prepared.val.count > 0;
}

bool run_append(
	struct run *r, const char *type, char *data, int epoch, const char *metrics, const struct checkpoint_new *ckpt)
{
	int64_t seq;
	if (!data) {
		failure_from_memory(&r->failure, "There was not enough memory to report on the job.");
		return false;
	}
	enum store_status st = store_event_append(r->ctx->store, r->row->id, type, data, epoch, metrics, ckpt, &seq);
	free(data);
	if (st != STORE_OK) {
		failure_from_store(&r->failure, st);
		return false;
	}
	run_ring(r->ctx, r->row->id);
	if (ckpt && r->row->deaths >= ORDER_SUSPECT_DEATHS)
		hub_ring(r->ctx->hub, HUB_QUEUE); /* the others waited for it */
	return true;
}

/* ---- after a batch ------------------------------------------------------------------------------------- */

/* A checkpoint in mid-epoch, with an event of its own. */
static bool save_step(struct run *r, struct bp_trainer *tr, const struct bp_event *ev, bool final)
{
	struct checkpoint ckpt = {.kind = final ? CHECKPOINT_FINAL : CHECKPOINT_STEP,
		.row = {.epoch = ev->epoch - 1, .step = ev->step},
		.score = NAN};
	if (!checkpoints_write(&r->checkpoints, tr, &ckpt, &r->failure))
		return false;
	struct checkpoint_new row = {.epoch = ckpt.row.epoch,
		.step = ckpt.row.step,
		.file = ckpt.file,
		.bytes = ckpt.row.bytes,
		.is_best = ckpt.row.is_best};
	if (!run_append(r, "checkpoint", report_checkpoint(&ckpt.row), -1, NULL, &row))
		return false;
	checkpoints_recorded(&r->checkpoints, &ckpt);
	r->saved = clock_mono();
	return true;
}

/* Leaves in mid-epoch. Without this checkpoint the job goes on from the one before: no reason to fail it. */
static enum bp_answer leave(struct run *r, struct bp_trainer *tr, const struct bp_event *ev, enum outcome outcome)
{
	if (!save_step(r, tr, ev, false))
		log_line(LOG_WARNING, "%s: leaves without a checkpoint: %s", r->row->id, r->failure.detail);
	return run_stop(r, outcome);
}

/* Ends in mid-epoch, keeping what there is. */
static enum bp_answer end(struct run *r, struct bp_trainer *tr, const struct bp_event *ev, const char *reason)
{
	r->ended = reason;
	return save_step(r, tr, ev, true) ? BP_STOP : run_stop(r, OUT_FAILED);
}

bool run_change(struct run *r, struct bp_trainer *tr, const struct report_change *change, const struct job_asked *asked)
{
	struct change mine = {.step = change->step, .lr = change->lr, .epochs = change->epochs};
	char *data = report_change(change);
	struct job_change row = {.data = data, .lr = change->lr, .epochs = change->epochs, .epoch = -1};
	int64_t seq;
	if (asked)
		row.asked = *asked;
	if (change->rollbacks > 0)
		row.epoch = r->told = change->epoch;
	enum store_status st = data ? store_job_changed(r->ctx->store, r->row->id, &row, &seq) : STORE_OK;
	bool ok = data && st == STORE_OK && changes_add(&r->changes, tr, &mine);
	if (st != STORE_OK)
		failure_from_store(&r->failure, st);
	else if (!ok)
		failure_from_memory(&r->failure, "There was not enough memory for a change of the training.");
	free(data);
	run_ring(r->ctx, r->row->id);
	return ok;
}

bool run_take_up(struct run *r, struct bp_trainer *tr, const struct job_asked *asked, int64_t step, int begun)
{
	const struct change *before = changes_newest(&r->changes);
	struct report_change change = {.step = step,
		.epoch = r->told,
		.lr = asked->lr > 0 ? asked->lr : before->lr,
		.lr_before = before->lr,
		.epochs = asked->epochs > 0 ? asked->epochs : before->epochs,
		.epochs_before = before->epochs,
		.reason = "client_request"};
	if (change.epochs < begun)
		change.epochs = begun;
	return run_change(r, tr, &change, asked);
}

/* Asked once the newest checkpoint is written and those before it are gone, so nothing is lost: at most one checkpoint
 * of each running job lies beyond the limit. */
bool run_over_quota(struct run *r)
{
	struct job_asked asked;
	/* What a client asked for comes first: a job that it pauses must not go on by itself. */
	if (store_job_asked(r->ctx->store, r->row->id, &asked) && asked.status != JOB_RUNNING)
		return false;
	r->over_quota = store_disk_left(r->ctx->store, r->row->owner) <= 0;
	return r->over_quota;
}

bool run_goes_on(struct run *r)
{
	struct job_asked asked;
	if (atomic_load(&r->ctx->stopping))
		r->outcome = OUT_INTERRUPTED;
	else if (store_job_asked(r->ctx->store, r->row->id, &asked) && asked.status == JOB_CANCELLING)
		r->outcome = OUT_CANCELLED;
	else if (asked.status == JOB_PAUSING)
		r->outcome = OUT_PAUSED;
	return r->outcome == OUT_RUNNING;
}

bool run_out_of_time(const struct run *r)
{
	double limit = r->prepared.job.life.max_runtime_seconds;
	return limit > 0 && r->row->runtime_seconds + clock_mono() - r->claimed >= limit;
}

void run_charge(struct run *r)
{
	r->charged = clock_mono();
	if (store_usage_add(r->ctx->store, r->row->owner, lease_used(r->lease)) != STORE_OK)
		log_line(LOG_WARNING, "%s: its use of cores could not be noted", r->row->id);
}

/* Looks each time the queue has changed, and not before it has run for a while: coming and going costs, too. */
static bool gives_way(struct run *r)
{
	uint64_t seen = hub_seq(r->ctx->hub, HUB_QUEUE);
	if (seen == r->queue_seen || r->looked - r->started < GIVE_WAY_SECONDS)
		return false;
	r->queue_seen = seen;
	return store_job_gives_way(r->ctx->store, r->row->id);
}

/* What clients asked for meanwhile, and the clock. */
static enum bp_answer look(struct run *r, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct job_asked asked;
	r->looked = clock_mono();
	if (r->looked - r->charged >= CHARGE_SECONDS)
		run_charge(r);
	if (store_job_asked(r->ctx->store, r->row->id, &asked)) {
		if (asked.status == JOB_CANCELLING)
			return run_stop(r, OUT_CANCELLED);
		if (asked.status == JOB_STOPPING)
			return end(r, tr, ev, "stopped");
		if (asked.status == JOB_PAUSING)
			return leave(r, tr, ev, OUT_PAUSED);
		if ((asked.lr > 0 || asked.epochs > 0) && !run_take_up(r, tr, &asked, ev->step, ev->epoch))
			return run_stop(r, OUT_FAILED);
	}
	if (gives_way(r))
		return leave(r, tr, ev, OUT_GAVE_WAY);
	return run_out_of_time(r) ? end(r, tr, ev, "time_budget") : BP_CONTINUE;
}

/* A long epoch gets checkpoints on its way. */
static bool save_due(const struct run *r, const struct bp_event *ev, double now)
{
	double every = r->prepared.job.life.every_seconds;
	return every > 0 && ev->batch < ev->batches && isfinite(ev->loss) && now - r->saved >= every;
}

static void tell_progress(struct run *r, const struct bp_event *ev, double now)
{
	double interval = (now - r->started) / PROGRESS_SHARE;
	interval = fmin(fmax(interval, PROGRESS_SECONDS_MIN), PROGRESS_SECONDS_MAX);
	if (now - r->progressed < interval)
		return;
	double rate = (double)(r->batches_run - r->batches_told) / (now - r->progressed);
	double mean_rate = (double)r->batches_run / (now - r->started);
	int64_t left = (int64_t)(changes_now(&r->changes)->epochs - ev->epoch) * ev->batches + ev->batches - ev->batch;
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
	if (!run_append(r, "progress", report_progress(&b), -1, NULL, NULL))
		log_line(LOG_WARNING, "%s: %s", r->row->id, r->failure.detail);
}

static enum bp_answer batch_done(struct run *r, struct bp_trainer *tr, const struct bp_event *ev)
{
	r->last_step = ev->step;
	r->batches_run++;
	r->epoch_batches++;
	r->epoch_loss += ev->loss;
	changes_reach(&r->changes, tr, ev->step);
	const double now = clock_mono(); /* once: a batch may take less than a microsecond */
	if (atomic_load_explicit(&r->ctx->stopping, memory_order_relaxed))
		return leave(r, tr, ev, OUT_INTERRUPTED);
	if (now - r->looked >= LOOK_SECONDS && look(r, tr, ev) == BP_STOP)
		return BP_STOP;
	if (save_due(r, ev, now)) {
		if (!save_step(r, tr, ev, false))
			return run_stop(r, OUT_FAILED);
		if (run_over_quota(r))
			return run_stop(r, OUT_PAUSED);
	}
	if (ev->epoch > r->told)
		tell_progress(r, ev, now);
	return BP_CONTINUE;
}

/* ---- after an epoch ------------------------------------------------------------------------------------ */

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
static bool record_epoch(struct run *r, const struct bp_epoch *m, const struct checkpoint *ckpt)
{
	bool ok = false;
	double eta = r->ended ? 0 : m->seconds * (changes_now(&r->changes)->epochs - m->epoch);
	char *metrics = report_metrics(m, validated(r));
	const struct report_checkpoint *told = ckpt ? &ckpt->row : NULL;
	struct checkpoint_new row = {.epoch = m->epoch, .step = m->step, .metrics = metrics};
	if (ckpt) {
		row.file = ckpt->file;
		row.bytes = ckpt->row.bytes;
		row.is_best = ckpt->row.is_best;
	}
	if (!metrics)
		failure_from_memory(&r->failure, "There was not enough memory to report on the job.");
	else if (m->epoch > r->told)
		ok = run_append(r, "epoch", report_epoch(r->prepared.net, m, validated(r), eta, told), m->epoch,
			metrics, ckpt ? &row : NULL);
	else
		ok = !ckpt || run_append(r, "checkpoint", report_checkpoint(told), -1, NULL, &row);
	if (ok && m->epoch > r->told)
		r->told = m->epoch;
	free(metrics);
	return ok;
}

/* After epochs 1, 2, 4, 8 ...: how fast this net trains here, for the price of others like it. A price is for the whole
 * machine, so an epoch that had to share it counts only while nothing better is known. */
static void note_speed(const struct run *r, const struct bp_epoch *m)
{
	bool shared = r->fewest < r->prepared.job.params.max_threads, known = false;
	struct speed speed = {.batch_size = r->prepared.job.params.batch_size,
		.training_flops = (double)bp_net_training_flops(r->prepared.net),
		.samples_per_second = m->samples_per_second};
	if ((m->epoch & (m->epoch - 1)) != 0 || !(speed.training_flops > 0) || !isnormal(speed.samples_per_second))
		return;
	sha256_hex(r->row->model, strlen(r->row->model), speed.model_sha256);
	struct speed before = speed;
	if (shared && store_speed_find(r->ctx->store, &before, &known) == STORE_OK && known)
		return;
	if (store_speed_note(r->ctx->store, &speed) != STORE_OK)
		log_line(LOG_WARNING, "%s: its speed could not be noted", r->row->id);
}

/* Weights that are not finite cannot learn any more. A loss may be finite once more after they broke. */
static bool epoch_broken(const struct bp_epoch *m)
{
	bool broken = !isfinite(m->loss);
	for (int i = 0; i < m->nstats; i++)
		broken |= !isfinite(m->stats[i].weight_norm);
	return broken;
}

/* Whether the training should go on after this epoch; notes why not. */
static void judge(struct run *r, const struct bp_epoch *m)
{
	struct past_epoch now = history_epoch(m);
	enum verdict verdict = ending_epoch(&r->ending, m->epoch, &now);
	if (m->epoch >= changes_now(&r->changes)->epochs)
		return;
	if (verdict == REACHED_TARGET)
		r->ended = "target_reached";
	else if (verdict == STOPS_EARLY)
		r->ended = "early_stopped";
}

static enum bp_answer epoch_broke(struct run *r, struct bp_trainer *tr, const struct bp_epoch *m)
{
	const struct spec_life *life = &r->prepared.job.life;
	if (!record_epoch(r, m, NULL))
		return run_stop(r, OUT_FAILED);
	run_examine(r, tr, m, true);
	fail_nonfinite(r, m);
	if (life->rollback && r->changes.rollbacks < life->max_rollbacks)
		return run_stop(r, OUT_ROLLBACK);
	return run_stop(r, OUT_FAILED);
}

static enum bp_answer epoch_done(struct run *r, struct bp_trainer *tr, const struct bp_epoch *m)
{
	const struct spec_life *life = &r->prepared.job.life;
	struct checkpoint ckpt = {
		.row = {.epoch = m->epoch, .step = m->step}, .score = checkpoints_score(&r->checkpoints, m)};
	r->epoch_loss = 0;
	r->epoch_batches = 0;
	/* An epoch that went wrong is told, but its weights are worth nothing. */
	if (epoch_broken(m))
		return epoch_broke(r, tr, m);
	judge(r, m);
	bool due = m->epoch % life->every_epochs == 0 || m->epoch >= changes_now(&r->changes)->epochs || r->ended ||
		   (life->early_stopping && checkpoints_better(&r->checkpoints, ckpt.score));
	bool saved = due && checkpoints_write(&r->checkpoints, tr, &ckpt, &r->failure);
	if (!record_epoch(r, m, saved ? &ckpt : NULL))
		return run_stop(r, OUT_FAILED);
	if (saved) {
		checkpoints_recorded(&r->checkpoints, &ckpt);
		r->saved = clock_mono();
	}
	if (due && !saved)
		return run_stop(r, OUT_FAILED);
	note_speed(r, m);
	r->fewest = r->prepared.job.params.threads;
	run_examine(r, tr, m, false);
	if (saved && !r->ended && m->epoch < changes_now(&r->changes)->epochs && run_over_quota(r))
		return run_stop(r, OUT_PAUSED);
	return r->ended ? BP_STOP : BP_CONTINUE;
}

/* What others need is given back here, and what is free is taken up. */
static void adjust_threads(struct run *r, struct bp_trainer *tr)
{
	int threads = lease_threads(r->lease);
	if (threads < r->fewest)
		r->fewest = threads;
	if (threads == r->prepared.job.params.threads)
		return;
	r->prepared.job.params.threads = threads;
	bp_trainer_set_threads(tr, threads);
	if (threads == 1)
		bp_threads_end(); /* as pool.c does, and why */
}

enum bp_answer run_event(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct run *r = user;
	adjust_threads(r, tr);
	switch (ev->kind) {
	case BP_EVENT_BATCH:
		return batch_done(r, tr, ev);
	case BP_EVENT_EPOCH:
		return epoch_done(r, tr, ev->metrics);
	case BP_EVENT_VALIDATION:
		break;
	}
	return BP_CONTINUE;
}
