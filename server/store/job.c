/* job.c - jobs as rows: adding, reading, removing. Statuses change in job_status.c, what clients ask of a job is in
 * job_ask.c, claims are in job_queue.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/rows.h"

enum { IDEMPOTENCY_SECONDS = 24 * 3600 };

void job_row_done(struct job_row *row)
{
	free(row->status_reason);
	free(row->status_detail);
	free(row->dataset_sha256);
	free(row->model);
	free(row->spec);
	free(row->metrics);
	free(row->diagnosis);
	*row = (struct job_row){0};
}

static enum job_status read_status(struct db_stmt *st)
{
	char name[16];
	db_text_into(st, "status", name, sizeof name);
	int found = job_status_find(name);
	return found < 0 ? JOB_FAILED : (enum job_status)found; /* the table's CHECK allows only known ones */
}

static void read_row(struct db_stmt *st, void *row)
{
	struct job_row *ret = row;
	db_text_into(st, "id", ret->id, sizeof ret->id);
	db_text_into(st, "owner", ret->owner, sizeof ret->owner);
	db_text_into(st, "name", ret->name, sizeof ret->name);
	ret->status = read_status(st);
	ret->cancel_requested = ret->status == JOB_CANCELLING;
	ret->status_reason = db_text(st, "status_reason");
	ret->status_detail = db_text(st, "status_detail");
	db_text_into(st, "dataset_id", ret->dataset_id, sizeof ret->dataset_id);
	db_text_into(st, "dataset_name", ret->dataset_name, sizeof ret->dataset_name);
	ret->dataset_sha256 = db_text(st, "dataset_sha256");
	ret->model = db_text(st, "model");
	ret->spec = db_text(st, "spec");
	ret->priority = (int)db_int(st, "priority");
	ret->epochs = (int)db_int(st, "epochs");
	ret->epoch = (int)db_int(st, "epoch");
	ret->metrics = db_text(st, "metrics");
	ret->last_seq = db_int(st, "last_seq");
	ret->attempt = (int)db_int(st, "attempt");
	ret->stop_requested = db_int(st, "stop_requested");
	ret->retries = (int)db_int(st, "retries");
	ret->deaths = (int)db_int(st, "deaths");
	ret->not_before = db_real(st, "not_before");
	ret->queued_at = db_real(st, "queued_at");
	ret->threads = (int)db_int(st, "threads");
	ret->planned_bytes = db_int(st, "planned_bytes");
	ret->epoch_seconds = db_real(st, "epoch_seconds");
	ret->max_seconds = db_real(st, "max_seconds");
	ret->claimed_at = db_real(st, "claimed_at");
	ret->claimed_mono = db_real(st, "claimed_mono");
	ret->trained = db_int(st, "trained");
	ret->weights_kept = (enum weights_kept)db_int(st, "weights_kept");
	ret->weights_removed_at = db_real(st, "weights_removed_at");
	ret->runtime_seconds = db_real(st, "runtime_seconds");
	ret->lr = db_real(st, "lr");
	ret->asked_lr = db_real(st, "asked_lr");
	ret->asked_epochs = (int)db_int(st, "asked_epochs");
	ret->diagnosis = db_text(st, "diagnosis");
	ret->created_at = db_real(st, "created_at");
	ret->started_at = db_real(st, "started_at");
	ret->finished_at = db_real(st, "finished_at");
	ret->version = db_int(st, "version");
}

static void row_done(void *row)
{
	job_row_done(row);
}

static const struct row_kind kind = {.size = sizeof(struct job_row), .read = read_row, .done = row_done};

