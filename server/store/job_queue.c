/* job_queue.c - which job a worker gets, and what becomes of jobs whose daemon died. */
#include <string.h>

#include "store/rows.h"

#include "base/clock.h"

enum { READ_AGAIN_MS = 1000 };

/* Marks the claim; a stop that was asked for before is told to the new worker. */
static enum store_status take(struct store *s, struct db_tx *tx, const char *id, struct job_row *ret)
{
	struct job_transition move = {.id = id, .to = JOB_RUNNING};
	enum store_status status = job_move(s, tx, &move);
	if (status != STORE_OK)
		return status;
	struct db_stmt *st = db_query(
		tx, "UPDATE job SET attempt = attempt + 1, boot_id = :boot WHERE id = :id RETURNING stop_requested");
	db_bind_text(st, ":boot", s->boot_id);
	db_bind_text(st, ":id", id);
	bool stops = db_step(st) && db_int(st, "stop_requested");
	db_run(st);
	move = (struct job_transition){.id = id, .to = JOB_STOPPING, .reason = "client_request"};
	if (stops)
		status = job_move(s, tx, &move);
	return status == STORE_OK ? job_row_of(tx, id, ret) : status;
}

static void note_passed(struct db_tx *tx, int passed)
{
	struct db_stmt *st = db_query(tx, "UPDATE lane SET passed = :passed WHERE passed <> :passed");
	db_bind_int(st, ":passed", passed);
	db_run(st);
}

/* The place in the order of the first that may begin now; -1: none may. */
static int first_to_begin(const struct queue *q)
{
	for (int i = 0; i < q->order.n; i++)
		if (q->order.jobs[i].verdict == ORDER_STARTING)
			return i;
	return -1;
}

enum store_status store_job_claim(struct store *s, struct job_row *ret)
{
	struct queue q;
	*ret = (struct job_row){0};
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = queue_load(s, tx, &q);
	if (status == STORE_OK) {
		atomic_store(&s->looked, q.order.now);
		int i = first_to_begin(&q);
		status = i >= 0 ? take(s, tx, q.ids[q.order.jobs[i].serial], ret) : STORE_NOT_FOUND;
		if (status == STORE_OK)
			note_passed(tx, order_passed(&q.order, &q.order.jobs[i]));
		queue_done(&q);
	}
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		job_row_done(ret);
	return status;
}

/* Whether it runs, was the last of its user's jobs to be claimed, and not the only one. */
static bool is_newest_of_several(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "SELECT mine.status = 'running' AND EXISTS (SELECT 1 FROM job AS other WHERE"
					  " other.owner = mine.owner AND other.id <> mine.id AND other." QUEUE_HELD ")"
					  " AND NOT EXISTS (SELECT 1 FROM job AS newer WHERE newer.owner = mine.owner"
					  " AND newer." QUEUE_HELD " AND (newer.claimed_mono, newer.id)"
					  " > (mine.claimed_mono, mine.id)) AS it_is FROM job AS mine WHERE id = :id");
	db_bind_text(st, ":id", id);
	return db_step(st) && db_int(st, "it_is");
}

bool store_job_gives_way(struct store *s, const char *id)
{
	struct queue q;
	bool gives = false;
	struct db_tx *tx = db_begin(s->db);
	if (is_newest_of_several(tx, id) && queue_load(s, tx, &q) == STORE_OK) {
		bool full = q.order.n > 0 && first_to_begin(&q) < 0;
		queue_done(&q);
		/* As if it were queued; nothing of this is kept. */
		struct db_stmt *st = db_query(tx, "UPDATE job SET status = 'queued', queued_at = :now WHERE id = :id");
		db_bind_real(st, ":now", clock_now());
		db_bind_text(st, ":id", id);
		db_run(st);
		if (full && queue_load(s, tx, &q) == STORE_OK) {
			int i = first_to_begin(&q);
			gives = i >= 0 && q.order.users[q.order.jobs[i].user].running == 0;
			queue_done(&q);
		}
	}
	db_end(tx, false);
	return gives;
}

