/* checkpoint.c - a job's checkpoints: the list, and the weights as a file for other programs. */
#include "api/checkpoint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/handlers.h"
#include "api/job.h"

json_t *checkpoint_json(const struct checkpoint_row *row)
{
	return json_pack("{s:s, s:s, s:s, s:i, s:I, s:I, s:b, s:b, s:o, s:o}", "object", "checkpoint", "id", row->id,
		"job_id", row->job_id, "epoch", row->epoch, "step", (json_int_t)row->step, "bytes",
		(json_int_t)row->bytes, "is_best", (int)row->is_best, "is_last", (int)row->is_last, "metrics",
		answer_stored(row->metrics), "created_at", answer_time(row->created_at));
}

static enum store_status find(struct store *s, const char *job_id, const char *which, struct checkpoint_row *ret)
{
	enum store_status st = store_checkpoint_get(s, job_id, which ? which : "best", ret);
	return st == STORE_NOT_FOUND && !which ? store_checkpoint_get(s, job_id, "last", ret) : st;
}

static void missing(const struct job_row *job, struct problems *problems)
{
	if (job->weights_removed_at > 0)
		problems_add(problems, ERR_WEIGHTS_REMOVED, "checkpoint", "%s",
			job->weights_kept == WEIGHTS_BEST
				? "The job has ended, and only its best checkpoint was kept (retain_only_best)."
				: "The job has ended long ago, and its checkpoints were removed (weights_removed_at).");
	else
		problems_add(problems, ERR_NOT_FOUND, "checkpoint", "The job has no such checkpoint.");
}

struct infer *checkpoint_open(struct api *api, const struct job_row *job, const char *which,
	struct checkpoint_row *ret_row, struct problems *problems)
{
	json_t *model = answer_stored(job->model), *spec = answer_stored(job->spec);
	struct infer *in = NULL;
	/* A running job removes old checkpoints: one that went between the row and the file is looked up again. */
	for (int attempt = 0; !in && attempt < 3; attempt++) {
		char folder[PATH_SIZE], path[PATH_SIZE];
		struct problems found = {0};
		enum store_status st = find(api->store, job->id, which, ret_row);
		if (st == STORE_NOT_FOUND)
			missing(job, &found);
		else if (st != STORE_OK)
			problems_add(&found, ERR_INTERNAL, "", "The server's database failed.");
		if (st == STORE_OK) {
			answer_path(api, "checkpoints", job->id, folder);
			if (snprintf(path, sizeof path, "%s/%s", folder, ret_row->file) < (int)sizeof path)
				in = infer_open(model, spec, path, &found);
			if (!in)
				checkpoint_row_done(ret_row);
		}
		if (!in)
			*problems = found;
		if (st != STORE_OK)
			break;
	}
	json_decref(model);
	json_decref(spec);
	return in;
}

void api_checkpoint_list(struct http_request *rq)
{
	struct job_row job;
	if (answer_query_refused(rq) || !job_find(rq, &job))
		return;
	struct checkpoint_row *rows = NULL;
	int n = 0;
	enum store_status st = store_checkpoint_list(answer_api(rq)->store, job.id, &rows, &n);
	job_row_done(&job);
	if (st != STORE_OK) {
		answer_store(rq, st, "job", "");
		return;
	}
	json_t *data = json_array();
	for (int i = 0; i < n; i++) {
		if (data && json_array_append_new(data, checkpoint_json(&rows[i])) < 0) {
			json_decref(data);
			data = NULL;
		}
		checkpoint_row_done(&rows[i]);
	}
	free(rows);
	http_reply_json(rq, 200, answer_list(data, false));
}

static void reply_file(
	struct http_request *rq, const struct infer *in, const struct checkpoint_row *row, const char *format)
{
	void *data = NULL;
	size_t size = 0;
	const char *type = NULL;
	char disposition[160];
	if (!infer_export(in, format, &data, &size, &type)) {
		http_reply_error(rq, ERR_INTERNAL, "", "The weights could not be written.");
		return;
	}
	snprintf(disposition, sizeof disposition, "attachment; filename=\"%s-epoch%d.%s\"", row->job_id, row->epoch,
		format);
	http_reply_header(rq, "Content-Disposition", disposition);
	http_reply_bytes(rq, 200, type, data, size);
}

void api_checkpoint_weights(struct http_request *rq)
{
	struct problems problems = {0};
	http_query_only(rq, (const char *const[]){"format"}, 1, &problems);
	int format = answer_query_word(rq, "format", weights_formats, WEIGHTS_FORMAT_COUNT, &problems);
	struct job_row job;
	if (answer_refused(rq, &problems) || !job_find(rq, &job))
		return;
	struct checkpoint_row row;
	struct infer *in = checkpoint_open(answer_api(rq), &job, http_segment(rq, "which"), &row, &problems);
	if (!answer_refused(rq, &problems)) {
		reply_file(rq, in, &row, weights_formats[format]);
		checkpoint_row_done(&row);
	}
	infer_close(in);
	job_row_done(&job);
}
