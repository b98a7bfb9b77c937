/* migrate.c - see migrate.h. On the thread that opens the database, before anyone else has it. */
#include "db/migrate.h"

#include <sqlite3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/sha256.h"

#define APPLICATION_ID "1651208304" /* "bkpp" in ASCII: tells file(1) and us whose file it is */

static bool failed(sqlite3 *c, const char *what)
{
	log_line(LOG_ERROR, "database: migration: %s: %s", what, sqlite3_errmsg(c));
	return false;
}

static bool execute(sqlite3 *c, const char *sql, const char *what)
{
	return sqlite3_exec(c, sql, NULL, NULL, NULL) == SQLITE_OK || failed(c, what);
}

/* The single number that the query gives; -1 when it fails or gives none. */
static int64_t number(sqlite3 *c, const char *sql)
{
	sqlite3_stmt *st = NULL;
	int64_t value = -1;
	if (sqlite3_prepare_v2(c, sql, -1, &st, NULL) == SQLITE_OK && sqlite3_step(st) == SQLITE_ROW)
		value = sqlite3_column_int64(st, 0);
	sqlite3_finalize(st);
	return value;
}

static bool numbered(const struct migration *migrations, int n)
{
	for (int i = 0; i < n; i++) {
		if (strtol(migrations[i].name, NULL, 10) != i + 1) {
			log_line(LOG_ERROR, "database: migration %s should have number %d", migrations[i].name, i + 1);
			return false;
		}
	}
	return true;
}

/* An empty file becomes ours; any other must carry our mark. */
static bool claim_file(sqlite3 *c)
{
	if (number(c, "PRAGMA application_id") == strtoll(APPLICATION_ID, NULL, 10))
		return true;
	if (number(c, "SELECT count(*) FROM sqlite_schema") != 0) {
		log_line(LOG_ERROR, "database: the file is not a database of backpropd");
		return false;
	}
	return execute(c,
		"BEGIN IMMEDIATE;"
		"PRAGMA application_id = " APPLICATION_ID ";"
		"CREATE TABLE migration ("
		"  number     INTEGER PRIMARY KEY,"
		"  name       TEXT NOT NULL,"
		"  sha256     TEXT NOT NULL,"
		"  applied_at REAL NOT NULL"
		") STRICT;"
		"COMMIT",
		"first tables");
}

/* Whether the migrations that the database has had are the first of ours, unchanged. */
static bool verify_applied(sqlite3 *c, const struct migration *migrations, int n, int *ret_applied)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(c, "SELECT number, name, sha256 FROM migration ORDER BY number", -1, &st, NULL);
	int applied = 0;
	bool ok = rc == SQLITE_OK;
	while (ok && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		int64_t found = sqlite3_column_int64(st, 0);
		const char *name = (const char *)sqlite3_column_text(st, 1);
		const char *sum = (const char *)sqlite3_column_text(st, 2);
		char ours[SHA256_HEX] = "";
		if (found > n) {
			log_line(LOG_ERROR,
				"database: made by a newer backpropd (migration %s); this one knows %d migrations",
				name ? name : "?", n);
			ok = false;
			break;
		}
		if (found == applied + 1)
			sha256_hex(migrations[applied].sql, strlen(migrations[applied].sql), ours);
		if (!sum || strcmp(sum, ours) != 0) {
			log_line(LOG_ERROR, "database: migration %s is not the one that the database was made with",
				name ? name : "?");
			ok = false;
			break;
		}
		applied++;
	}
	if (ok && rc != SQLITE_DONE)
		ok = failed(c, "reading");
	sqlite3_finalize(st);
	*ret_applied = applied;
	return ok;
}

static bool record(sqlite3 *c, int number_, const struct migration *m)
{
	sqlite3_stmt *st = NULL;
	char sum[SHA256_HEX];
	sha256_hex(m->sql, strlen(m->sql), sum);
	bool ok = sqlite3_prepare_v2(c, "INSERT INTO migration VALUES (?, ?, ?, ?)", -1, &st, NULL) == SQLITE_OK &&
		  sqlite3_bind_int(st, 1, number_) == SQLITE_OK &&
		  sqlite3_bind_text(st, 2, m->name, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_bind_text(st, 3, sum, -1, SQLITE_STATIC) == SQLITE_OK &&
		  sqlite3_bind_double(st, 4, clock_now()) == SQLITE_OK && sqlite3_step(st) == SQLITE_DONE;
	if (!ok)
		failed(c, m->name);
	sqlite3_finalize(st);
	return ok;
}

static bool apply(sqlite3 *c, int number_, const struct migration *m)
{
	if (!execute(c, "BEGIN IMMEDIATE", m->name))
		return false;
	bool ok = execute(c, m->sql, m->name);
	if (ok && sqlite3_get_autocommit(c)) {
		log_line(LOG_ERROR, "database: migration %s must not end its transaction", m->name);
		ok = false;
	}
	/* Enforcement is off while tables are rebuilt, so the references are checked as a whole. */
	if (ok && number(c, "SELECT count(*) FROM pragma_foreign_key_check") != 0) {
		log_line(LOG_ERROR, "database: migration %s breaks references", m->name);
		ok = false;
	}
	ok = ok && record(c, number_, m) && execute(c, "COMMIT", m->name);
	if (!ok && !sqlite3_get_autocommit(c))
		sqlite3_exec(c, "ROLLBACK", NULL, NULL, NULL);
	if (ok)
		log_line(LOG_NOTICE, "database: migration %s applied", m->name);
	return ok;
}

bool migrate(sqlite3 *connection, const struct migration *migrations, int n)
{
	int applied = 0;
	if (!numbered(migrations, n) || !claim_file(connection) || !verify_applied(connection, migrations, n, &applied))
		return false;
	bool ok = execute(connection, "PRAGMA foreign_keys = OFF", "foreign_keys");
	for (int i = applied; ok && i < n; i++)
		ok = apply(connection, i + 1, &migrations[i]);
	return execute(connection, "PRAGMA foreign_keys = ON", "foreign_keys") && ok;
}
