/*
 * db.h - a small wall around SQLite: one writer, a few readers, and statements that cannot be left open.
 *
 * Only store/ comes here. All functions may be called from any thread; what begin returned belongs to the calling
 * thread until end. SQLite corrupts a WAL database in rare cases when two connections commit and checkpoint at once
 * (3.7.0 to 3.51.2), so one connection, behind a mutex, does all writes and all checkpoints; readers are read-only.
 *
 * Errors stick: after the first one in a transaction every further call on it does nothing, and end returns it. So a
 * caller binds, steps and reads straight on and looks once. Details are logged here, never given to a client.
 */
#ifndef DB_DB_H
#define DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/migrate.h"

enum db_status {
	DB_OK = 0,
	DB_TAKEN, /* a UNIQUE column has that value already */
	DB_FULL,  /* disk or quota full; nothing was changed */
	DB_ERROR  /* logged */
};

struct db;      /* the database file */
struct db_tx;   /* one transaction */
struct db_stmt; /* one statement in it */

/* Opens or creates the database and brings its schema up to date. The directory must be ours alone (base/statedir.h):
 * no second process, no network file system. NULL (logged): a newer or changed schema, not ours, no permission ... */
struct db *db_open(const char *path, const struct migration *migrations, int nmigrations);
/* Every transaction has ended; NULL is fine. False: it failed, at the last when its log was written back; the next open
 * finds what was committed in the log. */
bool db_close(struct db *db);
/* True once a sync failed or the file proved corrupt: what was acknowledged may be lost, and every write is refused
 * from then on. The daemon should stop: a retried fsync can report success for data that are gone. */
bool db_failed(const struct db *db);
/* The same from outside: a sync of another file on this disk failed. what is for the log. */
void db_fail(struct db *db, const char *what);
/* Called once when the database fails, on the thread that saw it, with user. Before other threads have the database. */
void db_on_failure(struct db *db, void (*fn)(void *user), void *user);

/* BEGIN IMMEDIATE; waits for its turn. Never NULL. */
struct db_tx *db_begin(struct db *db);
/* COMMIT if keep and nothing went wrong, else ROLLBACK. DB_OK after COMMIT: durable. Not keeping returns the first
 * error too. */
enum db_status db_end(struct db_tx *tx, bool keep);
/* A consistent snapshot to read from; waits for a free reader. Never NULL. End with db_end(tx, false). */
struct db_tx *db_snapshot(struct db *db);

/* A statement of the transaction, compiled at most once a connection, with nothing bound. sql is a literal, or one of a
 * few texts made from literals. It is reset when it runs out of rows and at db_end. */
struct db_stmt *db_query(struct db_tx *tx, const char *sql);
struct db_tx *db_tx_of(const struct db_stmt *st);
/* name is ":id". Texts are borrowed until the statement is next queried or the transaction ends. */
void db_bind_text(struct db_stmt *st, const char *name, const char *value); /* NULL binds NULL */
void db_bind_int(struct db_stmt *st, const char *name, int64_t value);
void db_bind_real(struct db_stmt *st, const char *name, double value);
/* True: there is a row. False: no more, or an error. */
bool db_step(struct db_stmt *st);
/* Runs a statement to its end; returns how many rows it changed. */
int64_t db_run(struct db_stmt *st);

/* Columns of the present row, by name. */
int64_t db_int(struct db_stmt *st, const char *column); /* NULL: 0 */
double db_real(struct db_stmt *st, const char *column); /* NULL: 0 */
char *db_text(struct db_stmt *st, const char *column);  /* heap, NULL for NULL (or out of memory, which sticks) */
void db_text_into(struct db_stmt *st, const char *column, char *ret, size_t size); /* too long is an error */

#endif
