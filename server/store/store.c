/* store.c - opening the store, and what its resources share. */
#include "store/store.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/embed.h"
#include "base/id.h"
#include "base/log.h"
#include "store/rows.h"

#define MIGRATIONS "migrations/"

/* The embedded migrations, in the order of embed.def, which is that of their numbers. */
static struct db *open_database(const char *path)
{
	int n = 0;
	struct migration *list = calloc((size_t)embedded_count(), sizeof *list);
	if (!list)
		return NULL;
	for (int i = 0; i < embedded_count(); i++) {
		struct embedded file = embedded_at(i);
		if (strncmp(file.path, MIGRATIONS, strlen(MIGRATIONS)) == 0)
			list[n++] = (struct migration){.name = file.path + strlen(MIGRATIONS), .sql = file.data};
	}
	struct db *db = db_open(path, list, n);
	free(list);
	return db;
}

/* Order is by id, so what is made after the clock was put back must still come after what there is. */
static void follow_ids(struct db_tx *tx)
{
	struct db_stmt *st = db_query(tx, "SELECT max(id) AS id FROM job UNION ALL SELECT max(id) FROM checkpoint"
					  " UNION ALL SELECT max(id) FROM dataset UNION ALL SELECT max(id) FROM model"
					  " UNION ALL SELECT max(id) FROM token");
	while (db_step(st)) {
		char *id = db_text(st, "id");
		if (id)
			id_follow(id);
		free(id);
	}
}

struct store *store_open(const char *path, const char *boot_id)
{
	if (strlen(boot_id) >= ID_MAX) {
		log_line(LOG_ERROR, "store: the boot id is too long");
		return NULL;
	}
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return NULL;
	snprintf(s->boot_id, sizeof s->boot_id, "%s", boot_id);
	s->policy = (struct order_policy){.slots = INT_MAX, .cores = 1};
	pthread_mutex_init(&s->files, NULL);
	s->db = open_database(path);
	if (s->db && !kept_open(s)) {
		db_close(s->db);
		s->db = NULL;
	}
	if (!s->db) {
		free(s);
		return NULL;
	}
	struct db_tx *tx = db_snapshot(s->db);
	job_look_for_asked(s, tx);
	usage_clock_start(s, tx);
	follow_ids(tx);
	if (db_end(tx, false) != DB_OK)
		atomic_store(&s->may_be_asked, true);
	return s;
}

void store_policy_set(struct store *s, const struct order_policy *policy)
{
	s->policy = *policy;
}

bool store_close(struct store *s)
{
	bool ok = !s || db_close(s->db);
	if (s)
		pthread_mutex_destroy(&s->files);
	free(s);
	return ok;
}

void store_files_lock(struct store *s)
{
	pthread_mutex_lock(&s->files);
}

void store_files_unlock(struct store *s)
{
	pthread_mutex_unlock(&s->files);
}

bool store_failed(const struct store *s)
{
	return db_failed(s->db);
}

void store_fail(struct store *s, const char *what)
{
	db_fail(s->db, what);
}

void store_on_failure(struct store *s, void (*fn)(void *user), void *user)
{
	db_on_failure(s->db, fn, user);
}

enum store_status store_end(struct store *s, struct db_tx *tx, enum store_status status)
{
	enum db_status rc = db_end(tx, status == STORE_OK);
	if (rc == DB_OK)
		return status;
	atomic_store(&s->may_be_asked, true); /* what a lost move said of it did not happen */
	return rc == DB_TAKEN ? STORE_CONFLICT : rc == DB_FULL ? STORE_FULL : STORE_ERROR;
}

struct db_stmt *page_query(struct db_tx *tx, const char *sql, const struct page *page)
{
	struct db_stmt *st = db_query(tx, sql);
	db_bind_text(st, ":after", page->after ? page->after : "~");
	db_bind_int(st, ":limit", page->limit + 1);
	if (page->owner)
		db_bind_text(st, ":owner", page->owner);
	return st;
}

/* Room for one more of n rows, zeroed; doubles the array. False: out of memory. */
static bool grow(struct rows *rows, size_t size)
{
	if ((rows->n & (rows->n - 1)) == 0) { /* 0, 1, 2, 4, 8 ...: full */
		void *list = reallocarray(rows->list, rows->n ? (size_t)rows->n * 2 : 1, size);
		if (!list)
			return false;
		rows->list = list;
	}
	memset((char *)rows->list + (size_t)rows->n * size, 0, size);
	return true;
}

static void drop_last(struct rows *rows, const struct row_kind *kind)
{
	rows->n--;
	kind->done((char *)rows->list + (size_t)rows->n * kind->size);
}

enum store_status rows_collect(
	struct store *s, struct db_stmt *st, const struct row_kind *kind, struct page *page, struct rows *ret)
{
	enum store_status status = STORE_OK;
	*ret = (struct rows){0};
	while (status == STORE_OK && db_step(st)) {
		if (grow(ret, kind->size)) {
			kind->read(st, (char *)ret->list + (size_t)ret->n * kind->size);
			ret->n++;
		} else {
			status = STORE_ERROR;
		}
	}
	status = store_end(s, db_tx_of(st), status);
	if (page) {
		page->has_more = ret->n > page->limit;
		if (page->has_more)
			drop_last(ret, kind);
	}
	if (status != STORE_OK) {
		while (ret->n > 0)
			drop_last(ret, kind);
		free(ret->list);
		ret->list = NULL;
	}
	return status;
}
