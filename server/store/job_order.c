/*
 * job_order.c - the queue as rows become the order of share/order.h, which says who begins next and why the others
 * wait. Claims (job_queue.c), lists and single jobs all ask the same order.
 *
 * What is read of queued jobs stands in one covering index (job_waiting): their long JSON is left alone.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "store/rows.h"

/* ---- from rows ------------------------------------------------------------------------------------------ */

/* Room for one more of n, by doubling. */
static bool grow(void **list, int n, size_t size)
{
	if ((n & (n - 1)) != 0)
		return true;
	void *more = reallocarray(*list, n ? (size_t)n * 2 : 1, size);
	if (more)
		*list = more;
	return more;
}

/* The users of queued jobs by name, with what they have used and how many of their jobs run. */
static bool read_users(struct store *s, struct db_tx *tx, struct queue *q)
{
	double now = usage_now(s);
	struct order *o = &q->order;
	struct db_stmt *st = db_query(tx,
		"SELECT w.owner AS owner, u.core_seconds AS used, u.at AS at, coalesce(r.n, 0) AS running"
		" FROM (SELECT DISTINCT owner FROM job INDEXED BY job_waiting WHERE status = 'queued') AS w"
		" LEFT JOIN usage AS u ON u.user = w.owner"
		" LEFT JOIN (SELECT owner, count(*) AS n FROM job WHERE " QUEUE_HELD " GROUP BY owner) AS r"
		"  ON r.owner = w.owner ORDER BY w.owner");
	while (db_step(st)) {
		if (!grow((void **)&q->users, o->nusers, sizeof(*q->users)) ||
			!grow((void **)&o->users, o->nusers, sizeof(*o->users)))
			return false;
		db_text_into(st, "owner", q->users[o->nusers], sizeof(*q->users));
		o->users[o->nusers++] = (struct order_user){
			.core_seconds =
				order_decay(db_real(st, "used"), now - db_real(st, "at"), o->policy.halflife_seconds),
			.running = (int)db_int(st, "running")};
	}
	return true;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(a, b);
}

/* Seconds of work that are left. */
static double seconds_left(struct db_stmt *st)
{
	double epoch = db_real(st, "epoch_seconds"), max = db_real(st, "max_seconds");
	double left = epoch > 0 ? epoch * fmax((double)(db_int(st, "epochs") - db_int(st, "epoch")), 0) : NAN;
	if (max > 0)
		left = fmin(left, fmax(max - db_real(st, "runtime_seconds"), 0)); /* also of a NaN */
	return db_int(st, "stop_requested") ? 0 : left;
}

static bool read_jobs(struct db_tx *tx, struct queue *q)
{
	struct order *o = &q->order;
	struct db_stmt *st = db_query(tx,
		"SELECT id, owner, priority, created_at, queued_at, not_before, threads, planned_bytes, epoch_seconds,"
		" max_seconds, epochs, epoch, runtime_seconds, stop_requested, deaths"
		" FROM job INDEXED BY job_waiting WHERE status = 'queued' ORDER BY id");
	while (db_step(st)) {
		char owner[USER_MAX + 1];
		if (!grow((void **)&q->ids, o->n, sizeof(*q->ids)) || !grow((void **)&o->jobs, o->n, sizeof(*o->jobs)))
			return false;
		db_text_into(st, "id", q->ids[o->n], sizeof(*q->ids));
		db_text_into(st, "owner", owner, sizeof(owner));
		const void *user = bsearch(owner, q->users, (size_t)o->nusers, sizeof(*q->users), by_name);
		if (!user)
			return false; /* of the same snapshot: only when rows could not be read */
		o->jobs[o->n] = (struct order_job){.user = (int)((const char(*)[USER_MAX + 1]) user - q->users),
			.serial = o->n,
			.priority = (int)db_int(st, "priority"),
			.threads = (int)db_int(st, "threads"),
			.queued_at = db_real(st, "queued_at"),
			.not_before = db_real(st, "not_before"),
			.seconds = seconds_left(st),
			.bytes = db_int(st, "planned_bytes"),
			.deaths = (int)db_int(st, "deaths")};
		o->n++;
	}
	return true;
}

