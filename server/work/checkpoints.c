/* checkpoints.c - see checkpoints.h. */
#include "work/checkpoints.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/jsonmem.h"
#include "base/log.h"
#include "work/history.h"

static bool path_of(const struct checkpoints *c, const char *file, char ret[PATH_MAX])
{
	int n = snprintf(ret, PATH_MAX, "%s/%s", c->dir, file);
	return n > 0 && n < PATH_MAX;
}

static void rows_free(struct checkpoint_row *rows, int n)
{
	for (int i = 0; i < n; i++)
		checkpoint_row_done(&rows[i]);
	free(rows);
}

static double score_of(const struct checkpoints *c, double value)
{
	return c->life->mode == SPEC_MODE_MAX ? -value : value;
}

/* The score in a checkpoint's metrics, NaN when there is none. */
static double row_score(const struct checkpoints *c, const struct checkpoint_row *row)
{
	json_t *obj = row->metrics ? jsonmem_loads(row->metrics, 0, NULL) : NULL;
	const json_t *v = json_object_get(obj, spec_metric_name((enum spec_metric)c->life->monitor));
	double score = json_is_number(v) ? score_of(c, json_number_value(v)) : NAN;
	json_decref(obj);
	return score;
}

double checkpoints_score(const struct checkpoints *c, const struct bp_epoch *m)
{
	return score_of(c, history_epoch(m).metric[c->life->monitor]);
}

bool checkpoints_better(const struct checkpoints *c, double score)
{
	return isnan(c->best) || score < c->best;
}

bool checkpoints_open(struct checkpoints *c, const struct work_context *ctx, const char *job_id,
	const struct spec_life *life, struct failure *f)
{
	*c = (struct checkpoints){.ctx = ctx, .job_id = job_id, .life = life, .best = NAN};
	snprintf(c->dir, sizeof(c->dir), "%s/checkpoints/%s", ctx->state_dir, job_id);
	if (mkdir(c->dir, 0700) != 0 && errno != EEXIST) {
		log_line(LOG_ERROR, "%s: cannot make the directory of its checkpoints: %s", job_id, strerror(errno));
		failure_from_errno(f, "checkpoint_failed", errno,
			"The server could not make a directory for the job's checkpoints.");
		return false;
	}
	struct checkpoint_row *rows;
	int n;
	enum store_status st = store_checkpoint_list(ctx->store, job_id, &rows, &n);
	if (st != STORE_OK) {
		failure_from_store(f, st);
		return false;
	}
	for (int i = 0; i < n; i++)
		if (rows[i].is_best)
			c->best = row_score(c, &rows[i]);
	rows_free(rows, n);
	return true;
}

/* The row goes first: a row without a file would be offered to clients. */
static void discard(const struct checkpoints *c, const struct checkpoint_row *row)
{
	char path[PATH_MAX];
	if (store_checkpoint_remove(c->ctx->store, row->id) != STORE_OK)
		return;
	if (path_of(c, row->file, path) && unlink(path) != 0 && errno != ENOENT)
		log_line(LOG_WARNING, "%s: cannot remove %s: %s", c->job_id, row->file, strerror(errno));
}

static void warn_unsound(const struct checkpoints *c, const struct checkpoint_row *row, const struct bp_error *err)
{
	char detail[400];
	snprintf(detail, sizeof(detail),
		"The checkpoint of step %" PRId64 " cannot be used (%s); the job goes on from an older one, or anew.",
		row->step, err->message);
	log_line(LOG_WARNING, "%s: %s: %s", c->job_id, row->file, err->message);
	char *data = report_warning("checkpoint_unusable", detail);
	int64_t seq;
	if (data && store_event_append(c->ctx->store, c->job_id, "warning", data, -1, NULL, NULL, &seq) == STORE_OK)
		run_ring(c->ctx, c->job_id);
	free(data);
}

/* A file that cannot be read now is looked at twice: a good one must not be given up for a passing reason. */
static enum bp_status restore(struct bp_trainer *tr, const char *path, struct bp_error *err)
{
	enum bp_status st = bp_trainer_restore(tr, path, err);
	return st == BP_EIO && err->sys_errno != ENOENT ? bp_trainer_restore(tr, path, err) : st;
}

static bool is_shortage(const struct bp_error *err)
{
	int e = err->sys_errno;
	return err->status == BP_ENOMEM || (err->status == BP_EIO && (e == EMFILE || e == ENFILE || e == ENOMEM));
}

static bool is_whole(const struct checkpoint_row *row)
{
	return strncmp(row->file, "epoch-", 6) == 0;
}

