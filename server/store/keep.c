/*
 * keep.c - how long things stay, and how much room their owners take.
 *
 * Ages are in kept time: the wall clock of the first start, carried on by the monotonic clock while the server runs and
 * over a stop by at most half a day. A wall clock that is set ten years ahead makes nothing ten years old. What goes
 * leaves as one transaction; its files are the caller's to remove after it, and what a crash leaves of them is swept
 * later.
 *
 * Called by the keeper (keep/keep.c) and, for what a user takes, by the api and the workers.
 */
#include <math.h>
#include <stdlib.h>

#include "base/clock.h"
#include "store/rows.h"

enum { STOP_SECONDS_MAX = 12 * 3600 };

/* ---- kept time ---------------------------------------------------------------------------------------- */

static void write_kept(struct db_tx *tx, double kept, double wall)
{
	struct db_stmt *st = db_query(tx, "UPDATE keep SET kept = :kept, wall = :wall");
	db_bind_real(st, ":kept", kept);
	db_bind_real(st, ":wall", wall);
	db_run(st);
}

bool kept_open(struct store *s)
{
	double wall = clock_now(), kept = wall;
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st = db_query(tx, "SELECT kept, wall FROM keep WHERE kept > 0");
	if (db_step(st))
		kept = db_real(st, "kept") + fmin(fmax(wall - db_real(st, "wall"), 0), STOP_SECONDS_MAX);
	write_kept(tx, kept, wall);
	s->kept_at_open = kept;
	s->mono_at_open = clock_mono();
	return db_end(tx, true) == DB_OK;
}

double store_kept_now(const struct store *s)
{
	return s->kept_at_open + (clock_mono() - s->mono_at_open);
}

enum store_status store_kept_note(struct store *s)
{
	struct db_tx *tx = db_begin(s->db);
	write_kept(tx, store_kept_now(s), clock_now());
	return store_end(s, tx, STORE_OK);
}

/* ---- room --------------------------------------------------------------------------------------------- */

void store_disk_limit(struct store *s, int64_t bytes_per_user)
{
	s->disk_limit = bytes_per_user;
}

static struct disk_use use_of(struct db_tx *tx, const char *owner)
{
	struct disk_use use = {0};
	struct db_stmt *st = db_query(tx, "SELECT datasets, uploads, checkpoints FROM disk_use WHERE owner = :owner");
	db_bind_text(st, ":owner", owner);
	if (db_step(st))
		use = (struct disk_use){db_int(st, "datasets"), db_int(st, "uploads"), db_int(st, "checkpoints")};
	return use;
}

bool disk_fits(const struct store *s, struct db_tx *tx, const char *owner, int64_t more)
{
	if (s->disk_limit == 0)
		return true;
	struct disk_use use = use_of(tx, owner);
	return use.datasets + use.uploads + use.checkpoints + more <= s->disk_limit;
}

enum store_status store_disk_use(struct store *s, const char *owner, struct disk_use *ret)
{
	struct db_tx *tx = db_snapshot(s->db);
	*ret = use_of(tx, owner);
	return store_end(s, tx, STORE_OK);
}

int64_t store_disk_left(struct store *s, const char *owner)
{
	if (s->disk_limit == 0)
		return INT64_MAX;
	struct db_tx *tx = db_snapshot(s->db);
	struct disk_use use = use_of(tx, owner);
	if (store_end(s, tx, STORE_OK) != STORE_OK)
		return INT64_MAX;
	return s->disk_limit - use.datasets - use.uploads - use.checkpoints;
}

enum store_status store_keep_resume(struct store *s, int *ret_n)
{
	enum store_status status = STORE_OK;
	int n = 0;
	struct db_tx *tx = db_begin(s->db);
	while (status == STORE_OK) {
		char id[ID_MAX];
		struct db_stmt *st = db_query(tx,
			"SELECT job.id FROM job JOIN disk_use AS u ON u.owner = job.owner WHERE job.status = 'paused'"
			" AND job.status_reason = 'disk_quota'"
			" AND (:limit = 0 OR u.datasets + u.uploads + u.checkpoints < :limit) LIMIT 1");
		db_bind_int(st, ":limit", s->disk_limit);
		if (!db_step(st))
			break;
		db_text_into(st, "id", id, sizeof id);
		struct job_transition move = {.id = id, .to = JOB_QUEUED, .reason = "room_again"};
		status = job_move(s, tx, &move);
		n++;
	}
	status = store_end(s, tx, status);
	*ret_n = status == STORE_OK ? n : 0;
	return status;
}