enum store_status queue_load(struct store *s, struct db_tx *tx, struct queue *ret)
{
	*ret = (struct queue){.order = {.policy = s->policy, .now = clock_now()}};
	struct db_stmt *st = db_query(tx, "SELECT count(*) AS n, coalesce(sum(planned_bytes), 0) AS bytes,"
					  " coalesce(max(deaths >= :suspect AND claimed_mono > :since), 0) AS trial,"
					  " (SELECT passed FROM lane) AS passed FROM job WHERE " QUEUE_HELD);
	db_bind_int(st, ":suspect", ORDER_SUSPECT_DEATHS);
	db_bind_real(st, ":since", clock_mono() - JOB_DEATHS_APART);
	if (db_step(st)) {
		ret->order.trial = db_int(st, "trial");
		ret->order.running = (int)db_int(st, "n");
		ret->order.bytes = db_int(st, "bytes");
		ret->order.passed = (int)db_int(st, "passed");
	}
	bool ok = read_users(s, tx, ret) && read_jobs(tx, ret) && order_queue(&ret->order);
	if (ok)
		return STORE_OK;
	queue_done(ret);
	return STORE_ERROR;
}

void queue_done(struct queue *q)
{
	free(q->ids);
	free(q->users);
	free(q->order.jobs);
	free(q->order.users);
	*q = (struct queue){0};
}

/* ---- for clients ---------------------------------------------------------------------------------------- */

static void place_of(const struct queue *q, int i, struct job_place *ret)
{
	const struct order_job *j = &q->order.jobs[i];
	*ret = (struct job_place){.position = i + 1,
		.verdict = j->verdict,
		.level = j->level,
		.fast = j->fast,
		.waited = j->waited,
		.core_seconds = q->order.users[j->user].core_seconds};
	order_explain(&q->order, j, ret->detail, sizeof(ret->detail));
}

/* The first n of the queue. */
static enum store_status read_places(struct db_tx *tx, const struct queue *q, int n, struct queued_job *ret)
{
	for (int i = 0; i < n; i++) {
		enum store_status status = job_row_of(tx, q->ids[q->order.jobs[i].serial], &ret[i].row);
		if (status != STORE_OK)
			return status;
		place_of(q, i, &ret[i].place);
	}
	return STORE_OK;
}

enum store_status store_job_queue(struct store *s, int limit, struct queued_job **ret, int *ret_n)
{
	struct queue q;
	struct queued_job *list = NULL;
	int n = 0;
	struct db_tx *tx = db_snapshot(s->db);
	enum store_status status = queue_load(s, tx, &q);
	if (status == STORE_OK) {
		n = q.order.n < limit ? q.order.n : limit;
		list = calloc((size_t)n + 1, sizeof(*list));
		status = list ? read_places(tx, &q, n, list) : STORE_ERROR;
	}
	status = store_end(s, tx, status);
	for (int i = 0; i < n && list && status != STORE_OK; i++)
		job_row_done(&list[i].row);
	if (status != STORE_OK) {
		free(list);
		list = NULL;
		n = 0;
	}
	queue_done(&q);
	*ret = list;
	*ret_n = n;
	return status;
}

enum store_status store_job_place(struct store *s, const char *id, struct job_place *ret)
{
	struct queue q;
	*ret = (struct job_place){0};
	struct db_tx *tx = db_snapshot(s->db);
	enum store_status status = store_end(s, tx, queue_load(s, tx, &q));
	int i = 0;
	if (status == STORE_OK) {
		while (i < q.order.n && strcmp(q.ids[q.order.jobs[i].serial], id) != 0)
			i++;
		if (i < q.order.n)
			place_of(&q, i, ret);
		else
			status = STORE_NOT_FOUND;
		queue_done(&q);
	}
	return status;
}