enum store_status job_row_of(struct db_tx *tx, const char *id, struct job_row *ret)
{
	struct db_stmt *st = db_query(tx, "SELECT * FROM job WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	read_row(st, ret);
	return STORE_OK;
}

/* ---- adding ------------------------------------------------------------------------------------------- */

static bool insert(struct db_tx *tx, const struct job_new *n, const char *id, double now)
{
	struct db_stmt *st = db_query(tx,
		"INSERT INTO job (id, owner, name, status, dataset_id, dataset_name, dataset_sha256, model, spec,"
		" priority, epochs, last_seq, created_at, queued_at, threads, planned_bytes, epoch_seconds, "
		"max_seconds)"
		" SELECT :id, :owner, :name, 'queued', d.id, d.name, d.sha256, :model, :spec, :priority, :epochs, 1,"
		" :now, :now, :threads, :bytes, nullif(:seconds, 0.0), nullif(:max, 0.0)"
		" FROM dataset AS d WHERE d.id = :dataset AND d.status = 'ready'");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":owner", n->owner);
	db_bind_text(st, ":name", n->name ? n->name : "");
	db_bind_text(st, ":dataset", n->dataset_id);
	db_bind_text(st, ":model", n->model);
	db_bind_text(st, ":spec", n->spec);
	db_bind_int(st, ":priority", n->priority);
	db_bind_int(st, ":epochs", n->epochs);
	db_bind_int(st, ":threads", n->threads);
	db_bind_int(st, ":bytes", n->planned_bytes);
	db_bind_real(st, ":seconds", n->epoch_seconds);
	db_bind_real(st, ":max", n->max_seconds);
	db_bind_real(st, ":now", now);
	if (db_run(st) == 0)
		return false;
	struct job_transition move = {.id = id, .to = JOB_QUEUED};
	job_status_record(tx, &move, 1, now);
	return true;
}

/* The job that a key has made already: OK, CONFLICT when by another request, NOT_FOUND when the key is new. */
static enum store_status key_find(struct db_tx *tx, const struct job_new *n, char ret_job[ID_MAX])
{
	char sha256[72];
	struct db_stmt *st = db_query(tx, "SELECT request_sha256, job_id FROM idempotency"
					  " WHERE key = :owner || ' ' || :key");
	db_bind_text(st, ":owner", n->owner);
	db_bind_text(st, ":key", n->idempotency_key);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	db_text_into(st, "request_sha256", sha256, sizeof sha256);
	db_text_into(st, "job_id", ret_job, ID_MAX);
	return strcmp(sha256, n->request_sha256) == 0 ? STORE_OK : STORE_CONFLICT;
}

static void key_add(struct db_tx *tx, const struct job_new *n, const char *id, double kept)
{
	struct db_stmt *st = db_query(tx, "INSERT INTO idempotency (key, request_sha256, job_id, created_at)"
					  " VALUES (:owner || ' ' || :key, :sha256, :job, :now)");
	db_bind_text(st, ":owner", n->owner);
	db_bind_text(st, ":key", n->idempotency_key);
	db_bind_text(st, ":sha256", n->request_sha256);
	db_bind_text(st, ":job", id);
	db_bind_real(st, ":now", kept);
	db_run(st);
}

static void keys_expire(struct db_tx *tx, double kept)
{
	struct db_stmt *st = db_query(tx, "DELETE FROM idempotency WHERE created_at < :before");
	db_bind_real(st, ":before", kept - IDEMPOTENCY_SECONDS);
	db_run(st);
}

/* Whether one more job may wait. In the transaction that adds it, so that many at once cannot pass the limits. */
static bool may_wait(struct db_tx *tx, const struct job_new *n)
{
	struct db_stmt *st =
		db_query(tx, "SELECT (SELECT n FROM job_count WHERE status = 'queued') AS n,"
			     " (SELECT count(*) FROM job WHERE owner = :owner AND status = 'queued') AS own");
	db_bind_text(st, ":owner", n->owner);
	if (!db_step(st))
		return false;
	return (n->max_queued == 0 || db_int(st, "n") < n->max_queued) &&
	       (n->max_queued_of_owner == 0 || db_int(st, "own") < n->max_queued_of_owner);
}

void job_used_dataset(const struct store *s, struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "UPDATE dataset SET used_kept = :kept"
					  " WHERE id = (SELECT dataset_id FROM job WHERE id = :job)");
	db_bind_text(st, ":job", id);
	db_bind_real(st, ":kept", store_kept_now(s));
	db_run(st);
}

