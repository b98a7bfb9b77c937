/*
 * predict.c - predictions with a job's best checkpoint, also while it trains: on values in the body, or on samples of a
 * data set that is here already.
 */
#include <stdlib.h>
#include <string.h>

#include "api/checkpoint.h"
#include "api/dataset.h"
#include "api/handlers.h"
#include "api/job.h"
#include "spec/spec.h"

enum { INSTANCES_MAX = 1000, PIECE_BYTES = 1 << 22 /* of samples that are in memory at once */ };

/* {"dataset":"mnist","split":"test","first":0,"count":10} */
struct selection {
	char dataset[NAME_MAX_BYTES + 1];
	int split;
	int64_t first, count;
};

static void read_selection(const json_t *body, struct problems *problems, struct selection *ret)
{
	struct spec_reader reader;
	char split[16] = "test";
	*ret = (struct selection){.split = SPLIT_TEST, .count = 10};
	if (!spec_reader_begin(&reader, body, "", problems))
		return;
	spec_read_string(&reader, "dataset", true, ret->dataset, sizeof ret->dataset);
	spec_read_string(&reader, "split", false, split, sizeof split);
	spec_read_int(&reader, "first", false, 0, INT32_MAX, &ret->first);
	spec_read_int(&reader, "count", false, 1, INSTANCES_MAX, &ret->count);
	spec_reader_end(&reader);
	if (strcmp(split, "train") == 0)
		ret->split = SPLIT_TRAIN;
	else if (strcmp(split, "test") != 0)
		problems_add(problems, ERR_UNKNOWN_NAME, "/split", "split is train or test.");
}

/* How many such rows are read at once. */
static int64_t piece_of(const struct bp_data *data)
{
	int64_t bytes = data->dtype == BP_U8 ? 1 : 4;
	for (int i = 0; i < data->shape.ndim; i++)
		bytes *= data->shape.dim[i];
	return bytes < PIECE_BYTES ? PIECE_BYTES / bytes : 1;
}

/* The lists of the next rows behind those of the rows before. */
static bool append(json_t *answer, json_t *next)
{
	const char *name;
	json_t *list;
	bool ok = next != NULL;
	json_object_foreach(next, name, list) ok = ok && json_array_extend(json_object_get(answer, name), list) == 0;
	json_decref(next);
	return ok;
}

/* Piece by piece, for a thousand samples may be more than memory. The first reads no row: it tells their size. */
static json_t *predict_rows(const struct http_request *rq, struct infer *in, const struct selection *sel,
	const struct dataset_row *row, struct problems *problems)
{
	json_t *answer = NULL;
	struct packed_rows rows;
	int64_t done = 0, piece = 0;
	bool ok = true;
	while (ok && done < sel->count) {
		int64_t left = sel->count - done;
		ok = dataset_rows(rq, row, sel->split, sel->first + done, piece < left ? piece : left, &rows);
		if (!ok) {
			problems_add(problems, ERR_UNAVAILABLE, "/dataset", "The data set's file cannot be read.");
		} else if (sel->first >= rows.total || sel->count > rows.total - sel->first) {
			ok = false;
			problems_add(problems, ERR_OUT_OF_RANGE, sel->first >= rows.total ? "/first" : "/count",
				"That split has %lld samples.", (long long)rows.total);
		} else if (piece > 0) {
			json_t *next = infer_predict_data(in, &rows.data, sel->first + done, problems);
			ok = answer ? append(answer, next) : (answer = next) != NULL;
		}
		piece = piece_of(&rows.data);
		done += rows.data.count;
		packed_rows_done(&rows);
	}
	if (!ok) {
		json_decref(answer);
		answer = NULL;
	}
	return answer;
}

static json_t *predict_selection(
	const struct http_request *rq, struct infer *in, const struct selection *sel, struct problems *problems)
{
	struct dataset_row row;
	json_t *answer = NULL;
	enum store_status st = dataset_get(rq, sel->dataset, &row);
	if (st == STORE_NOT_FOUND) {
		dataset_unknown(rq, sel->dataset, "/dataset", problems);
		return NULL;
	}
	if (st != STORE_OK) {
		problems_add(problems, ERR_INTERNAL, "", "The server's database failed.");
		return NULL;
	}
	if (!row.sha256 || strcmp(row.status, "ready") != 0)
		problems_add(
			problems, ERR_CONFLICT, "/dataset", "The data set is still being received: commit it first.");
	else
		answer = predict_rows(rq, in, sel, &row, problems);
	dataset_row_done(&row);
	return answer;
}

/* Says which weights made the answer. */
static json_t *with_checkpoint(json_t *answer, const struct checkpoint_row *row)
{
	if (answer && (json_object_set_new(answer, "job_id", json_string(row->job_id)) < 0 ||
			      json_object_set_new(answer, "checkpoint", checkpoint_json(row)) < 0)) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

static bool which_valid(const char *which)
{
	return !which || strcmp(which, "best") == 0 || strcmp(which, "last") == 0 ||
	       (which[0] && strspn(which, "0123456789") == strlen(which));
}

void api_job_predict(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	const json_t *body = http_json(rq);
	struct problems problems = {0};
	struct selection selection;
	struct job_row job;
	struct checkpoint_row row;
	http_query_only(rq, (const char *const[]){"checkpoint"}, 1, &problems);
	const char *which = http_query(rq, "checkpoint");
	if (!which_valid(which))
		problems_add(&problems, ERR_INVALID_QUERY, "checkpoint",
			"checkpoint is best, last or the number of an epoch.");
	bool selects = json_object_get(body, "dataset") != NULL;
	if (selects)
		read_selection(body, &problems, &selection);
	if (answer_refused(rq, &problems) || !job_find(rq, &job))
		return;
	struct infer *in = checkpoint_open(api, &job, which, &row, &problems);
	if (in) {
		json_t *answer = selects ? predict_selection(rq, in, &selection, &problems)
					 : infer_predict(in, body, INSTANCES_MAX, &problems);
		if (!problems_any(&problems))
			http_reply_json(rq, 200, with_checkpoint(answer, &row));
		else
			json_decref(answer);
		checkpoint_row_done(&row);
	}
	answer_refused(rq, &problems);
	infer_close(in);
	job_row_done(&job);
}
