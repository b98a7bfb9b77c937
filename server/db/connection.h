/* connection.h - what db.c and stmt.c share: a connection with its compiled statements. Nobody else includes it. */
#ifndef DB_CONNECTION_H
#define DB_CONNECTION_H

#include <sqlite3.h>

#include "db/db.h"

enum { STMT_SLOTS = 256, STMT_MAX = 192 };

struct db_stmt {
	sqlite3_stmt *raw; /* NULL: an error came first, every call does nothing */
	struct db_tx *tx;
	bool used;       /* since begin */
	int next_column; /* where the search for a name begins: columns are mostly read in order */
};

/* One connection, held by one thread from begin to end. */
struct db_tx {
	struct db *db;
	sqlite3 *raw;
	bool writes;
	enum db_status status; /* first error since begin */
	int nstmts;
	struct db_stmt stmts[STMT_SLOTS]; /* by hash of their text */
	struct db_stmt broken;            /* given out after an error */
	struct db_tx *next_free;          /* reader not in use */
	int wal_frames;                   /* writer: in the log after the newest commit */
};

/* Logs and keeps the error rc, if it is one. Sets the database's failed flag when data may be lost. */
void connection_note(struct db_tx *tx, int rc, const char *what);
/* Resets every statement used since begin, so that none keeps a snapshot open. */
void connection_reset(struct db_tx *tx);
void connection_finalize(struct db_tx *tx);
void db_mark_failed(struct db *db);

#endif