static enum store_status add(
	const struct store *s, struct db_tx *tx, const struct job_new *n, char ret_id[ID_MAX], bool *ret_existing)
{
	double kept = store_kept_now(s);
	if (n->idempotency_key) {
		keys_expire(tx, kept);
		enum store_status status = key_find(tx, n, ret_id);
		*ret_existing = status == STORE_OK;
		if (status != STORE_NOT_FOUND)
			return status;
	}
	if (!may_wait(tx, n))
		return STORE_MANY;
	if (!disk_fits(s, tx, n->owner, 1))
		return STORE_MANY;
	id_new("job_", ret_id, ID_MAX);
	if (!insert(tx, n, ret_id, clock_now()))
		return STORE_NOT_FOUND;
	job_used_dataset(s, tx, ret_id);
	if (n->idempotency_key)
		key_add(tx, n, ret_id, kept);
	return STORE_OK;
}

enum store_status store_job_add(struct store *s, const struct job_new *n, struct job_row *ret, bool *ret_existing)
{
	char id[ID_MAX];
	*ret = (struct job_row){0};
	*ret_existing = false;
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = add(s, tx, n, id, ret_existing);
	if (status == STORE_OK)
		status = job_row_of(tx, id, ret);
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		job_row_done(ret);
	return status;
}

/* ---- reading ------------------------------------------------------------------------------------------ */

enum store_status store_job_get(struct store *s, const char *id, struct job_row *ret)
{
	*ret = (struct job_row){0};
	struct db_tx *tx = db_snapshot(s->db);
	enum store_status status = store_end(s, tx, job_row_of(tx, id, ret));
	if (status != STORE_OK)
		job_row_done(ret);
	return status;
}

enum store_status store_job_known(struct store *s, const char *const *ids, int n, enum job_known *ret)
{
	struct db_tx *tx = db_snapshot(s->db);
	for (int i = 0; i < n; i++) {
		enum job_status status;
		ret[i] = !job_present(tx, ids[i], &status) ? JOB_UNKNOWN
			 : job_status_terminal(status)     ? JOB_ENDED
							   : JOB_UNFINISHED;
	}
	return store_end(s, tx, STORE_OK);
}

enum store_status store_job_list(
	struct store *s, const struct job_filter *f, struct page *page, struct job_row **ret, int *ret_n)
{
	/* A condition only where it is asked for, so that the index on its column serves. */
	char sql[300];
	snprintf(sql, sizeof sql, "SELECT * FROM job WHERE id < :after%s%s%s%s ORDER BY id DESC LIMIT :limit",
		page->owner ? " AND owner = :owner" : "", f->status >= 0 ? " AND status = :status" : "",
		f->dataset ? " AND dataset_name = :dataset" : "", f->name ? " AND name = :name" : "");
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = page_query(tx, sql, page);
	if (f->status >= 0)
		db_bind_text(st, ":status", job_status_name((enum job_status)f->status));
	if (f->dataset)
		db_bind_text(st, ":dataset", f->dataset);
	if (f->name)
		db_bind_text(st, ":name", f->name);
	enum store_status status = rows_collect(s, st, &kind, page, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

enum store_status store_job_counts(struct store *s, struct job_counts *ret)
{
	*ret = (struct job_counts){0};
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT status, n FROM job_count");
	while (db_step(st))
		ret->by_status[read_status(st)] = db_int(st, "n");
	st = db_query(tx, "SELECT coalesce(sum(planned_bytes), 0) AS bytes FROM job"
			  " WHERE status IN ('running', 'pausing', 'stopping', 'cancelling')");
	if (db_step(st))
		ret->reserved_bytes = db_int(st, "bytes");
	return store_end(s, tx, STORE_OK);
}

/* ---- removing ----------------------------------------------------------------------------------------- */

enum store_status store_job_delete(struct store *s, const char *id, int64_t if_version)
{
	enum job_status present;
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = job_at_version(tx, id, if_version);
	if (status == STORE_OK && (!job_present(tx, id, &present) || !job_status_terminal(present)))
		status = STORE_CONFLICT;
	if (status != STORE_OK)
		return store_end(s, tx, status);
	struct db_stmt *st =
		db_query(tx, "DELETE FROM job WHERE id = :id"); /* events, history, checkpoints and keys go with it */
	db_bind_text(st, ":id", id);
	db_run(st);
	return store_end(s, tx, STORE_OK);
}
