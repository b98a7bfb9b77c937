/* test_db.c - the wall around SQLite: errors stick, nothing stays open, and what happens when disks fail.
 */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "db/db.h"
#include "runner.h"
#include "scratch.h"

static const struct migration tables[] = {
	{"0001_tables.sql", "CREATE TABLE thing (id INTEGER PRIMARY KEY, name TEXT UNIQUE, size REAL) STRICT;"}};

static struct db *open_things(void)
{
	log_level_set(LOG_WARNING);
	return db_open(scratch_path("things.db"), tables, 1);
}

static enum db_status add(struct db *db, const char *name, bool keep)
{
	struct db_tx *tx = db_begin(db);
	struct db_stmt *st = db_query(tx, "INSERT INTO thing (name, size) VALUES (:name, 1.5)");
	db_bind_text(st, ":name", name);
	db_run(st);
	return db_end(tx, keep);
}

static int64_t count(struct db *db)
{
	struct db_tx *tx = db_snapshot(db);
	struct db_stmt *st = db_query(tx, "SELECT count(*) AS n FROM thing");
	int64_t n = db_step(st) ? db_int(st, "n") : -1;
	ck_assert_int_eq(db_end(tx, false), DB_OK);
	return n;
}

START_TEST(what_is_kept_is_read_back_and_what_is_not_is_gone)
{
	struct db *db = open_things();
	ck_assert_int_eq(add(db, "a", true), DB_OK);
	ck_assert_int_eq(add(db, "b", false), DB_OK);
	ck_assert_int_eq(add(db, NULL, true), DB_OK);
	struct db_tx *tx = db_snapshot(db);
	struct db_stmt *st = db_query(tx, "SELECT * FROM thing ORDER BY id");
	ck_assert(db_step(st));
	ck_assert_double_eq(db_real(st, "size"), 1.5); /* in any order */
	ck_assert_int_eq(db_int(st, "id"), 1);
	char *name = db_text(st, "name");
	ck_assert_str_eq(name, "a");
	free(name);
	ck_assert(db_step(st));
	ck_assert_ptr_null(db_text(st, "name"));
	ck_assert(!db_step(st));
	ck_assert_int_eq(db_end(tx, false), DB_OK);
	db_close(db);
}
END_TEST

START_TEST(an_error_sticks_and_takes_the_transaction_with_it)
{
	struct db *db = open_things();
	ck_assert_int_eq(add(db, "a", true), DB_OK);
	struct db_tx *tx = db_begin(db);
	for (int i = 0; i < 3; i++) {
		static const char *const names[] = {"b", "a", "c"};
		struct db_stmt *st = db_query(tx, "INSERT INTO thing (name) VALUES (:name)");
		db_bind_text(st, ":name", names[i]);
		ck_assert_int_eq(db_run(st), i == 0);
	}
	ck_assert_int_eq(db_end(tx, true), DB_TAKEN);
	ck_assert_int_eq(count(db), 1);
	ck_assert_int_eq(add(db, "c", true), DB_OK);
	ck_assert(!db_failed(db));
	db_close(db);
}
END_TEST

START_TEST(a_wrong_name_or_text_is_an_error_and_not_a_guess)
{
	static const char *const texts[] = {
		"SELECT * FROM absent", "SELECT id FROM thing", "SELECT id AS name FROM thing WHERE id = :id"};
	struct db *db = open_things();
	ck_assert_int_eq(add(db, "abc", true), DB_OK);
	capture_begin(2);
	for (int i = 0; i < 3; i++) {
		struct db_tx *tx = db_snapshot(db);
		struct db_stmt *st = db_query(tx, texts[i]);
		if (i == 2)
			db_bind_int(st, ":key", 1);
		if (db_step(st))
			free(db_text(st, "name"));
		ck_assert_int_eq(db_end(tx, false), DB_ERROR);
	}
	const char *text = capture_end();
	ck_assert_ptr_nonnull(strstr(text, "no such table: absent"));
	ck_assert_ptr_nonnull(strstr(text, "name: no such column"));
	ck_assert_ptr_nonnull(strstr(text, ":key: no such parameter"));
	char small[3];
	struct db_tx *tx = db_snapshot(db);
	struct db_stmt *st = db_query(tx, "SELECT name FROM thing");
	ck_assert(db_step(st));
	db_text_into(st, "name", small, sizeof small);
	ck_assert_int_eq(db_end(tx, false), DB_ERROR);
	ck_assert_str_eq(small, "");
	db_close(db);
}
END_TEST

