/* dataset.c - data sets and the files uploaded for them, as rows. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/rows.h"

void dataset_row_done(struct dataset_row *row)
{
	free(row->status);
	free(row->sha256);
	free(row->info);
	*row = (struct dataset_row){0};
}

static void read_row(struct db_stmt *st, void *row)
{
	struct dataset_row *ret = row;
	db_text_into(st, "id", ret->id, sizeof ret->id);
	db_text_into(st, "owner", ret->owner, sizeof ret->owner);
	db_text_into(st, "name", ret->name, sizeof ret->name);
	ret->status = db_text(st, "status");
	ret->sha256 = db_text(st, "sha256");
	ret->info = db_text(st, "info");
	ret->bytes = db_int(st, "bytes");
	ret->created_at = db_real(st, "created_at");
	ret->updated_at = db_real(st, "updated_at");
}

static void row_done(void *row)
{
	dataset_row_done(row);
}

static const struct row_kind dataset_kind = {.size = sizeof(struct dataset_row), .read = read_row, .done = row_done};

static void read_file(struct db_stmt *st, void *row)
{
	struct dataset_file_row *ret = row;
	db_text_into(st, "name", ret->name, sizeof ret->name);
	db_text_into(st, "stored_as", ret->stored_as, sizeof ret->stored_as);
	ret->bytes = db_int(st, "bytes");
}

static void file_done(void *row)
{
	(void)row;
}

static const struct row_kind file_kind = {
	.size = sizeof(struct dataset_file_row), .read = read_file, .done = file_done};

/* An id goes before a name: a data set may be named like another one's id. */
static enum store_status find(struct db_tx *tx, const char *owner, const char *name_or_id, struct dataset_row *ret)
{
	struct db_stmt *st = db_query(tx, "SELECT * FROM dataset WHERE id = :key OR (owner = :owner AND name = :key)"
					  " ORDER BY id = :key DESC LIMIT 1");
	db_bind_text(st, ":owner", owner);
	db_bind_text(st, ":key", name_or_id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	read_row(st, ret);
	return STORE_OK;
}

/* Whether what was added to the data set, in this transaction, leaves its owner within the limit. */
static enum store_status room_after(const struct store *s, struct db_tx *tx, const char *id)
{
	char owner[USER_MAX + 1];
	struct db_stmt *st = db_query(tx, "SELECT owner FROM dataset WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	db_text_into(st, "owner", owner, sizeof owner);
	return disk_fits(s, tx, owner, 0) ? STORE_OK : STORE_MANY;
}

/* OK while files may be added. */
static enum store_status check_receiving(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "SELECT status = 'receiving' AS receiving FROM dataset WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	return db_int(st, "receiving") ? STORE_OK : STORE_CONFLICT;
}

static void add(const struct store *s, struct db_tx *tx, const char *owner, const char *name)
{
	char id[ID_MAX];
	id_new("ds_", id, sizeof id);
	struct db_stmt *st = db_query(tx, "INSERT INTO dataset (id, owner, name, status, created_at, updated_at,"
					  " used_kept) VALUES (:id, :owner, :name, 'receiving', :now, :now, :kept)");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":owner", owner);
	db_bind_text(st, ":name", name);
	db_bind_real(st, ":now", clock_now());
	db_bind_real(st, ":kept", store_kept_now(s));
	db_run(st);
}

enum store_status store_dataset_begin(struct store *s, const char *owner, const char *name, struct dataset_row *ret)
{
	*ret = (struct dataset_row){0};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "SELECT status = 'receiving' AS receiving FROM dataset"
					  " WHERE owner = :owner AND name = :name");
	db_bind_text(st, ":owner", owner);
	db_bind_text(st, ":name", name);
	enum store_status status = STORE_OK;
	if (!db_step(st))
		add(s, tx, owner, name);
	else if (!db_int(st, "receiving"))
		status = STORE_CONFLICT;
	if (status == STORE_OK) {
		st = db_query(tx, "SELECT * FROM dataset WHERE owner = :owner AND name = :name");
		db_bind_text(st, ":owner", owner);
		db_bind_text(st, ":name", name);
		if (db_step(st))
			read_row(st, ret);
	}
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		dataset_row_done(ret);
	return status;
}

enum store_status store_dataset_file_add(
	struct store *s, const char *dataset_id, const struct dataset_file_row *file, char ret_replaced[ID_MAX])
{
	ret_replaced[0] = '\0';
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = check_receiving(tx, dataset_id);
	if (status != STORE_OK)
		return store_end(s, tx, status);
	struct db_stmt *st =
		db_query(tx, "SELECT stored_as FROM dataset_file WHERE dataset_id = :dataset AND name = :name");
	db_bind_text(st, ":dataset", dataset_id);
	db_bind_text(st, ":name", file->name);
	if (db_step(st))
		db_text_into(st, "stored_as", ret_replaced, ID_MAX);
	st = db_query(tx, "INSERT INTO dataset_file (dataset_id, name, stored_as, bytes)"
			  " VALUES (:dataset, :name, :stored_as, :bytes)"
			  " ON CONFLICT (dataset_id, name) DO UPDATE SET stored_as = :stored_as, bytes = :bytes");
	db_bind_text(st, ":dataset", dataset_id);
	db_bind_text(st, ":name", file->name);
	db_bind_text(st, ":stored_as", file->stored_as);
	db_bind_int(st, ":bytes", file->bytes);
	db_run(st);
	st = db_query(tx, "UPDATE dataset SET updated_at = :now, used_kept = :kept WHERE id = :dataset");
	db_bind_text(st, ":dataset", dataset_id);
	db_bind_real(st, ":now", clock_now());
	db_bind_real(st, ":kept", store_kept_now(s));
	db_run(st);
	status = store_end(s, tx, room_after(s, tx, dataset_id));
	if (status != STORE_OK)
		ret_replaced[0] = '\0';
	return status;
}

