/*
 * migrate.h - numbered migrations, each applied once, in order, in one transaction. Called by db_open only.
 */
#ifndef DB_MIGRATE_H
#define DB_MIGRATE_H

#include <stdbool.h>

struct sqlite3;

struct migration {
	const char *name; /* "0001_foundation.sql"; begins with its number */
	const char *sql;
};

/*
 * Brings the database up to the last of the n migrations, which must be numbered 1..n. The table "migration" remembers
 * each with its SHA-256. False (logged) when the database is newer, when a text it was made with has changed, when it
 * is not backpropd's, or when one fails: then nothing of that one has happened.
 */
bool migrate(struct sqlite3 *connection, const struct migration *migrations, int n);

#endif