START_TEST(a_statement_left_in_the_middle_keeps_nothing_open)
{
	struct db *db = open_things();
	add(db, "a", true);
	add(db, "b", true);
	for (int i = 0; i < 20; i++) { /* more often than there are readers */
		struct db_tx *tx = db_snapshot(db);
		ck_assert(db_step(db_query(tx, "SELECT * FROM thing")));
		ck_assert_int_eq(db_end(tx, false), DB_OK);
	}
	add(db, "c", true);
	ck_assert_int_eq(count(db), 3);
	db_close(db);
	struct stat st;
	ck_assert_int_ne(stat(scratch_path("things.db-wal"), &st), 0); /* close could remove it: no reader was left */
}
END_TEST

START_TEST(a_snapshot_does_not_see_what_comes_after)
{
	struct db *db = open_things();
	add(db, "a", true);
	struct db_tx *tx = db_snapshot(db);
	for (int i = 0; i < 2; i++) {
		struct db_stmt *st = db_query(tx, "SELECT count(*) AS n FROM thing");
		ck_assert(db_step(st));
		ck_assert_int_eq(db_int(st, "n"), 1);
		add(db, i ? "b" : "c", true);
	}
	db_end(tx, false);
	ck_assert_int_eq(count(db), 3);
	db_close(db);
}
END_TEST

START_TEST(readers_cannot_write)
{
	struct db *db = open_things();
	capture_begin(2);
	struct db_tx *tx = db_snapshot(db);
	db_run(db_query(tx, "INSERT INTO thing (name) VALUES ('x')"));
	enum db_status status = db_end(tx, false);
	capture_end();
	ck_assert_int_eq(status, DB_ERROR);
	ck_assert_int_eq(count(db), 0);
	db_close(db);
}
END_TEST

START_TEST(a_full_disk_is_said_and_nothing_is_half_written)
{
	struct db *db = open_things();
	char *big = calloc(1, 200001);
	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 200000);
	struct db_tx *tx = db_begin(db);
	db_run(db_query(tx, "PRAGMA max_page_count = 20"));
	db_end(tx, true);
	capture_begin(2);
	enum db_status status = add(db, big, true);
	capture_end();
	ck_assert_int_eq(status, DB_FULL);
	ck_assert(!db_failed(db));
	ck_assert_int_eq(count(db), 0);
	ck_assert_int_eq(add(db, "small", true), DB_OK);
	free(big);
	db_close(db);
}
END_TEST

START_TEST(the_log_starts_over_instead_of_growing)
{
	struct db *db = open_things();
	char *big = calloc(1, 400001);
	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 400000);
	for (int i = 0; i < 100; i++) { /* 40 MB through the log */
		big[i] = 'y';
		ck_assert_int_eq(add(db, big, true), DB_OK);
		struct db_tx *tx = db_begin(db);
		db_run(db_query(tx, "DELETE FROM thing"));
		ck_assert_int_eq(db_end(tx, true), DB_OK);
	}
	struct stat st;
	ck_assert_int_eq(stat(scratch_path("things.db-wal"), &st), 0);
	ck_assert_int_lt(st.st_size, 12 << 20);
	free(big);
	db_close(db);
}
END_TEST

/* ---- a file system that fails to sync: SQLite's default VFS with another xSync, for the database and for its log ----
 */
static const sqlite3_vfs *real_vfs;
static sqlite3_vfs broken_vfs;
static sqlite3_io_methods main_methods, log_methods;
static int (*real_sync)(sqlite3_file *file, int flags);
static bool break_log, break_main;

static int sync_main(sqlite3_file *file, int flags)
{
	return break_main ? SQLITE_IOERR_FSYNC : real_sync(file, flags);
}

static int sync_log(sqlite3_file *file, int flags)
{
	return break_log ? SQLITE_IOERR_FSYNC : real_sync(file, flags);
}

static int broken_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *out)
{
	int rc = real_vfs->xOpen(vfs, name, file, flags, out);
	if (rc != SQLITE_OK || !file->pMethods)
		return rc;
	bool is_main = flags & SQLITE_OPEN_MAIN_DB;
	sqlite3_io_methods *methods = is_main ? &main_methods : &log_methods;
	*methods = *file->pMethods;
	real_sync = methods->xSync;
	methods->xSync = is_main ? sync_main : sync_log;
	file->pMethods = methods;
	return rc;
}

static void use_broken_vfs(void)
{
	real_vfs = sqlite3_vfs_find(NULL);
	broken_vfs = *real_vfs;
	broken_vfs.zName = "broken";
	broken_vfs.xOpen = broken_open;
	ck_assert_int_eq(sqlite3_vfs_register(&broken_vfs, 1), SQLITE_OK);
}

