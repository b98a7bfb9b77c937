/* model.c - models as rows. */
#include <stdlib.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/rows.h"

void model_row_done(struct model_row *row)
{
	free(row->source);
	free(row->definition);
	free(row->summary);
	*row = (struct model_row){0};
}

static void read_row(struct db_stmt *st, void *row)
{
	struct model_row *ret = row;
	db_text_into(st, "id", ret->id, sizeof ret->id);
	db_text_into(st, "owner", ret->owner, sizeof ret->owner);
	db_text_into(st, "name", ret->name, sizeof ret->name);
	ret->source = db_text(st, "source");
	ret->definition = db_text(st, "definition");
	ret->summary = db_text(st, "summary");
	ret->created_at = db_real(st, "created_at");
}

static void row_done(void *row)
{
	model_row_done(row);
}

static const struct row_kind kind = {.size = sizeof(struct model_row), .read = read_row, .done = row_done};

static enum store_status find(struct db_tx *tx, const char *id, struct model_row *ret)
{
	struct db_stmt *st = db_query(tx, "SELECT * FROM model WHERE id = :id");
	db_bind_text(st, ":id", id);
	if (!db_step(st))
		return STORE_NOT_FOUND;
	read_row(st, ret);
	return STORE_OK;
}

enum store_status store_model_add(struct store *s, const struct model_new *n, struct model_row *ret)
{
	char id[ID_MAX];
	id_new("mdl_", id, sizeof id);
	*ret = (struct model_row){0};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "INSERT INTO model (id, owner, name, source, definition, summary, created_at)"
					  " VALUES (:id, :owner, :name, :source, :definition, :summary, :now)");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":owner", n->owner);
	db_bind_text(st, ":name", n->name);
	db_bind_text(st, ":source", n->source);
	db_bind_text(st, ":definition", n->definition);
	db_bind_text(st, ":summary", n->summary);
	db_bind_real(st, ":now", clock_now());
	db_run(st);
	enum store_status status = store_end(s, tx, find(tx, id, ret));
	if (status != STORE_OK)
		model_row_done(ret);
	return status;
}

enum store_status store_model_get(struct store *s, const char *id, struct model_row *ret)
{
	*ret = (struct model_row){0};
	struct db_tx *tx = db_snapshot(s->db);
	enum store_status status = store_end(s, tx, find(tx, id, ret));
	if (status != STORE_OK)
		model_row_done(ret);
	return status;
}

enum store_status store_model_list(struct store *s, struct page *page, struct model_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = page_query(tx,
		page->owner ? "SELECT * FROM model WHERE owner = :owner AND id < :after ORDER BY id DESC LIMIT :limit"
			    : "SELECT * FROM model WHERE id < :after ORDER BY id DESC LIMIT :limit",
		page);
	enum store_status status = rows_collect(s, st, &kind, page, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

enum store_status store_model_delete(struct store *s, const char *id)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "DELETE FROM model WHERE id = :id");
	db_bind_text(st, ":id", id);
	return store_end(s, tx, db_run(st) ? STORE_OK : STORE_NOT_FOUND);
}