enum store_status store_dataset_files(
	struct store *s, const char *dataset_id, struct dataset_file_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT * FROM dataset_file WHERE dataset_id = :dataset ORDER BY name");
	db_bind_text(st, ":dataset", dataset_id);
	enum store_status status = rows_collect(s, st, &file_kind, NULL, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

enum store_status store_dataset_ready(
	struct store *s, const char *dataset_id, const char *sha256, const char *info, int64_t bytes)
{
	struct db_tx *tx = db_begin(s->db);
	enum store_status status = check_receiving(tx, dataset_id);
	if (status != STORE_OK)
		return store_end(s, tx, status);
	struct db_stmt *st = db_query(tx, "UPDATE dataset SET status = 'ready', sha256 = :sha256, info = :info,"
					  " bytes = :bytes, updated_at = :now, used_kept = :kept WHERE id = :id");
	db_bind_text(st, ":id", dataset_id);
	db_bind_text(st, ":sha256", sha256);
	db_bind_text(st, ":info", info);
	db_bind_int(st, ":bytes", bytes);
	db_bind_real(st, ":now", clock_now());
	db_bind_real(st, ":kept", store_kept_now(s));
	db_run(st);
	st = db_query(tx, "DELETE FROM dataset_file WHERE dataset_id = :id");
	db_bind_text(st, ":id", dataset_id);
	db_run(st);
	return store_end(s, tx, room_after(s, tx, dataset_id));
}

enum store_status store_dataset_get(struct store *s, const char *owner, const char *name_or_id, struct dataset_row *ret)
{
	*ret = (struct dataset_row){0};
	struct db_tx *tx = db_snapshot(s->db);
	enum store_status status = store_end(s, tx, find(tx, owner, name_or_id, ret));
	if (status != STORE_OK)
		dataset_row_done(ret);
	return status;
}

enum store_status store_dataset_list(struct store *s, struct page *page, struct dataset_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = page_query(tx,
		page->owner ? "SELECT * FROM dataset WHERE owner = :owner AND id < :after ORDER BY id DESC LIMIT :limit"
			    : "SELECT * FROM dataset WHERE id < :after ORDER BY id DESC LIMIT :limit",
		page);
	enum store_status status = rows_collect(s, st, &dataset_kind, page, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

/* Whether a job that has not ended uses it. Paused ones count: they will go on. */
static bool in_use(struct db_tx *tx, const char *id)
{
	struct db_stmt *st = db_query(tx, "SELECT 1 FROM job WHERE dataset_id = :id"
					  " AND status IN ('queued', 'running', 'pausing', 'paused', 'stopping',"
					  " 'cancelling') LIMIT 1");
	db_bind_text(st, ":id", id);
	return db_step(st);
}

enum store_status store_dataset_delete(struct store *s, const char *dataset_id, bool *ret_last)
{
	*ret_last = false;
	struct db_tx *tx = db_begin(s->db);
	if (in_use(tx, dataset_id))
		return store_end(s, tx, STORE_CONFLICT);
	struct db_stmt *st = db_query(tx, "SELECT NOT EXISTS (SELECT 1 FROM dataset AS other"
					  " WHERE other.sha256 = d.sha256 AND other.id <> d.id) AS last"
					  " FROM dataset AS d WHERE d.id = :id");
	db_bind_text(st, ":id", dataset_id);
	bool last = db_step(st) && db_int(st, "last");
	st = db_query(tx, "DELETE FROM dataset WHERE id = :id");
	db_bind_text(st, ":id", dataset_id);
	enum store_status status = store_end(s, tx, db_run(st) ? STORE_OK : STORE_NOT_FOUND);
	*ret_last = status == STORE_OK && last;
	return status;
}

/* The sweep deletes what nobody refers to, so an error must count as "somebody does". */
static bool refers(struct store *s, const char *sql, const char *value)
{
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, sql);
	db_bind_text(st, ":value", value);
	bool found = db_step(st);
	return db_end(tx, false) != DB_OK || found;
}

bool store_dataset_has_sha256(struct store *s, const char *sha256)
{
	return refers(s, "SELECT 1 FROM dataset WHERE sha256 = :value LIMIT 1", sha256);
}

bool store_dataset_has_upload(struct store *s, const char *stored_as)
{
	return refers(s, "SELECT 1 FROM dataset_file WHERE stored_as = :value LIMIT 1", stored_as);
}
