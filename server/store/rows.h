/* rows.h - what the files of store/ share. Nobody else includes it. */
#ifndef STORE_ROWS_H
#define STORE_ROWS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

#include "db/db.h"
#include "share/order.h"
#include "store/store.h"

struct store {
	struct db *db;
	char boot_id[ID_MAX];
	/* False: certainly no job is asked for anything, so that a worker need not look. Changed under the writer's
	 * lock. */
	atomic_bool may_be_asked;
	struct order_policy policy; /* set before others start */
	_Atomic double looked;      /* when the last claim looked at the queue, unix seconds */
	double usage_clock;         /* what usage_now adds to the monotonic clock */
	atomic_uint revocations;
	double kept_at_open, mono_at_open; /* for store_kept_now */
	int64_t disk_limit;                /* bytes of a user, 0 = any */
	pthread_mutex_t files;
};

/* Ends the transaction, keeping a write if status is STORE_OK, and returns what a caller is told: the database's error
 * if there was one, for then status was decided on missing rows. */
enum store_status store_end(struct store *s, struct db_tx *tx, enum store_status status);

/* One resource as rows. */
struct row_kind {
	size_t size;
	void (*read)(struct db_stmt *st, void *ret); /* fills a zeroed row from the present one */
	void (*done)(void *row);
};
struct rows {
	void *list; /* heap */
	int n;
};
/* A page's statement: binds :after, :limit, and :owner where the page has one. */
struct db_stmt *page_query(struct db_tx *tx, const char *sql, const struct page *page);
/* Reads every row of st and ends the transaction. With a page the statement asked for one row more than its limit:
 * that one becomes has_more. On an error there is nothing to free. */
enum store_status rows_collect(
	struct store *s, struct db_stmt *st, const struct row_kind *kind, struct page *page, struct rows *ret);

/* ---- of usage ---- */
/* Sets the clock by which usage decays, from the rows. */
void usage_clock_start(struct store *s, struct db_tx *tx);
double usage_now(const struct store *s);
/* Begins kept time. */
bool kept_open(struct store *s);
/* Whether the owner may take that many bytes more. */
bool disk_fits(const struct store *s, struct db_tx *tx, const char *owner, int64_t more);

/* ---- of jobs, inside a transaction ---- */
/* A worker has it. */
#define QUEUE_HELD "status IN ('running', 'pausing', 'stopping', 'cancelling')"
/* The queue in its order. ids by a job's serial, users by its user. */
struct queue {
	struct order order;
	char (*ids)[ID_MAX];
	char (*users)[USER_MAX + 1];
};
/* Reads and orders it; with an error there is nothing to free. */
enum store_status queue_load(struct store *s, struct db_tx *tx, struct queue *ret);
void queue_done(struct queue *q);
enum store_status job_row_of(struct db_tx *tx, const char *id, struct job_row *ret);
struct job_transition {
	const char *id;
	enum job_status to;
	const char *reason, *detail; /* or NULL */
	double not_before;           /* to queued: not claimed before; 0 = at any time */
	double left_mono;            /* when its worker let go of it, on its monotonic clock; 0 = now */
};
/* The present status; false: there is no such job. */
bool job_present(struct db_tx *tx, const char *id, enum job_status *ret);
/* OK when the job is at that version (-1: any), else STALE; NOT_FOUND. */
enum store_status job_at_version(struct db_tx *tx, const char *id, int64_t version);
/* Whether any job is asked for something; sets may_be_asked. */
void job_look_for_asked(struct store *s, struct db_tx *tx);
/* The one function through which every status goes. */
enum store_status job_move(struct store *s, struct db_tx *tx, const struct job_transition *move);
/* Writes the status of a new job, or of a move, as history and event number seq. */
void job_status_record(struct db_tx *tx, const struct job_transition *move, int64_t seq, double now);
/* The job's data set was used now. */
void job_used_dataset(const struct store *s, struct db_tx *tx, const char *id);
/* Writes event number seq of a job. */
void event_add(struct db_tx *tx, const char *job_id, int64_t seq, const char *type, const char *data);

#endif