enum store_status store_keep_disk_next(struct store *s, char id[ID_MAX], int64_t *ret_bytes)
{
	enum store_status status = STORE_NOT_FOUND;
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx,
		"SELECT id, coalesce((SELECT max(bytes) FROM checkpoint WHERE job_id = job.id),"
		" json_extract(spec, '$.plan.memory.parameters') + json_extract(spec, '$.plan.memory.optimizer_state'),"
		" 0) AS bytes FROM job WHERE status = 'paused' AND status_reason = 'disk_full' AND id > :after"
		" ORDER BY id LIMIT 1");
	db_bind_text(st, ":after", id);
	*ret_bytes = 0;
	if (db_step(st)) {
		*ret_bytes = db_int(st, "bytes");
		db_text_into(st, "id", id, ID_MAX);
		status = STORE_OK;
	}
	return store_end(s, tx, status);
}

enum store_status store_keep_disk_resume(struct store *s, const char *id)
{
	struct job_transition move = {.id = id, .to = JOB_QUEUED, .reason = "room_again"};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st =
		db_query(tx, "SELECT 1 FROM job WHERE id = :id AND status = 'paused' AND status_reason = 'disk_full'");
	db_bind_text(st, ":id", id);
	return store_end(s, tx, db_step(st) ? job_move(s, tx, &move) : STORE_CONFLICT);
}

/* ---- removing ----------------------------------------------------------------------------------------- */

static void count_removed(struct db_tx *tx, const struct keep_totals *n)
{
	struct db_stmt *st = db_query(tx, "UPDATE keep SET jobs = jobs + :jobs, weights = weights + :weights,"
					  " datasets = datasets + :datasets, uploads = uploads + :uploads,"
					  " bytes = bytes + :bytes");
	db_bind_int(st, ":jobs", n->jobs);
	db_bind_int(st, ":weights", n->weights);
	db_bind_int(st, ":datasets", n->datasets);
	db_bind_int(st, ":uploads", n->uploads);
	db_bind_int(st, ":bytes", n->bytes);
	db_run(st);
}

enum store_status store_keep_totals(struct store *s, struct keep_totals *ret)
{
	*ret = (struct keep_totals){0};
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT * FROM keep");
	if (db_step(st))
		*ret = (struct keep_totals){db_int(st, "jobs"), db_int(st, "weights"), db_int(st, "datasets"),
			db_int(st, "uploads"), db_int(st, "bytes")};
	return store_end(s, tx, STORE_OK);
}

void keep_removed_done(struct keep_removed *r)
{
	free(r->files);
	*r = (struct keep_removed){0};
}

/* Ends the transaction of a removal. */
static enum store_status removed(struct store *s, struct db_tx *tx, struct keep_removed *ret, enum store_status status)
{
	if (status == STORE_OK)
		count_removed(tx, &ret->n);
	status = store_end(s, tx, status);
	if (status != STORE_OK)
		keep_removed_done(ret);
	return status;
}

/* Files to be removed, from the rows of a statement with file and bytes. False: out of memory. */
static bool take_files(struct db_stmt *st, struct keep_removed *ret)
{
	while (db_step(st)) {
		char(*files)[KEEP_FILE_MAX] = reallocarray(ret->files, (size_t)ret->nfiles + 1, sizeof *files);
		if (!files)
			return false;
		ret->files = files;
		db_text_into(st, "file", files[ret->nfiles++], KEEP_FILE_MAX);
		ret->n.bytes += db_int(st, "bytes");
	}
	return true;
}

enum store_status store_keep_remove_job(struct store *s, double before, struct keep_removed *ret)
{
	*ret = (struct keep_removed){.n.jobs = 1};
	struct db_tx *tx = db_begin(s->db);
	struct db_stmt *st =
		db_query(tx, "SELECT id, (SELECT count(*) FROM checkpoint WHERE job_id = job.id) AS weights,"
			     " (SELECT sum(bytes) FROM checkpoint WHERE job_id = job.id) AS bytes FROM job"
			     " WHERE ended_kept < :before ORDER BY ended_kept, id LIMIT 1");
	db_bind_real(st, ":before", before);
	if (!db_step(st))
		return removed(s, tx, ret, STORE_NOT_FOUND);
	db_text_into(st, "id", ret->id, sizeof ret->id);
	ret->n.weights = db_int(st, "weights");
	ret->n.bytes = db_int(st, "bytes");
	st = db_query(tx, "DELETE FROM job WHERE id = :id");
	db_bind_text(st, ":id", ret->id);
	db_run(st);
	return removed(s, tx, ret, STORE_OK);
}

/* The longest ended job with more weights than level. */
static bool find_weights(struct db_tx *tx, double before, enum weights_kept level, char ret_id[ID_MAX])
{
	struct db_stmt *st = db_query(tx,
		level == WEIGHTS_BEST
			? "SELECT id FROM job WHERE weights_kept = 2 AND ended_kept < :before ORDER BY ended_kept, id"
			  " LIMIT 1"
			: "SELECT * FROM (SELECT id, ended_kept FROM job WHERE weights_kept = 2 AND ended_kept < "
			  ":before"
			  " ORDER BY ended_kept, id LIMIT 1) UNION ALL SELECT * FROM (SELECT id, ended_kept FROM job"
			  " WHERE weights_kept = 1 AND ended_kept < :before ORDER BY ended_kept, id LIMIT 1)"
			  " ORDER BY 2, 1 LIMIT 1");
	db_bind_real(st, ":before", before);
	if (!db_step(st))
		return false;
	db_text_into(st, "id", ret_id, ID_MAX);
	return true;
}

