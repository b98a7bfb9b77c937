/* event.c - the log of a job: (job, seq) dense from 1, written with what it is about, read forward from a place. */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/rows.h"

void event_row_done(struct event_row *row)
{
	free(row->type);
	free(row->data);
	*row = (struct event_row){0};
}

static void read_row(struct db_stmt *st, void *row)
{
	struct event_row *ret = row;
	ret->global_seq = db_int(st, "global_seq");
	db_text_into(st, "job_id", ret->job_id, sizeof ret->job_id);
	ret->seq = db_int(st, "seq");
	ret->type = db_text(st, "type");
	ret->data = db_text(st, "data");
	ret->created_at = db_real(st, "created_at");
}

static void row_done(void *row)
{
	event_row_done(row);
}

static const struct row_kind kind = {.size = sizeof(struct event_row), .read = read_row, .done = row_done};

static void add_checkpoint(struct db_tx *tx, const char *job_id, const struct checkpoint_new *c, double now)
{
	char id[ID_MAX];
	id_new("ckpt_", id, sizeof id);
	struct db_stmt *st = NULL;
	if (c->is_best) {
		st = db_query(tx, "UPDATE checkpoint SET is_best = 0 WHERE job_id = :job AND is_best = 1");
		db_bind_text(st, ":job", job_id);
		db_run(st);
	}
	st = db_query(tx, "INSERT INTO checkpoint (id, job_id, epoch, step, file, bytes, metrics, is_best, created_at)"
			  " VALUES (:id, :job, :epoch, :step, :file, :bytes, :metrics, :best, :now)");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":job", job_id);
	db_bind_int(st, ":epoch", c->epoch);
	db_bind_int(st, ":step", c->step);
	db_bind_text(st, ":file", c->file);
	db_bind_int(st, ":bytes", c->bytes);
	db_bind_text(st, ":metrics", c->metrics);
	db_bind_int(st, ":best", c->is_best);
	db_bind_real(st, ":now", now);
	db_run(st);
}

void event_add(struct db_tx *tx, const char *job_id, int64_t seq, const char *type, const char *data)
{
	struct db_stmt *st = db_query(tx, "INSERT INTO event (job_id, owner, seq, type, data, created_at)"
					  " SELECT id, owner, :seq, :type, :data, :now FROM job WHERE id = :job");
	db_bind_text(st, ":job", job_id);
	db_bind_int(st, ":seq", seq);
	db_bind_text(st, ":type", type);
	db_bind_text(st, ":data", data);
	db_bind_real(st, ":now", clock_now());
	db_run(st);
}

/* Than every checkpoint that the job has: one that was made again is no progress. */
static bool is_further(struct db_tx *tx, const char *job_id, int64_t step)
{
	struct db_stmt *st = db_query(tx, "SELECT 1 FROM checkpoint WHERE job_id = :job AND step >= :step LIMIT 1");
	db_bind_text(st, ":job", job_id);
	db_bind_int(st, ":step", step);
	return !db_step(st);
}

enum store_status store_event_append(struct store *s, const char *job_id, const char *type, const char *data, int epoch,
	const char *metrics, const struct checkpoint_new *ckpt, int64_t *ret_seq)
{
	*ret_seq = 0;
	struct db_tx *tx = db_begin(s->db);
	bool further = ckpt && is_further(tx, job_id, ckpt->step);
	struct db_stmt *st = db_query(tx, "UPDATE job SET last_seq = last_seq + 1, version = version + 1,"
					  " seen_mono = :mono,"
					  " epoch = CASE WHEN :epoch < 0 THEN epoch ELSE :epoch END,"
					  " retries = CASE WHEN :further THEN 0 ELSE retries END,"
					  " deaths = CASE WHEN :further THEN 0 ELSE deaths END,"
					  " metrics = coalesce(:metrics, metrics) WHERE id = :job RETURNING last_seq");
	db_bind_text(st, ":job", job_id);
	db_bind_real(st, ":mono", clock_mono());
	db_bind_int(st, ":further", further);
	db_bind_int(st, ":epoch", epoch);
	db_bind_text(st, ":metrics", metrics);
	if (!db_step(st))
		return store_end(s, tx, STORE_NOT_FOUND);
	int64_t seq = db_int(st, "last_seq");
	db_run(st);
	event_add(tx, job_id, seq, type, data);
	if (ckpt)
		add_checkpoint(tx, job_id, ckpt, clock_now());
	enum store_status status = store_end(s, tx, STORE_OK);
	if (status == STORE_OK)
		*ret_seq = seq;
	return status;
}

enum store_status store_event_list(struct store *s, const char *job_id, int64_t after, const char *type, int limit,
	struct event_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(
		tx, type ? "SELECT * FROM event WHERE job_id = :job AND seq > :after AND type = :type ORDER BY seq "
			   "LIMIT :limit"
			 : "SELECT * FROM event WHERE job_id = :job AND seq > :after ORDER BY seq LIMIT :limit");
	db_bind_text(st, ":job", job_id);
	db_bind_int(st, ":after", after);
	if (type)
		db_bind_text(st, ":type", type);
	db_bind_int(st, ":limit", limit);
	enum store_status status = rows_collect(s, st, &kind, NULL, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

enum store_status store_event_feed(struct store *s, const struct event_feed *feed, struct event_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	/* A condition only where it is asked for, so that the index on its column serves. */
	char sql[200];
	snprintf(sql, sizeof sql, "SELECT * FROM event WHERE global_seq > :after%s%s ORDER BY global_seq LIMIT :limit",
		feed->owner ? " AND owner = :owner" : "", feed->type ? " AND type = :type" : "");
	struct db_stmt *st = db_query(tx, sql);
	db_bind_int(st, ":after", feed->after);
	if (feed->owner)
		db_bind_text(st, ":owner", feed->owner);
	if (feed->type)
		db_bind_text(st, ":type", feed->type);
	db_bind_int(st, ":limit", feed->limit);
	enum store_status status = rows_collect(s, st, &kind, NULL, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}
