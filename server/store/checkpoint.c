/* checkpoint.c - checkpoints as rows. They are added with their event (event.c); the files are their owner's affair. */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/rows.h"

void checkpoint_row_done(struct checkpoint_row *row)
{
	free(row->file);
	free(row->metrics);
	*row = (struct checkpoint_row){0};
}

static void read_row(struct db_stmt *st, void *row)
{
	struct checkpoint_row *ret = row;
	db_text_into(st, "id", ret->id, sizeof ret->id);
	db_text_into(st, "job_id", ret->job_id, sizeof ret->job_id);
	ret->epoch = (int)db_int(st, "epoch");
	ret->step = db_int(st, "step");
	ret->file = db_text(st, "file");
	ret->bytes = db_int(st, "bytes");
	ret->metrics = db_text(st, "metrics");
	ret->is_best = db_int(st, "is_best");
	ret->created_at = db_real(st, "created_at");
	ret->is_last = db_int(st, "is_last");
}

static void row_done(void *row)
{
	checkpoint_row_done(row);
}

static const struct row_kind kind = {.size = sizeof(struct checkpoint_row), .read = read_row, .done = row_done};

#define SELECT_CHECKPOINTS                                                                                             \
	"SELECT *, id = (SELECT max(id) FROM checkpoint AS newest WHERE newest.job_id = :job) AS is_last"              \
	" FROM checkpoint WHERE job_id = :job"

enum store_status store_checkpoint_list(struct store *s, const char *job_id, struct checkpoint_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, SELECT_CHECKPOINTS " ORDER BY id DESC");
	db_bind_text(st, ":job", job_id);
	enum store_status status = rows_collect(s, st, &kind, NULL, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

/* A whole number of digits alone; false for anything else. */
static bool epoch_of(const char *text, int *ret)
{
	char *end = NULL;
	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	long value = strtol(text, &end, 10);
	*ret = (int)value;
	return !*end && !errno && value <= INT_MAX;
}

enum store_status store_checkpoint_get(
	struct store *s, const char *job_id, const char *which, struct checkpoint_row *ret)
{
	int epoch = 0;
	struct db_stmt *st = NULL;
	*ret = (struct checkpoint_row){0};
	struct db_tx *tx = db_snapshot(s->db);
	if (strcmp(which, "best") == 0) {
		st = db_query(tx, SELECT_CHECKPOINTS " AND is_best = 1");
	} else if (strcmp(which, "last") == 0) {
		st = db_query(tx, SELECT_CHECKPOINTS " ORDER BY id DESC LIMIT 1");
	} else if (epoch_of(which, &epoch)) {
		st = db_query(tx, SELECT_CHECKPOINTS " AND epoch = :epoch ORDER BY id DESC LIMIT 1");
		db_bind_int(st, ":epoch", epoch);
	} else {
		st = db_query(tx, SELECT_CHECKPOINTS " AND id = :id");
		db_bind_text(st, ":id", which);
	}
	db_bind_text(st, ":job", job_id);
	enum store_status status = STORE_NOT_FOUND;
	if (db_step(st)) {
		read_row(st, ret);
		status = STORE_OK;
	}
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		checkpoint_row_done(ret);
	return status;
}

enum store_status store_checkpoint_remove(struct store *s, const char *id)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "DELETE FROM checkpoint WHERE id = :id");
	db_bind_text(st, ":id", id);
	return store_end(s, tx, db_run(st) ? STORE_OK : STORE_NOT_FOUND);
}
