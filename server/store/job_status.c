/*
 * job_status.c - the status of a job: its names, its legal moves, and the one function through which it changes.
 *
 * A move is the new status in the row, a line of history and a "status" event, in one transaction.
 */
#include <string.h>

#include "base/clock.h"
#include "store/rows.h"

const char *job_status_name(enum job_status st)
{
	switch (st) {
	case JOB_QUEUED:
		return "queued";
	case JOB_RUNNING:
		return "running";
	case JOB_PAUSING:
		return "pausing";
	case JOB_PAUSED:
		return "paused";
	case JOB_STOPPING:
		return "stopping";
	case JOB_CANCELLING:
		return "cancelling";
	case JOB_SUCCEEDED:
		return "succeeded";
	case JOB_FAILED:
		return "failed";
	case JOB_CANCELLED:
		return "cancelled";
	case JOB_STATUS_COUNT:
		break;
	}
	return "unknown";
}

int job_status_find(const char *name)
{
	for (int i = 0; i < JOB_STATUS_COUNT; i++)
		if (strcmp(job_status_name(i), name) == 0)
			return i;
	return -1;
}

bool job_status_terminal(enum job_status st)
{
	static const bool table[JOB_STATUS_COUNT] = {
#define JOB_STATUS(name, terminal) [JOB_##name] = terminal,
#include "store/job_status.def"
	};
	return table[st];
}

const struct job_reason *job_reason_at(int i)
{
	static const struct job_reason table[] = {
#define REASON(code, help) {code, help},
#include "store/job_reason.def"
	};
	return i >= 0 && i < (int)(sizeof(table) / sizeof(table[0])) ? &table[i] : NULL;
}

/*
 * Where each status may go. Back to the queue: the daemon stops, or died, or the job is tried again. From running
 * to paused: the disk is full, or its owner takes too much of it. A job that is pausing, stopping or cancelling may
 * still succeed or fail: the training ended before it saw the request. A stopping one that has learned nothing is
 * cancelled.
 */
#define TO(status) (1u << JOB_##status)
static const unsigned moves[JOB_STATUS_COUNT] = {
	[JOB_QUEUED] = TO(RUNNING) | TO(PAUSED) | TO(FAILED) | TO(CANCELLED),
	[JOB_RUNNING] =
		TO(QUEUED) | TO(PAUSED) | TO(PAUSING) | TO(STOPPING) | TO(CANCELLING) | TO(SUCCEEDED) | TO(FAILED),
	[JOB_PAUSING] = TO(PAUSED) | TO(RUNNING) | TO(STOPPING) | TO(CANCELLING) | TO(SUCCEEDED) | TO(FAILED),
	[JOB_PAUSED] = TO(QUEUED) | TO(CANCELLED),
	[JOB_STOPPING] = TO(QUEUED) | TO(CANCELLING) | TO(SUCCEEDED) | TO(FAILED) | TO(CANCELLED),
	[JOB_CANCELLING] = TO(CANCELLED) | TO(SUCCEEDED) | TO(FAILED),
};

/* The statuses in which a worker has the job. */
static bool held(enum job_status st)
{
	return st == JOB_RUNNING || st == JOB_PAUSING || st == JOB_STOPPING || st == JOB_CANCELLING;
}

bool job_status_move_legal(enum job_status from, enum job_status to)
{
	return moves[from] >> to & 1;
}

void job_status_record(struct db_tx *tx, const struct job_transition *move, int64_t seq, double now)
{
	static const char *const texts[] = {
		"INSERT INTO job_status_history (job_id, seq, status, reason, detail, at)"
		" VALUES (:job, :seq, :status, :reason, :detail, :now)",
		"INSERT INTO event (job_id, owner, seq, type, data, created_at) SELECT id, owner, :seq, 'status',"
		" json_object('status', :status, 'reason', :reason, 'detail', :detail), :now FROM job WHERE id = :job",
	};
	for (int i = 0; i < 2; i++) {
		struct db_stmt *st = db_query(tx, texts[i]);
		db_bind_text(st, ":job", move->id);
		db_bind_int(st, ":seq", seq);
		db_bind_text(st, ":status", job_status_name(move->to));
		db_bind_text(st, ":reason", move->reason);
		db_bind_text(st, ":detail", move->detail);
		db_bind_real(st, ":now", now);
		db_run(st);
	}
}

