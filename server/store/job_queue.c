/* job_queue.c - which job a worker gets, and what becomes of jobs whose daemon died. */
#include "store/rows.h"

enum store_status store_job_claim(struct store *s, struct job_row *ret)
{
	char id[ID_MAX];
	struct job_change change = {.id = id, .to = JOB_RUNNING};
	*ret = (struct job_row){0};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx,
		"SELECT id FROM job INDEXED BY job_queue WHERE status = 'queued' ORDER BY priority DESC, id LIMIT 1");
	if (!db_step(st))
		return store_end(s, tx, STORE_NOT_FOUND);
	db_text_into(st, "id", id, sizeof id);
	enum store_status status = job_move(s, tx, &change);
	if (status == STORE_OK) {
		st = db_query(tx, "UPDATE job SET attempt = attempt + 1, boot_id = :boot WHERE id = :id");
		db_bind_text(st, ":boot", s->boot_id);
		db_bind_text(st, ":id", id);
		db_run(st);
		status = job_row_of(tx, id, ret);
	}
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		job_row_done(ret);
	return status;
}

/* What becomes of a job whose worker is certainly dead. */
static enum job_status after_restart(const char *status)
{
	switch (job_status_find(status)) {
	case JOB_PAUSING:
		return JOB_PAUSED;
	case JOB_CANCELLING:
		return JOB_CANCELLED;
	}
	return JOB_QUEUED;
}

enum store_status store_job_requeue(struct store *s, int *ret_n)
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
		struct job_change change = {.id = id, .to = after_restart(from), .reason = "server_restart"};
		status = job_move(s, tx, &change);
		n++;
	}
	status = store_end(s, tx, status);
	*ret_n = status == STORE_OK ? n : 0;
	return status;
}