bool checkpoints_restore(
	struct checkpoints *c, struct bp_trainer *tr, bool whole, struct checkpoint_place *ret, struct failure *f)
{
	struct checkpoint_row *rows;
	int n;
	bool ok = true, spoiled = false;
	*ret = (struct checkpoint_place){.step = -1};
	enum store_status st = store_checkpoint_list(c->ctx->store, c->job_id, &rows, &n);
	if (st != STORE_OK) {
		failure_from_store(f, st);
		return false;
	}
	for (int i = 0; i < n && ok && ret->step < 0; i++) {
		char path[PATH_MAX];
		struct bp_error err = {.message = "Its name is too long."};
		if (whole && !is_whole(&rows[i])) {
			discard(c, &rows[i]);
		} else if (path_of(c, rows[i].file, path) && restore(tr, path, &err) == BP_OK) {
			log_line(LOG_INFO, "%s: goes on from %s", c->job_id, rows[i].file);
			*ret = (struct checkpoint_place){.step = rows[i].step,
				.epoch = rows[i].epoch,
				.begun = rows[i].epoch + !is_whole(&rows[i])};
		} else if (is_shortage(&err)) {
			failure_from_memory(f, err.message);
			ok = false;
		} else {
			spoiled = true;
			warn_unsound(c, &rows[i], &err);
			discard(c, &rows[i]);
			if (rows[i].is_best)
				c->best = NAN; /* the next one is better than none */
		}
	}
	ret->spoiled = spoiled && ret->step < 0;
	rows_free(rows, n);
	return ok;
}

bool checkpoints_write(struct checkpoints *c, struct bp_trainer *tr, struct checkpoint *ckpt, struct failure *f)
{
	char path[PATH_MAX];
	struct bp_error err = {.message = "its name is too long"};
	struct stat st;
	if (ckpt->kind == CHECKPOINT_EPOCH)
		snprintf(ckpt->file, sizeof(ckpt->file), "epoch-%06d.ckpt", ckpt->row.epoch);
	else
		snprintf(ckpt->file, sizeof(ckpt->file), "step-%012" PRId64 ".ckpt", ckpt->row.step);
	if (!path_of(c, ckpt->file, path) || bp_trainer_save(tr, path, &err) != BP_OK || stat(path, &st) != 0) {
		log_line(LOG_ERROR, "%s: cannot write %s: %s%s%s", c->job_id, ckpt->file, err.message,
			err.sys_errno ? ": " : "", err.sys_errno ? strerror(err.sys_errno) : "");
		if (err.status == BP_ENOMEM)
			failure_from_memory(f, "There was not enough memory to write a checkpoint.");
		else
			failure_from_errno(
				f, "checkpoint_failed", err.sys_errno, "The server could not write a checkpoint.");
		if (err.status == BP_ESYNC)
			store_fail(c->ctx->store, "a checkpoint's sync failed");
		return false;
	}
	ckpt->row.bytes = st.st_size;
	ckpt->row.is_best = ckpt->kind == CHECKPOINT_EPOCH ? checkpoints_better(c, ckpt->score)
							   : ckpt->kind == CHECKPOINT_FINAL && isnan(c->best);
	return true;
}

/* How many of the rows have a better score than this one. */
static int rank_of(const double *scores, int n, int i)
{
	int rank = 0;
	for (int k = 0; k < n; k++)
		rank += scores[k] < scores[i] || (scores[k] == scores[i] && k > i);
	return isnan(scores[i]) ? n : rank;
}

/* Keeps the newest, the newest keep_last of whole epochs, and the keep_best best. */
void checkpoints_recorded(struct checkpoints *c, const struct checkpoint *ckpt)
{
	struct checkpoint_row *rows;
	int n, whole = 0, keep_last = c->life->keep_last > 0 ? c->life->keep_last : c->ctx->keep_checkpoints;
	if (ckpt->row.is_best)
		c->best = ckpt->score;
	if (store_checkpoint_list(c->ctx->store, c->job_id, &rows, &n) != STORE_OK)
		return;
	double *scores = malloc((size_t)(n + 1) * sizeof(*scores));
	for (int i = 0; scores && i < n; i++)
		scores[i] = row_score(c, &rows[i]);
	for (int i = 0; scores && i < n; i++) {
		bool keep = i == 0 || rows[i].is_best || (is_whole(&rows[i]) && whole < keep_last) ||
			    rank_of(scores, n, i) < c->life->keep_best;
		whole += is_whole(&rows[i]);
		if (!keep)
			discard(c, &rows[i]);
	}
	free(scores);
	rows_free(rows, n);
}

bool checkpoints_load(const struct checkpoints *c, bool best, struct bp_net *net, int *ret_epoch, struct failure *f)
{
	static const char *const choices[] = {"best", "last"};
	struct bp_error err = {.message = "There is no checkpoint."};
	for (size_t i = best ? 0 : 1; i < sizeof(choices) / sizeof(choices[0]); i++) {
		struct checkpoint_row row;
		char path[PATH_MAX];
		if (store_checkpoint_get(c->ctx->store, c->job_id, choices[i], &row) != STORE_OK)
			continue;
		bool loaded = path_of(c, row.file, path) && bp_net_load(net, path, &err) == BP_OK;
		*ret_epoch = row.epoch;
		if (!loaded)
			log_line(LOG_WARNING, "%s: %s: %s", c->job_id, row.file, err.message);
		checkpoint_row_done(&row);
		if (loaded)
			return true;
	}
	if (err.status == BP_EIO)
		failure_from_errno(f, "checkpoint_unusable", err.sys_errno, "The server could not read a checkpoint.");
	else
		failure_from_core(f, "checkpoint_unusable", &err);
	return false;
}
