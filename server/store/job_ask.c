/*
 * job_ask.c - what clients ask of a job, and how its worker hears of it and answers.
 *
 * Where no worker has the job it is done at once. Else the request stands in the row (a status, or asked_lr and
 * asked_epochs) until the worker, which looks a few times a second, has done it.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/rows.h"

/* ---- verbs -------------------------------------------------------------------------------------------- */

enum { SAME = -1, NO = -2 }; /* already so; not in this status */

/* Where a verb leads from each status. Queued: pausing holds the job, resuming releases it. */
static const int verbs[JOB_VERB_COUNT][JOB_STATUS_COUNT] = {
	[JOB_VERB_PAUSE] = {[JOB_QUEUED] = JOB_PAUSED,
		[JOB_RUNNING] = JOB_PAUSING,
		[JOB_PAUSING] = SAME,
		[JOB_PAUSED] = SAME,
		[JOB_STOPPING] = NO,
		[JOB_CANCELLING] = NO,
		[JOB_SUCCEEDED] = NO,
		[JOB_FAILED] = NO,
		[JOB_CANCELLED] = NO},
	[JOB_VERB_RESUME] = {[JOB_QUEUED] = SAME,
		[JOB_RUNNING] = SAME,
		[JOB_PAUSING] = JOB_RUNNING,
		[JOB_PAUSED] = JOB_QUEUED,
		[JOB_STOPPING] = NO,
		[JOB_CANCELLING] = NO,
		[JOB_SUCCEEDED] = NO,
		[JOB_FAILED] = NO,
		[JOB_CANCELLED] = NO},
	[JOB_VERB_STOP] = {[JOB_QUEUED] = SAME, /* marked; ends when it is claimed */
		[JOB_RUNNING] = JOB_STOPPING,
		[JOB_PAUSING] = JOB_STOPPING,
		[JOB_PAUSED] = JOB_QUEUED, /* a worker must still test its best */
		[JOB_STOPPING] = SAME,
		[JOB_CANCELLING] = NO,
		[JOB_SUCCEEDED] = SAME,
		[JOB_FAILED] = NO,
		[JOB_CANCELLED] = NO},
	[JOB_VERB_CANCEL] = {[JOB_QUEUED] = JOB_CANCELLED,
		[JOB_RUNNING] = JOB_CANCELLING,
		[JOB_PAUSING] = JOB_CANCELLING,
		[JOB_PAUSED] = JOB_CANCELLED,
		[JOB_STOPPING] = JOB_CANCELLING,
		[JOB_CANCELLING] = SAME,
		[JOB_SUCCEEDED] = NO,
		[JOB_FAILED] = NO,
		[JOB_CANCELLED] = SAME},
};

static const char *reason_of(enum job_verb verb, enum job_status from)
{
	if (verb == JOB_VERB_PAUSE && from == JOB_QUEUED)
		return "held";
	return verb == JOB_VERB_RESUME ? "resumed" : "client_request";
}

/* A job that was never begun has nothing to keep. */
static bool begun(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "SELECT 1 FROM checkpoint WHERE job_id = :id LIMIT 1");
	db_bind_text(st, ":id", id);
	return db_step(st);
}

static void mark_stop(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(
		tx, "UPDATE job SET stop_requested = 1, version = version + 1 WHERE id = :id AND stop_requested = 0");
	db_bind_text(st, ":id", id);
	db_run(st);
}

enum store_status job_at_version(struct db_tx *tx, const char *id, int64_t version)
{
	struct db_stmt *st = db_query(tx, "SELECT version FROM job WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	return version < 0 || db_int(st, "version") == version ? STORE_OK : STORE_STALE;
}

enum store_status store_job_ask(struct store *s, const char *id, enum job_verb verb, int64_t if_version)
{
	enum job_status from;
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = job_at_version(tx, id, if_version);
	if (status != STORE_OK || !job_present(tx, id, &from))
		return store_end(s, tx, status);
	int to = verbs[verb][from];
	if (to == NO)
		return store_end(s, tx, STORE_CONFLICT);
	if (verb == JOB_VERB_STOP && !job_status_terminal(from)) {
		if ((from == JOB_QUEUED || from == JOB_PAUSED) && !begun(tx, id))
			return store_end(s, tx, STORE_CONFLICT);
		mark_stop(tx, id);
	}
	if (to != SAME) {
		struct job_transition move = {.id = id, .to = (enum job_status)to, .reason = reason_of(verb, from)};
		status = job_move(s, tx, &move);
	}
	return store_end(s, tx, status);
}

/* ---- edits -------------------------------------------------------------------------------------------- */

/* Whether a worker has it that is past its last epoch: it looks for no more of them, and tests what there is. */
static bool last_epoch_done(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "SELECT 1 FROM job WHERE id = :id AND (trained OR epoch >= epochs)"
					  " AND status IN ('running', 'pausing', 'stopping', 'cancelling')");
	db_bind_text(st, ":id", id);
	return db_step(st);
}

enum store_status store_job_edit(struct store *s, const char *id, const struct job_edit *e)
{
	enum job_status present;
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = job_at_version(tx, id, e->if_version);
	if (status != STORE_OK)
		return store_end(s, tx, status);
	if (e->epochs > 0 && last_epoch_done(tx, id))
		return store_end(s, tx, STORE_CONFLICT);
	bool more = e->priority >= 0 || e->lr > 0 || e->epochs > 0;
	if (more && (!job_present(tx, id, &present) || job_status_terminal(present)))
		return store_end(s, tx, STORE_CONFLICT);
	struct db_stmt *st = db_query(tx, "UPDATE job SET name = coalesce(:name, name), version = version + 1,"
					  " priority = CASE WHEN :priority < 0 THEN priority ELSE :priority END,"
					  " asked_lr = coalesce(nullif(:lr, 0.0), asked_lr),"
					  " asked_epochs = coalesce(nullif(:epochs, 0), asked_epochs) WHERE id = :id");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":name", e->name);
	db_bind_int(st, ":priority", e->priority);
	db_bind_real(st, ":lr", e->lr);
	db_bind_int(st, ":epochs", e->epochs);
	db_run(st);
	job_look_for_asked(s, tx);
	return store_end(s, tx, STORE_OK);
}