bool job_present(struct db_tx *tx, const char *id, enum job_status *ret)
{
	char name[16];
	struct db_stmt *st = db_query(tx, "SELECT status FROM job WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return false;
	db_text_into(st, "status", name, sizeof name);
	int found = job_status_find(name);
	*ret = found < 0 ? JOB_FAILED : (enum job_status)found; /* the table's CHECK allows only known ones */
	return true;
}

/* The row of a move: its status, and the time that the worker had the job. */
static int64_t move_row(
	const struct store *s, struct db_tx *tx, const struct job_transition *move, enum job_status from, double now)
{
	double mono = clock_mono();
	bool leaves = held(from) && !held(move->to);
	struct db_stmt *st = db_query(tx,
		"UPDATE job SET status = :status, status_reason = :reason, status_detail = :detail,"
		" started_at = CASE WHEN :starts THEN coalesce(started_at, :now) ELSE started_at END,"
		" finished_at = CASE WHEN :ends THEN :now END,"
		" queued_at = CASE WHEN :waits THEN :now ELSE queued_at END, not_before = nullif(:before, 0.0),"
		" runtime_seconds = runtime_seconds"
		"  + CASE WHEN :leaves THEN max(0.0, :left - coalesce(claimed_mono, :left)) ELSE 0.0 END,"
		" claimed_at = CASE WHEN :claims THEN :now WHEN :leaves THEN NULL ELSE claimed_at END,"
		" claimed_mono = CASE WHEN :claims THEN :mono WHEN :leaves THEN NULL ELSE claimed_mono END,"
		" seen_mono = CASE WHEN :claims THEN :mono ELSE seen_mono END,"
		" ended_kept = CASE WHEN :ends THEN :kept END,"
		" trained = CASE WHEN :claims OR :leaves THEN 0 ELSE trained END,"
		" last_seq = last_seq + 1, version = version + 1 WHERE id = :id RETURNING last_seq");
	db_bind_text(st, ":id", move->id);
	db_bind_text(st, ":status", job_status_name(move->to));
	db_bind_text(st, ":reason", move->reason);
	db_bind_text(st, ":detail", move->detail);
	db_bind_int(st, ":starts", move->to == JOB_RUNNING);
	db_bind_int(st, ":claims", move->to == JOB_RUNNING && !held(from));
	db_bind_int(st, ":leaves", leaves);
	db_bind_int(st, ":waits", move->to == JOB_QUEUED);
	db_bind_int(st, ":ends", job_status_terminal(move->to));
	db_bind_real(st, ":before", move->not_before);
	db_bind_real(st, ":left", move->left_mono > 0 ? move->left_mono : mono);
	db_bind_real(st, ":mono", mono);
	db_bind_real(st, ":kept", store_kept_now(s));
	db_bind_real(st, ":now", now);
	int64_t seq = db_step(st) ? db_int(st, "last_seq") : 0;
	db_run(st);
	return seq;
}

enum store_status job_move(struct store *s, struct db_tx *tx, const struct job_transition *move)
{
	enum job_status from;
	if (!job_present(tx, move->id, &from))
		return STORE_NOT_FOUND;
	if (!job_status_move_legal(from, move->to))
		return STORE_CONFLICT;
	double now = clock_now();
	int64_t seq = move_row(s, tx, move, from, now);
	job_status_record(tx, move, seq, now);
	if (job_status_terminal(move->to))
		job_used_dataset(s, tx, move->id);
	if (held(from) || held(move->to))
		job_look_for_asked(s, tx);
	return STORE_OK;
}

enum store_status store_job_move(
	struct store *s, const char *id, enum job_status to, const char *reason, const char *detail)
{
	struct job_transition move = {.id = id, .to = to, .reason = reason, .detail = detail};
	struct db_tx *tx = db_begin(s->db);
	return store_end(s, tx, job_move(s, tx, &move));
}

enum store_status store_job_history(struct store *s, const char *id, char **ret_json)
{
	*ret_json = NULL;
	struct db_tx *tx = db_snapshot(s->db);
	/* An aggregate over no rows is still a row: the outer WHERE makes an unknown job none. */
	struct db_stmt *st = db_query(tx,
		"SELECT (SELECT json_group_array(json_object('status', status, 'reason', reason, 'detail', detail,"
		" 'at', at)) FROM (SELECT * FROM job_status_history WHERE job_id = job.id ORDER BY seq)) AS history"
		" FROM job WHERE id = :id");
	db_bind_text(st, ":id", id);
	enum store_status status = STORE_NOT_FOUND;
	if (db_step(st)) {
		*ret_json = db_text(st, "history");
		status = STORE_OK;
	}
	return store_end(s, tx, status);
}
