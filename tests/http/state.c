/* state.c - see state.h. */
#include "http/state.h"

#include <check.h>
#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/talk.h"

void state_check_log(int port, const char *job_id, int epochs)
{
	char target[160];
	long long seq = 0;
	int epoch = 0, ends = 0;
	for (bool more = true; more;) {
		snprintf(target, sizeof target, "/v1/jobs/%s/events?limit=1000&after=%lld", job_id, seq);
		json_t *page = talk_get(port, target);
		const json_t *data = talk_at(page, "data");
		for (size_t i = 0; i < json_array_size(data); i++) {
			const json_t *e = json_array_get(data, i);
			ck_assert_int_eq(talk_int(e, "seq"), ++seq);
			if (strcmp(talk_text(e, "type"), "epoch") == 0)
				ck_assert_int_eq(talk_int(e, "epoch"), ++epoch);
			if (strcmp(talk_text(e, "type"), "status") == 0)
				ends += strcmp(talk_text(e, "status"), "succeeded") == 0;
		}
		more = json_is_true(talk_at(page, "has_more"));
		json_decref(page);
	}
	ck_assert_int_eq(epoch, epochs);
	ck_assert_int_eq(ends, 1);
}

/* The first column of the first row. */
static void ask(sqlite3 *db, const char *sql, char ret[128])
{
	sqlite3_stmt *st = NULL;
	ck_assert_msg(sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK, "%s: %s", sql, sqlite3_errmsg(db));
	ck_assert_msg(sqlite3_step(st) == SQLITE_ROW, "%s: %s", sql, sqlite3_errmsg(db));
	snprintf(ret, 128, "%s", (const char *)sqlite3_column_text(st, 0));
	sqlite3_finalize(st);
}

static int count(sqlite3 *db, const char *sql, const char *name)
{
	char text[256], ret[128];
	if (name)
		snprintf(text, sizeof text, sql, name);
	ask(db, name ? text : sql, ret);
	return atoi(ret);
}

/* Every entry of a folder has so many rows, and there are as many entries as rows of all. */
static void check_folder(const struct daemon *d, sqlite3 *db, const char *folder, const char *of, const char *all)
{
	char path[256];
	int n = 0;
	DIR *dir = opendir(daemon_path(d, folder, path, sizeof path));
	ck_assert_ptr_nonnull(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		n++;
		ck_assert_msg(count(db, of, e->d_name) > 0, "%s/%s has no row", folder, e->d_name);
	}
	closedir(dir);
	ck_assert_msg(!all || n == count(db, all, NULL), "%s has %d files", folder, n);
}

static void check_checkpoints(const struct daemon *d, sqlite3 *db)
{
	char path[256], folder[160], of[160], all[160];
	DIR *dir = opendir(daemon_path(d, "checkpoints", path, sizeof path));
	ck_assert_ptr_nonnull(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(folder, sizeof folder, "checkpoints/%.63s", e->d_name);
		snprintf(of, sizeof of, "SELECT count(*) FROM checkpoint WHERE job_id = '%.63s' AND file = '%%s'",
			e->d_name);
		snprintf(all, sizeof all, "SELECT count(*) FROM checkpoint WHERE job_id = '%.63s'", e->d_name);
		check_folder(d, db, folder, of, all);
	}
	closedir(dir);
}

static void check_top(const struct daemon *d)
{
	static const char *const known[] = {"backpropd.db", "lock", "crashed", "uploads", "datasets", "checkpoints"};
	char path[256];
	DIR *dir = opendir(daemon_path(d, "", path, sizeof path));
	ck_assert_ptr_nonnull(dir);
	for (const struct dirent *e; (e = readdir(dir));) {
		bool expected = e->d_name[0] == '.';
		for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
			expected |= strcmp(e->d_name, known[i]) == 0;
		ck_assert_msg(expected, "%s was left behind", e->d_name);
	}
	closedir(dir);
}

void state_check(const struct daemon *d)
{
	char uri[300], path[256], text[128];
	sqlite3 *db = NULL;
	check_top(d);
	/* Read as it lies: nobody writes, and no log is left. */
	snprintf(uri, sizeof uri, "file:%s?immutable=1", daemon_path(d, "backpropd.db", path, sizeof path));
	ck_assert_int_eq(sqlite3_open_v2(uri, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL), SQLITE_OK);
	ask(db, "PRAGMA integrity_check", text);
	ck_assert_str_eq(text, "ok");
	ask(db, "SELECT count(*) FROM pragma_foreign_key_check", text);
	ck_assert_str_eq(text, "0");
	check_folder(d, db, "uploads", "SELECT count(*) FROM dataset_file WHERE stored_as = '%s'",
		"SELECT count(*) FROM dataset_file");
	check_folder(d, db, "datasets", "SELECT count(*) FROM dataset WHERE sha256 = '%s'",
		"SELECT count(DISTINCT sha256) FROM dataset WHERE sha256 IS NOT NULL");
	check_checkpoints(d, db);
	sqlite3_close(db);
}