START_TEST(after_a_failed_sync_nothing_is_written_any_more)
{
	use_broken_vfs();
	struct db *db = open_things();
	ck_assert_ptr_nonnull(db);
	ck_assert_int_eq(add(db, "a", true), DB_OK);
	capture_begin(2);
	break_log = true;
	enum db_status first = add(db, "b", true);
	break_log = false;
	enum db_status second = add(db, "c", true);
	const char *text = capture_end();
	ck_assert_int_eq(first, DB_ERROR);
	ck_assert_int_eq(second, DB_ERROR); /* a second sync would succeed, and prove nothing */
	ck_assert(db_failed(db));
	ck_assert_ptr_nonnull(strstr(text, "unusable"));
	ck_assert_int_eq(count(db), 1); /* reading goes on */
	db_close(db);
}
END_TEST

START_TEST(a_failed_sync_of_a_checkpoint_is_not_swallowed)
{
	use_broken_vfs();
	struct db *db = open_things();
	char *big = calloc(1, 6000001);
	ck_assert_ptr_nonnull(big);
	memset(big, 'x', 6000000);
	break_main = true;
	capture_begin(2);
	enum db_status status = add(db, big, true); /* more than a thousand pages: a checkpoint follows */
	capture_end();
	ck_assert_int_eq(status, DB_OK); /* it is in the log, which was synced */
	ck_assert(db_failed(db));
	break_main = false;
	free(big);
	db_close(db);
}
END_TEST

enum { WRITERS = 3, READER_THREADS = 6, ROUNDS = 40 };
static struct db *shared;
static atomic_int writers_left;

static void *write_pairs(void *arg)
{
	(void)arg;
	for (int i = 0; i < ROUNDS; i++) {
		struct db_tx *tx = db_begin(shared);
		db_run(db_query(tx, "INSERT INTO thing (size) VALUES (1)"));
		db_run(db_query(tx, "INSERT INTO thing (size) VALUES (-1)"));
		if (db_end(tx, true) != DB_OK)
			break;
	}
	atomic_fetch_sub(&writers_left, 1);
	return NULL;
}

static void *read_sums(void *arg)
{
	(void)arg;
	intptr_t torn = 0;
	while (atomic_load(&writers_left) > 0) {
		struct db_tx *tx = db_snapshot(shared);
		struct db_stmt *st = db_query(tx, "SELECT total(size) AS sum FROM thing");
		torn += !db_step(st) || db_real(st, "sum") != 0;
		torn += db_end(tx, false) != DB_OK;
	}
	return (void *)torn;
}

START_TEST(many_threads_write_and_read_without_torn_transactions)
{
	shared = open_things();
	atomic_store(&writers_left, WRITERS);
	pthread_t writers[WRITERS], readers[READER_THREADS];
	for (int i = 0; i < WRITERS; i++)
		pthread_create(&writers[i], NULL, write_pairs, NULL);
	for (int i = 0; i < READER_THREADS; i++)
		pthread_create(&readers[i], NULL, read_sums, NULL);
	for (int i = 0; i < WRITERS; i++)
		pthread_join(writers[i], NULL);
	for (int i = 0; i < READER_THREADS; i++) {
		void *torn = NULL;
		pthread_join(readers[i], &torn);
		ck_assert_ptr_null(torn);
	}
	ck_assert_int_eq(count(shared), 2 * WRITERS * ROUNDS);
	db_close(shared);
}
END_TEST

TEST_SUITE(db, 30)
{
	tcase_add_checked_fixture(tc, scratch_make, scratch_remove);
	tcase_add_test(tc, what_is_kept_is_read_back_and_what_is_not_is_gone);
	tcase_add_test(tc, an_error_sticks_and_takes_the_transaction_with_it);
	tcase_add_test(tc, a_wrong_name_or_text_is_an_error_and_not_a_guess);
	tcase_add_test(tc, a_statement_left_in_the_middle_keeps_nothing_open);
	tcase_add_test(tc, a_snapshot_does_not_see_what_comes_after);
	tcase_add_test(tc, readers_cannot_write);
	tcase_add_test(tc, a_full_disk_is_said_and_nothing_is_half_written);
	tcase_add_test(tc, the_log_starts_over_instead_of_growing);
	tcase_add_test(tc, after_a_failed_sync_nothing_is_written_any_more);
	tcase_add_test(tc, a_failed_sync_of_a_checkpoint_is_not_swallowed);
	tcase_add_test(tc, many_threads_write_and_read_without_torn_transactions);
}
