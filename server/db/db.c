/* db.c - connections and transactions of db.h. */
#include "db/db.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "db/connection.h"

enum {
	READERS = 4,
	BUSY_MS = 5000,        /* only a person with a sqlite3 shell can be in our way */
	FRAMES_PASSIVE = 1000, /* checkpoint what is possible without waiting */
	FRAMES_RESTART = 16000 /* readers kept the log from starting over: wait for them */
};

struct db {
	atomic_bool failed;
	void (*on_failure)(void *user);
	void *user;
	struct db_tx writer;
	pthread_mutex_t writer_lock;
	struct db_tx readers[READERS];
	struct db_tx *free_readers;
	pthread_mutex_t readers_lock;
	pthread_cond_t reader_free;
};

bool db_failed(const struct db *db)
{
	return atomic_load(&db->failed);
}

void db_mark_failed(struct db *db)
{
	if (atomic_exchange(&db->failed, true))
		return;
	log_line(LOG_ERROR, "database: unusable from here on; data may have been lost");
	if (db->on_failure)
		db->on_failure(db->user);
}

void db_fail(struct db *db, const char *what)
{
	log_line(LOG_ERROR, "%s: what was written may not be on the disk", what);
	db_mark_failed(db);
}

void db_on_failure(struct db *db, void (*fn)(void *user), void *user)
{
	db->on_failure = fn;
	db->user = user;
}

/* ---- opening ------------------------------------------------------------------------------------------ */

static bool execute(struct db_tx *tx, const char *sql)
{
	int rc = sqlite3_exec(tx->raw, sql, NULL, NULL, NULL);
	connection_note(tx, rc, sql);
	return rc == SQLITE_OK;
}

