/* token.c - tokens as rows. A token's text never comes here, only its hash. */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/id.h"
#include "store/rows.h"

static const char *const scopes[] = {"", "read", "write", "admin"};
enum { SCOPES = sizeof scopes / sizeof scopes[0] };

const char *scope_name(enum scope scope)
{
	return scopes[scope];
}

enum scope scope_find(const char *name)
{
	for (int i = SCOPE_READ; i < SCOPES; i++)
		if (strcmp(name, scopes[i]) == 0)
			return (enum scope)i;
	return SCOPE_NONE;
}

static void read_row(struct db_stmt *st, void *row)
{
	struct token_row *ret = row;
	char scope[16];
	db_text_into(st, "id", ret->id, sizeof ret->id);
	db_text_into(st, "user", ret->user, sizeof ret->user);
	db_text_into(st, "name", ret->name, sizeof ret->name);
	db_text_into(st, "scope", scope, sizeof scope);
	ret->scope = scope_find(scope);
	ret->created_at = db_real(st, "created_at");
	ret->expires_at = db_real(st, "expires_at");
	ret->revoked_at = db_real(st, "revoked_at");
	ret->last_used_at = db_real(st, "last_used_at");
}

static void row_done(void *row)
{
	(void)row;
}

static const struct row_kind kind = {.size = sizeof(struct token_row), .read = read_row, .done = row_done};

enum store_status store_token_add(struct store *s, const struct token_new *n, struct token_row *ret)
{
	*ret = (struct token_row){0};
	char id[ID_MAX];
	id_new("tok_", id, sizeof id);
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st =
		db_query(tx, "INSERT INTO token (id, user, name, scope, sha256, created_at, expires_at)"
			     " VALUES (:id, :user, :name, :scope, :sha256, :now, nullif(:expires, 0.0)) RETURNING *");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":user", n->user);
	db_bind_text(st, ":name", n->name);
	db_bind_text(st, ":scope", scope_name(n->scope));
	db_bind_text(st, ":sha256", n->sha256);
	db_bind_real(st, ":now", clock_now());
	db_bind_real(st, ":expires", n->expires_at);
	bool added = db_step(st);
	if (added)
		read_row(st, ret);
	return store_end(s, tx, added ? STORE_OK : STORE_ERROR);
}

enum store_status store_token_find(struct store *s, const char *sha256, struct token_row *ret)
{
	*ret = (struct token_row){0};
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT * FROM token WHERE sha256 = :sha256");
	db_bind_text(st, ":sha256", sha256);
	bool found = db_step(st);
	if (found)
		read_row(st, ret);
	return store_end(s, tx, found ? STORE_OK : STORE_NOT_FOUND);
}

enum store_status store_token_list(struct store *s, struct page *page, struct token_row **ret, int *ret_n)
{
	struct rows rows;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = page_query(tx,
		page->owner ? "SELECT * FROM token WHERE user = :owner AND id < :after ORDER BY id DESC LIMIT :limit"
			    : "SELECT * FROM token WHERE id < :after ORDER BY id DESC LIMIT :limit",
		page);
	enum store_status status = rows_collect(s, st, &kind, page, &rows);
	*ret = rows.list;
	*ret_n = rows.n;
	return status;
}

enum store_status store_token_revoke(struct store *s, const char *user, const char *id)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE token SET revoked_at = coalesce(revoked_at, :now)"
					  " WHERE id = :id AND user = coalesce(:user, user)");
	db_bind_text(st, ":id", id);
	db_bind_text(st, ":user", user);
	db_bind_real(st, ":now", clock_now());
	enum store_status status = store_end(s, tx, db_run(st) ? STORE_OK : STORE_NOT_FOUND);
	if (status == STORE_OK)
		atomic_fetch_add(&s->revocations, 1);
	return status;
}

bool store_token_holds(struct store *s, const char *id)
{
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT 1 FROM token WHERE id = :id AND revoked_at IS NULL"
					  " AND (expires_at IS NULL OR expires_at > :now)");
	db_bind_text(st, ":id", id);
	db_bind_real(st, ":now", clock_now());
	bool holds = db_step(st);
	return db_end(tx, false) == DB_OK && holds;
}

unsigned store_token_revocations(const struct store *s)
{
	return atomic_load(&s->revocations);
}

enum store_status store_token_used(struct store *s, const char *id)
{
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "UPDATE token SET last_used_at = :now WHERE id = :id");
	db_bind_text(st, ":id", id);
	db_bind_real(st, ":now", clock_now());
	return store_end(s, tx, db_run(st) ? STORE_OK : STORE_NOT_FOUND);
}