/* A job without a best keeps its newest. */
#define NOT_KEPT                                                                                                       \
	" FROM checkpoint WHERE job_id = :job AND (:level = 0 OR id <> coalesce("                                      \
	"(SELECT id FROM checkpoint WHERE job_id = :job AND is_best = 1),"                                             \
	" (SELECT max(id) FROM checkpoint WHERE job_id = :job)))"

enum store_status store_keep_remove_weights(
	struct store *s, double before, enum weights_kept level, struct keep_removed *ret)
{
	*ret = (struct keep_removed){0};
	struct db_tx *tx = db_begin(s->db);
	if (!find_weights(tx, before, level, ret->id))
		return removed(s, tx, ret, STORE_NOT_FOUND);
	struct db_stmt *st = db_query(tx, "SELECT file, bytes" NOT_KEPT);
	db_bind_text(st, ":job", ret->id);
	db_bind_int(st, ":level", level);
	if (!take_files(st, ret))
		return removed(s, tx, ret, STORE_ERROR);
	st = db_query(tx, "DELETE" NOT_KEPT);
	db_bind_text(st, ":job", ret->id);
	db_bind_int(st, ":level", level);
	ret->n.weights = db_run(st);
	st = db_query(tx, "UPDATE job SET weights_kept = :level, version = version + 1,"
			  " weights_removed_at = CASE WHEN :any THEN :now ELSE weights_removed_at END WHERE id = :job");
	db_bind_text(st, ":job", ret->id);
	db_bind_int(st, ":level", level);
	db_bind_int(st, ":any", ret->n.weights > 0);
	db_bind_real(st, ":now", clock_now());
	db_run(st);
	return removed(s, tx, ret, STORE_OK);
}

enum store_status store_keep_weights_bytes(struct store *s, int64_t *ret)
{
	struct db_tx *tx = db_snapshot(s->db);
	struct db_stmt *st = db_query(tx, "SELECT sum(checkpoints) AS n FROM disk_use");
	*ret = db_step(st) ? db_int(st, "n") : 0;
	return store_end(s, tx, STORE_OK);
}

/* The longest unused one; its id in ret, its packed file among the files when no other one shares it. */
static bool find_dataset(struct db_tx *tx, double before, bool ready, struct keep_removed *ret)
{
	struct db_stmt *st = db_query(
		tx, ready ? "SELECT id, sha256, bytes, NOT EXISTS (SELECT 1 FROM dataset AS other WHERE other.sha256 = "
			    "d.sha256"
			    " AND other.id <> d.id) AS last FROM dataset AS d WHERE status = 'ready' AND used_kept < "
			    ":before"
			    " AND NOT EXISTS (SELECT 1 FROM job WHERE dataset_id = d.id AND job.status IN ('queued',"
			    " 'running', 'pausing', 'paused', 'stopping', 'cancelling')) ORDER BY used_kept, id LIMIT 1"
			  : "SELECT id, '' AS sha256, 0 AS bytes, 0 AS last FROM dataset WHERE status = 'receiving'"
			    " AND used_kept < :before ORDER BY used_kept, id LIMIT 1");
	db_bind_real(st, ":before", before);
	if (!db_step(st))
		return false;
	db_text_into(st, "id", ret->id, sizeof ret->id);
	if (db_int(st, "last")) {
		ret->files = calloc(1, sizeof *ret->files);
		ret->nfiles = ret->files ? 1 : 0;
		ret->n.bytes = db_int(st, "bytes");
		if (ret->files)
			db_text_into(st, "sha256", ret->files[0], KEEP_FILE_MAX);
	}
	return true;
}

enum store_status store_keep_remove_dataset(struct store *s, double before, bool ready, struct keep_removed *ret)
{
	*ret = (struct keep_removed){.n = {.datasets = ready, .uploads = !ready}};
	struct db_tx *tx = db_begin(s->db);
	if (!find_dataset(tx, before, ready, ret))
		return removed(s, tx, ret, STORE_NOT_FOUND);
	struct db_stmt *st = db_query(tx, "SELECT stored_as AS file, bytes FROM dataset_file WHERE dataset_id = :id");
	db_bind_text(st, ":id", ret->id);
	if (!take_files(st, ret))
		return removed(s, tx, ret, STORE_ERROR);
	st = db_query(tx, "DELETE FROM dataset WHERE id = :id");
	db_bind_text(st, ":id", ret->id);
	db_run(st);
	return removed(s, tx, ret, STORE_OK);
}