/* A reader's first read opens the log as well: now, not when a full disk or too many descriptors forbid it. */
static bool connect(struct db *db, struct db_tx *tx, const char *path, bool writes)
{
	*tx = (struct db_tx){.db = db, .writes = writes};
	int flags = writes ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
	int rc = sqlite3_open_v2(path, &tx->raw, flags | SQLITE_OPEN_NOMUTEX, NULL);
	if (rc != SQLITE_OK) {
		int os = tx->raw ? sqlite3_system_errno(tx->raw) : 0;
		log_line(LOG_ERROR, "database: cannot open %s: %s", path, os ? strerror(os) : sqlite3_errstr(rc));
		return false;
	}
	sqlite3_extended_result_codes(tx->raw, 1);
	sqlite3_busy_timeout(tx->raw, BUSY_MS);
	sqlite3_db_config(tx->raw, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(tx->raw, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
	sqlite3_db_config(tx->raw, SQLITE_DBCONFIG_DQS_DDL, 0, NULL);
	return execute(tx, "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; PRAGMA wal_autocheckpoint = 0;") &&
	       execute(tx, writes ? "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
				    "PRAGMA journal_size_limit = 67108864;"
				  : "PRAGMA query_only = ON; PRAGMA user_version;");
}

/* SQLite tells how long the log is; the checkpoint itself is run after COMMIT, where its errors are seen (the default
 * hook ignores them, a failed sync included). */
static int note_frames(void *user, sqlite3 *raw, const char *schema, int frames)
{
	(void)raw;
	(void)schema;
	((struct db_tx *)user)->wal_frames = frames;
	return SQLITE_OK;
}

/* A file system that cannot do WAL keeps its old mode without an error. */
static bool is_wal(struct db_tx *tx)
{
	struct db_stmt *st = db_query(tx, "PRAGMA journal_mode");
	char mode[16] = "";
	if (db_step(st))
		db_text_into(st, "journal_mode", mode, sizeof mode);
	connection_reset(tx);
	if (strcmp(mode, "wal") != 0)
		log_line(LOG_ERROR, "database: the journal mode is \"%s\" instead of WAL", mode);
	return strcmp(mode, "wal") == 0;
}

struct db *db_open(const char *path, const struct migration *migrations, int nmigrations)
{
	struct db *db = calloc(1, sizeof *db);
	if (!db)
		return NULL;
	pthread_mutex_init(&db->writer_lock, NULL);
	pthread_mutex_init(&db->readers_lock, NULL);
	pthread_cond_init(&db->reader_free, NULL);
	bool ok = connect(db, &db->writer, path, true) && is_wal(&db->writer) &&
		  migrate(db->writer.raw, migrations, nmigrations);
	if (ok)
		sqlite3_wal_hook(db->writer.raw, note_frames, &db->writer);
	for (int i = 0; ok && i < READERS; i++) {
		ok = connect(db, &db->readers[i], path, false);
		db->readers[i].next_free = db->free_readers;
		db->free_readers = &db->readers[i];
	}
	if (ok)
		return db;
	db_close(db);
	return NULL;
}

static void disconnect(struct db_tx *tx)
{
	connection_finalize(tx);
	int rc = sqlite3_close(tx->raw);
	if (rc != SQLITE_OK)
		log_line(LOG_ERROR, "database: close: %s", sqlite3_errstr(rc));
}

/* The log is written back here, where a failed sync is seen. After one nothing may be written back: reading the log
 * again could give other bytes than the disk has. */
static void settle(struct db *db)
{
	struct db_tx *tx = &db->writer;
	if (!tx->raw)
		return;
	int rc = SQLITE_OK;
	if (!db_failed(db)) {
		tx->status = DB_OK;
		rc = sqlite3_wal_checkpoint_v2(tx->raw, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
		connection_note(tx, rc, "last checkpoint");
	}
	if (db_failed(db) || rc != SQLITE_OK)
		sqlite3_db_config(tx->raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}

bool db_close(struct db *db)
{
	if (!db)
		return true;
	for (int i = 0; i < READERS; i++)
		disconnect(&db->readers[i]);
	settle(db);
	bool ok = !db_failed(db);
	disconnect(&db->writer); /* the last one removes the log */
	pthread_mutex_destroy(&db->writer_lock);
	pthread_mutex_destroy(&db->readers_lock);
	pthread_cond_destroy(&db->reader_free);
	free(db);
	return ok;
}

/* ---- transactions ------------------------------------------------------------------------------------- */

struct db_tx *db_begin(struct db *db)
{
	pthread_mutex_lock(&db->writer_lock);
	struct db_tx *tx = &db->writer;
	tx->status = db_failed(db) ? DB_ERROR : DB_OK;
	tx->wal_frames = 0; /* a transaction that changes nothing does not report them */
	db_run(db_query(tx, "BEGIN IMMEDIATE"));
	return tx;
}

struct db_tx *db_snapshot(struct db *db)
{
	pthread_mutex_lock(&db->readers_lock);
	while (!db->free_readers)
		pthread_cond_wait(&db->reader_free, &db->readers_lock);
	struct db_tx *tx = db->free_readers;
	db->free_readers = tx->next_free;
	pthread_mutex_unlock(&db->readers_lock);
	tx->status = DB_OK;
	db_run(db_query(tx, "BEGIN"));
	return tx;
}

static void rollback(struct db_tx *tx)
{
	if (sqlite3_get_autocommit(tx->raw)) /* never begun, or SQLite rolled back by itself */
		return;
	int rc = sqlite3_exec(tx->raw, "ROLLBACK", NULL, NULL, NULL);
	if (rc == SQLITE_NOMEM) /* for the text of seven letters */
		rc = sqlite3_exec(tx->raw, "ROLLBACK", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		log_line(LOG_ERROR, "database: ROLLBACK: %s (%d)", sqlite3_errmsg(tx->raw), rc);
}

/* What is committed is safe in the log, so a checkpoint that fails costs nothing but its failed sync. */
static void checkpoint(struct db_tx *tx)
{
	if (tx->wal_frames < FRAMES_PASSIVE)
		return;
	int mode = tx->wal_frames < FRAMES_RESTART ? SQLITE_CHECKPOINT_PASSIVE : SQLITE_CHECKPOINT_RESTART;
	int rc = sqlite3_wal_checkpoint_v2(tx->raw, NULL, mode, NULL, NULL);
	if (rc != SQLITE_OK && rc != SQLITE_BUSY)
		connection_note(tx, rc, "checkpoint");
}

enum db_status db_end(struct db_tx *tx, bool keep)
{
	struct db *db = tx->db;
	connection_reset(tx);
	bool commits = tx->writes && keep;
	if (commits)
		db_run(db_query(tx, "COMMIT"));
	rollback(tx);
	enum db_status status = tx->status;
	if (commits && status == DB_OK)
		checkpoint(tx);
	if (tx->writes) {
		pthread_mutex_unlock(&db->writer_lock);
		return status;
	}
	pthread_mutex_lock(&db->readers_lock);
	tx->next_free = db->free_readers;
	db->free_readers = tx;
	pthread_cond_signal(&db->reader_free);
	pthread_mutex_unlock(&db->readers_lock);
	return status;
}
