/* stmt.c - statements of db.h: compiled once, bound and read by name, always reset. On the thread of the transaction.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "db/connection.h"

static enum db_status classify(sqlite3 *raw, int rc)
{
	if (rc == SQLITE_CONSTRAINT_UNIQUE || rc == SQLITE_CONSTRAINT_PRIMARYKEY)
		return DB_TAKEN;
	int os = sqlite3_system_errno(raw);
	if ((rc & 0xff) == SQLITE_FULL || ((rc & 0xff) == SQLITE_IOERR && (os == ENOSPC || os == EDQUOT)))
		return DB_FULL;
	return DB_ERROR;
}

void connection_note(struct db_tx *tx, int rc, const char *what)
{
	if (rc == SQLITE_OK || rc == SQLITE_ROW || rc == SQLITE_DONE)
		return;
	enum db_status status = classify(tx->raw, rc);
	if (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC || (rc & 0xff) == SQLITE_CORRUPT ||
		(rc & 0xff) == SQLITE_NOTADB)
		db_mark_failed(tx->db);
	if (status != DB_TAKEN)
		log_line(LOG_ERROR, "database: %s: %s (%d)", what, sqlite3_errmsg(tx->raw), rc);
	if (tx->status == DB_OK)
		tx->status = status;
}

/* An error that SQLite did not see: a name of ours is wrong, or memory is out. */
static void refuse(struct db_tx *tx, const char *what, const char *why)
{
	log_line(LOG_ERROR, "database: %s: %s", what, why);
	if (tx->status == DB_OK)
		tx->status = DB_ERROR;
}

static void reset(struct db_stmt *st)
{
	sqlite3_reset(st->raw);
	sqlite3_clear_bindings(st->raw);
	st->used = false;
}

void connection_reset(struct db_tx *tx)
{
	for (int i = 0; i < STMT_SLOTS; i++)
		if (tx->stmts[i].used)
			reset(&tx->stmts[i]);
}

void connection_finalize(struct db_tx *tx)
{
	for (int i = 0; i < STMT_SLOTS; i++)
		sqlite3_finalize(tx->stmts[i].raw);
}

/* The slot that holds the text, or the empty one where it belongs. FNV-1a, linear probing; never full (STMT_MAX). */
static struct db_stmt *find_slot(struct db_tx *tx, const char *sql)
{
	uint32_t hash = 2166136261u;
	for (const char *p = sql; *p; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	for (;; hash++) {
		struct db_stmt *st = &tx->stmts[hash % STMT_SLOTS];
		if (!st->raw || strcmp(sqlite3_sql(st->raw), sql) == 0)
			return st;
	}
}

struct db_stmt *db_query(struct db_tx *tx, const char *sql)
{
	tx->broken = (struct db_stmt){.tx = tx};
	if (tx->status != DB_OK)
		return &tx->broken;
	struct db_stmt *st = find_slot(tx, sql);
	if (!st->raw) {
		if (tx->nstmts == STMT_MAX)
			refuse(tx, sql, "too many different statements");
		else
			connection_note(tx,
				sqlite3_prepare_v3(tx->raw, sql, -1, SQLITE_PREPARE_PERSISTENT, &st->raw, NULL), sql);
		if (tx->status != DB_OK)
			return &tx->broken;
		tx->nstmts++;
		st->tx = tx;
	}
	reset(st);
	st->used = true;
	st->next_column = 0;
	return st;
}

struct db_tx *db_tx_of(const struct db_stmt *st)
{
	return st->tx;
}

/* The index of a parameter, 0 when an error came first. A name that is not in the text is our mistake. */
static int parameter(struct db_stmt *st, const char *name)
{
	if (!st->raw || st->tx->status != DB_OK)
		return 0;
	int i = sqlite3_bind_parameter_index(st->raw, name);
	if (i == 0)
		refuse(st->tx, name, "no such parameter");
	return i;
}

void db_bind_text(struct db_stmt *st, const char *name, const char *value)
{
	int i = parameter(st, name);
	if (i > 0)
		connection_note(st->tx, sqlite3_bind_text(st->raw, i, value, -1, SQLITE_STATIC), name);
}

void db_bind_int(struct db_stmt *st, const char *name, int64_t value)
{
	int i = parameter(st, name);
	if (i > 0)
		connection_note(st->tx, sqlite3_bind_int64(st->raw, i, value), name);
}

void db_bind_real(struct db_stmt *st, const char *name, double value)
{
	int i = parameter(st, name);
	if (i > 0)
		connection_note(st->tx, sqlite3_bind_double(st->raw, i, value), name);
}

bool db_step(struct db_stmt *st)
{
	if (!st->raw || st->tx->status != DB_OK)
		return false;
	int rc = sqlite3_step(st->raw);
	if (rc == SQLITE_ROW)
		return true;
	connection_note(st->tx, rc, sqlite3_sql(st->raw));
	reset(st);
	return false;
}

int64_t db_run(struct db_stmt *st)
{
	while (db_step(st))
		;
	return st->raw && st->tx->status == DB_OK ? sqlite3_changes64(st->tx->raw) : 0;
}

/* The index of a column of the present row, -1 when an error came first. */
static int column_find(struct db_stmt *st, const char *name)
{
	if (!st->raw || st->tx->status != DB_OK)
		return -1;
	int n = sqlite3_data_count(st->raw);
	for (int i = 0; i < n; i++) {
		int at = (st->next_column + i) % n;
		if (strcmp(sqlite3_column_name(st->raw, at), name) == 0) {
			st->next_column = at + 1;
			return at;
		}
	}
	refuse(st->tx, name, "no such column");
	return -1;
}

int64_t db_int(struct db_stmt *st, const char *column)
{
	int i = column_find(st, column);
	return i < 0 ? 0 : sqlite3_column_int64(st->raw, i);
}

double db_real(struct db_stmt *st, const char *column)
{
	int i = column_find(st, column);
	return i < 0 ? 0 : sqlite3_column_double(st->raw, i);
}

/* Borrowed until the next step; NULL for NULL. */
static const char *text_at(struct db_stmt *st, int i)
{
	if (i < 0 || sqlite3_column_type(st->raw, i) == SQLITE_NULL)
		return NULL;
	const char *text = (const char *)sqlite3_column_text(st->raw, i);
	if (!text)
		refuse(st->tx, "column", "out of memory");
	return text;
}

char *db_text(struct db_stmt *st, const char *column)
{
	const char *text = text_at(st, column_find(st, column));
	if (!text)
		return NULL;
	char *copy = strdup(text);
	if (!copy)
		refuse(st->tx, column, "out of memory");
	return copy;
}

void db_text_into(struct db_stmt *st, const char *column, char *ret, size_t size)
{
	ret[0] = '\0';
	const char *text = text_at(st, column_find(st, column));
	if (!text)
		return;
	size_t length = strlen(text);
	if (length >= size) {
		refuse(st->tx, column, "longer than expected");
		return;
	}
	memcpy(ret, text, length + 1);
}
