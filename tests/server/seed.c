/* seed.c - see seed.h. */
#include "seed.h"

#include <check.h>
#include <stdio.h>

#include "base/log.h"
#include "scratch.h"

struct store *seed_open(const char *boot_id)
{
	log_level_set(LOG_WARNING);
	struct store *s = store_open(scratch_path("backpropd.db"), boot_id);
	ck_assert_ptr_nonnull(s);
	return s;
}

static const char *keep(const char *id)
{
	static char buffers[1024][ID_MAX];
	static int next;
	ck_assert_int_lt(next, 1024);
	char *kept = buffers[next++];
	snprintf(kept, ID_MAX, "%s", id);
	return kept;
}

const char *seed_dataset(struct store *s, const char *name)
{
	struct dataset_row row;
	ck_assert_int_eq(store_dataset_begin(s, "local", name, &row), STORE_OK);
	const char *id = keep(row.id);
	dataset_row_done(&row);
	ck_assert_int_eq(store_dataset_ready(s, id, "5e1f", "{\"shape\":[1,28,28]}", 1000), STORE_OK);
	return id;
}

const char *seed_job(struct store *s, const char *dataset_id, int priority)
{
	struct job_new n = {.owner = "local",
		.name = "fashion-cnn",
		.dataset_id = dataset_id,
		.model = "{\"layers\":[]}",
		.spec = "{\"training\":{}}",
		.priority = priority,
		.epochs = 10};
	struct job_row row;
	bool existing = true;
	ck_assert_int_eq(store_job_add(s, &n, &row, &existing), STORE_OK);
	ck_assert(!existing);
	const char *id = keep(row.id);
	job_row_done(&row);
	return id;
}

struct job_row seed_get(struct store *s, const char *job_id)
{
	struct job_row row;
	ck_assert_int_eq(store_job_get(s, job_id, &row), STORE_OK);
	return row;
}

enum job_status seed_status(struct store *s, const char *job_id)
{
	struct job_row row = seed_get(s, job_id);
	enum job_status status = row.status;
	job_row_done(&row);
	return status;
}

int64_t seed_append(struct store *s, const char *job_id, const char *type)
{
	int64_t seq = 0;
	ck_assert_int_eq(store_event_append(s, job_id, type, "{}", -1, NULL, NULL, &seq), STORE_OK);
	return seq;
}

void seed_execute(struct store *s, const char *sql)
{
	struct db_tx *tx = db_begin(s->db);
	db_run(db_query(tx, sql));
	ck_assert_int_eq(db_end(tx, true), DB_OK);
}

int64_t seed_count(struct store *s, const char *sql)
{
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, sql);
	ck_assert(db_step(st));
	int64_t n = db_int(st, "n");
	ck_assert_int_eq(db_end(tx, false), DB_OK);
	return n;
}