/* ---- the worker's side -------------------------------------------------------------------------------- */

void job_look_for_asked(struct store *s, struct db_tx *tx)
{
	bool any = db_step(db_query(tx, "SELECT 1 FROM job WHERE status IN ('pausing', 'stopping', 'cancelling')"
					" UNION ALL SELECT 1 FROM job WHERE status = 'running'"
					"  AND (asked_lr IS NOT NULL OR asked_epochs IS NOT NULL) LIMIT 1"));
	atomic_store(&s->may_be_asked, any);
}

bool store_job_asked(struct store *s, const char *id, struct job_asked *ret)
{
	char name[16];
	*ret = (struct job_asked){.status = JOB_RUNNING};
	if (!atomic_load(&s->may_be_asked))
		return false;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT status, asked_lr, asked_epochs FROM job WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (db_step(st)) {
		db_text_into(st, "status", name, sizeof name);
		int found = job_status_find(name);
		if (found == JOB_PAUSING || found == JOB_STOPPING || found == JOB_CANCELLING)
			ret->status = (enum job_status)found;
		ret->lr = db_real(st, "asked_lr");
		ret->epochs = (int)db_int(st, "asked_epochs");
	}
	if (db_end(tx, false) != DB_OK)
		*ret = (struct job_asked){.status = JOB_RUNNING};
	return ret->status != JOB_RUNNING || ret->lr > 0 || ret->epochs > 0;
}

enum store_status store_job_trained(struct store *s, const char *id)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE job SET trained = 1 WHERE id = :id");
	db_bind_text(st, ":id", id);
	db_run(st);
	return store_end(s, tx, STORE_OK);
}

enum store_status store_job_changed(struct store *s, const char *id, const struct job_change *c, int64_t *ret_seq)
{
	*ret_seq = 0;
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE job SET last_seq = last_seq + 1, version = version + 1, lr = :lr,"
					  " epochs = :epochs, epoch = CASE WHEN :epoch < 0 THEN epoch ELSE :epoch END,"
					  " asked_lr = nullif(asked_lr, :asked_lr),"
					  " asked_epochs = nullif(asked_epochs, :asked_epochs)"
					  " WHERE id = :id RETURNING last_seq");
	db_bind_text(st, ":id", id);
	db_bind_real(st, ":lr", c->lr);
	db_bind_int(st, ":epochs", c->epochs);
	db_bind_int(st, ":epoch", c->epoch);
	db_bind_real(st, ":asked_lr", c->asked.lr);
	db_bind_int(st, ":asked_epochs", c->asked.epochs);
	if (!db_step(st))
		return store_end(s, tx, STORE_NOT_FOUND);
	int64_t seq = db_int(st, "last_seq");
	db_run(st);
	event_add(tx, id, seq, "change", c->data);
	job_look_for_asked(s, tx);
	enum store_status status = store_end(s, tx, STORE_OK);
	if (status == STORE_OK)
		*ret_seq = seq;
	return status;
}

enum store_status store_job_diagnosed(
	struct store *s, const char *id, const char *data, const char *all, int64_t *ret_seq)
{
	*ret_seq = 0;
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE job SET last_seq = last_seq + 1, version = version + 1,"
					  " diagnosis = :all WHERE id = :id RETURNING last_seq");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":all", all);
	if (!db_step(st))
		return store_end(s, tx, STORE_NOT_FOUND);
	int64_t seq = db_int(st, "last_seq");
	db_run(st);
	event_add(tx, id, seq, "diagnosis", data);
	enum store_status status = store_end(s, tx, STORE_OK);
	if (status == STORE_OK)
		*ret_seq = seq;
	return status;
}

enum store_status store_job_retry(
	struct store *s, const char *id, const char *reason, const char *detail, double delay, bool *ret_again)
{
	struct job_transition move = {.id = id,
		.to = JOB_QUEUED,
		.reason = reason,
		.detail = detail,
		.not_before = clock_now() + fmin(delay, ORDER_RETRY_MAX_SECONDS)};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE job SET retries = retries + 1 WHERE id = :id RETURNING retries");
	db_bind_text(st, ":id", id);
	*ret_again = db_step(st) && db_int(st, "retries") <= JOB_RETRIES_MAX;
	db_run(st);
	if (!*ret_again) {
		move.to = JOB_FAILED;
		move.not_before = 0;
	}
	return store_end(s, tx, job_move(s, tx, &move));
}

enum store_status store_job_wait_for_disk(struct store *s, const char *id, const char *detail, double delay)
{
	struct job_transition move = {.id = id, .to = JOB_PAUSED, .reason = "disk_full", .detail = detail};
	enum job_status from;
	struct db_tx *tx = db_begin(s->db);
	if (!job_present(tx, id, &from))
		return store_end(s, tx, STORE_NOT_FOUND);
	if (from == JOB_STOPPING) {
		move.to = JOB_QUEUED; /* a worker must still test its best */
		move.not_before = clock_now() + fmin(delay, ORDER_RETRY_MAX_SECONDS);
	} else if (from != JOB_RUNNING) {
		move = (struct job_transition){.id = id,
			.to = from == JOB_CANCELLING ? JOB_CANCELLED : JOB_PAUSED,
			.reason = "client_request"};
	}
	return store_end(s, tx, job_move(s, tx, &move));
}