/* Until a suspect has run for long enough that others may begin beside it; 0: none runs. */
static double trial_seconds(struct db_tx *tx)
{
	double now = clock_mono();
	struct db_stmt *st = db_query(tx, "SELECT coalesce(max(claimed_mono), 0.0) AS began FROM job WHERE " QUEUE_HELD
					  " AND deaths >= :suspect AND claimed_mono > :since");
	db_bind_int(st, ":suspect", ORDER_SUSPECT_DEATHS);
	db_bind_real(st, ":since", now - JOB_DEATHS_APART);
	double began = db_step(st) ? db_real(st, "began") : 0;
	return began > 0 ? began + JOB_DEATHS_APART - now : 0;
}

int store_job_next_ms(struct store *s)
{
	double now = clock_now(), looked = atomic_load(&s->looked), next = 0;
	double since = looked < now ? looked : now; /* the clock may have been put back */
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT min(not_before) AS next FROM job INDEXED BY job_waiting"
					  " WHERE status = 'queued' AND not_before > :since AND not_before <= :far");
	db_bind_real(st, ":since", since);
	db_bind_real(st, ":far", since + ORDER_RETRY_MAX_SECONDS);
	if (db_step(st))
		next = db_real(st, "next");
	double trial = trial_seconds(tx);
	if (db_end(tx, false) != DB_OK)
		return READ_AGAIN_MS;
	if (trial > 0 && (next <= 0 || now + trial < next))
		next = now + trial;
	if (next <= 0)
		return -1;
	return next <= now ? 1 : (int)((next - now) * 1000) + 1;
}

static bool is_blamed(const struct job_blamed *blamed, const char *id)
{
	for (int i = 0; i < blamed->n; i++)
		if (strcmp(blamed->ids[i], id) == 0)
			return true;
	return false;
}

/* What becomes of a job whose worker is certainly dead, and perhaps took the daemon with it. */
static struct job_transition after_death(
	struct db_tx *tx, const char *id, enum job_status from, const struct job_blamed *blamed)
{
	struct job_transition move = {.id = id, .to = JOB_QUEUED, .reason = "server_restart"};
	if (from == JOB_PAUSING)
		move.to = JOB_PAUSED;
	else if (from == JOB_CANCELLING)
		move.to = JOB_CANCELLED;
	bool again = move.to == JOB_QUEUED;
	struct db_stmt *st = db_query(tx, "UPDATE job SET retries = retries + :caused, deaths = CASE WHEN :died"
					  " AND seen_mono - claimed_mono >= :apart THEN 1 ELSE deaths + :died END"
					  " WHERE id = :id RETURNING retries, deaths, seen_mono");
	db_bind_text(st, ":id", id);
	db_bind_int(st, ":caused", again && is_blamed(blamed, id));
	db_bind_int(st, ":died", again && blamed->n == 0);
	db_bind_real(st, ":apart", JOB_DEATHS_APART);
	if (db_step(st)) {
		move.left_mono = db_real(st, "seen_mono");
		if (again && (db_int(st, "retries") > JOB_RETRIES_MAX || db_int(st, "deaths") > JOB_DEATHS_MAX)) {
			move.to = JOB_FAILED;
			move.reason = "worker_crash";
			move.detail =
				"The server died while this job ran, several times in a row without a new checkpoint.";
		}
	}
	db_run(st);
	return move;
}

enum store_status store_job_requeue(struct store *s, const struct job_blamed *blamed, int *ret_n)
{
	enum store_status status = STORE_OK;
	int n = 0;
	struct db_tx *tx = db_begin(s->db);
	while (status == STORE_OK) {
		char id[ID_MAX], from[16];
		struct db_stmt *st =
			db_query(tx, "SELECT id, status FROM job WHERE boot_id IS NOT :boot"
				     " AND status IN ('running', 'pausing', 'stopping', 'cancelling') LIMIT 1");
		db_bind_text(st, ":boot", s->boot_id);
		if (!db_step(st))
			break;
		db_text_into(st, "id", id, sizeof id);
		db_text_into(st, "status", from, sizeof from);
		struct job_transition move = after_death(tx, id, (enum job_status)job_status_find(from), blamed);
		status = job_move(s, tx, &move);
		n++;
	}
	status = store_end(s, tx, status);
	*ret_n = status == STORE_OK ? n : 0;
	return status;
}
