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

#include "base/log.h"

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

/* The loss in a checkpoint's metrics, NaN when there is none. */
static double row_loss(const struct checkpoint_row *row)
{
	json_t *obj = row->metrics ? json_loads(row->metrics, 0, NULL) : NULL;
	const json_t *v = json_object_get(obj, "val_loss");
	if (!json_is_number(v))
		v = json_object_get(obj, "loss");
	double loss = json_is_number(v) ? json_number_value(v) : NAN;
	json_decref(obj);
	return loss;
}

bool checkpoints_open(struct checkpoints *c, const struct work_context *ctx, const char *job_id, struct failure *f)
{
	*c = (struct checkpoints){.ctx = ctx, .job_id = job_id, .best = NAN};
	snprintf(c->dir, sizeof(c->dir), "%s/checkpoints/%s", ctx->state_dir, job_id);
	if (mkdir(c->dir, 0700) != 0 && errno != EEXIST) {
		log_line(LOG_ERROR, "%s: cannot make the directory of its checkpoints: %s", job_id, strerror(errno));
		failure_set(f, "checkpoint_failed", "The server could not make a directory for the job's checkpoints.");
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
			c->best = row_loss(&rows[i]);
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

bool checkpoints_restore(struct checkpoints *c, struct bp_trainer *tr, bool *ret_restored, struct failure *f)
{
	struct checkpoint_row *rows;
	int n;
	bool ok = true;
	*ret_restored = false;
	enum store_status st = store_checkpoint_list(c->ctx->store, c->job_id, &rows, &n);
	if (st != STORE_OK) {
		failure_from_store(f, st);
		return false;
	}
	for (int i = 0; i < n && ok && !*ret_restored; i++) {
		char path[PATH_MAX];
		struct bp_error err = {.message = "Its name is too long."};
		if (path_of(c, rows[i].file, path) && bp_trainer_restore(tr, path, &err) == BP_OK) {
			log_line(LOG_INFO, "%s: goes on from %s", c->job_id, rows[i].file);
			*ret_restored = true;
		} else if (err.status == BP_ENOMEM) {
			failure_from_core(f, "out_of_memory", &err);
			ok = false;
		} else {
			warn_unsound(c, &rows[i], &err);
			discard(c, &rows[i]);
			if (rows[i].is_best)
				c->best = NAN; /* the next one is better than none */
		}
	}
	rows_free(rows, n);
	return ok;
}

bool checkpoints_write(struct checkpoints *c, const struct bp_trainer *tr, bool whole, struct report_checkpoint *ckpt,
	double loss, char ret_file[CHECKPOINT_FILE_MAX], struct failure *f)
{
	char path[PATH_MAX];
	struct bp_error err = {.message = "its name is too long"};
	struct stat st;
	if (whole)
		snprintf(ret_file, CHECKPOINT_FILE_MAX, "epoch-%06d.ckpt", ckpt->epoch);
	else
		snprintf(ret_file, CHECKPOINT_FILE_MAX, "step-%012" PRId64 ".ckpt", ckpt->step);
	if (!path_of(c, ret_file, path) || bp_trainer_save(tr, path, &err) != BP_OK || stat(path, &st) != 0) {
		log_line(LOG_ERROR, "%s: cannot write %s: %s%s%s", c->job_id, ret_file, err.message,
			err.sys_errno ? ": " : "", err.sys_errno ? strerror(err.sys_errno) : "");
		failure_set(f, "checkpoint_failed", "%s",
			err.sys_errno == ENOSPC ? "The server's disk is full."
						: "The server could not write a checkpoint.");
		return false;
	}
	ckpt->bytes = st.st_size;
	ckpt->is_best = whole && (isnan(c->best) || loss < c->best);
	return true;
}

/* Keeps the newest, the newest keep_checkpoints of whole epochs, and the best. */
void checkpoints_recorded(struct checkpoints *c, const struct report_checkpoint *ckpt, double loss)
{
	struct checkpoint_row *rows;
	int n, whole = 0;
	if (ckpt->is_best)
		c->best = loss;
	if (store_checkpoint_list(c->ctx->store, c->job_id, &rows, &n) != STORE_OK)
		return;
	for (int i = 0; i < n; i++) {
		bool is_whole = strncmp(rows[i].file, "epoch-", 6) == 0;
		bool keep = i == 0 || rows[i].is_best || (is_whole && whole < c->ctx->keep_checkpoints);
		if (is_whole)
			whole++;
		if (!keep)
			discard(c, &rows[i]);
	}
	rows_free(rows, n);
}

bool checkpoints_load_best(const struct checkpoints *c, struct bp_net *net, int *ret_epoch, struct failure *f)
{
	static const char *const choices[] = {"best", "last"};
	struct bp_error err = {.message = "There is no checkpoint."};
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
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
	failure_from_core(f, "checkpoint_unusable", &err);
	return false;
}
