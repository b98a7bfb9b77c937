/* dataset.c - data sets: list, show, delete. Uploads are in dataset_upload.c. */
#include "api/dataset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/auth.h"
#include "api/handlers.h"
#include "base/log.h"

static json_t *files_json(const struct dataset_file_row *files, int n)
{
	json_t *list = json_array();
	for (int i = 0; i < n; i++)
		if (json_array_append_new(list,
			    json_pack("{s:s, s:I}", "name", files[i].name, "bytes", (json_int_t)files[i].bytes)) < 0) {
			json_decref(list);
			return NULL;
		}
	return list;
}

json_t *dataset_json(const struct dataset_row *row, const struct dataset_file_row *files, int nfiles)
{
	json_t *json = json_pack("{s:s, s:s, s:s, s:s, s:s, s:I, s:s?, s:o, s:o, s:o}", "object", "dataset", "id",
		row->id, "owner", row->owner, "name", row->name, "status", row->status, "bytes", (json_int_t)row->bytes,
		"sha256", row->sha256, "info", answer_stored(row->info), "created_at", answer_time(row->created_at),
		"updated_at", answer_time(row->updated_at));
	if (json && files && json_object_set_new(json, "files", files_json(files, nfiles)) < 0) {
		json_decref(json);
		return NULL;
	}
	return json;
}

enum store_status dataset_get(const struct http_request *rq, const char *name_or_id, struct dataset_row *ret)
{
	enum store_status st = store_dataset_get(answer_api(rq)->store, auth_user(rq), name_or_id, ret);
	if (st != STORE_OK || auth_sees(rq, ret->owner))
		return st;
	dataset_row_done(ret);
	return STORE_NOT_FOUND;
}

bool dataset_find(struct http_request *rq, bool ready, struct dataset_row *ret)
{
	enum store_status st = dataset_get(rq, http_segment(rq, "name"), ret);
	if (st != STORE_OK) {
		answer_store(rq, st, "data set", "");
		return false;
	}
	if (ready && strcmp(ret->status, "ready") != 0) {
		dataset_row_done(ret);
		http_reply_error(rq, ERR_CONFLICT, "", "The data set is still being received: commit it first.");
		return false;
	}
	return true;
}

void dataset_unknown(const struct http_request *rq, const char *name, const char *param, struct problems *problems)
{
	struct page page = {.limit = LIST_MAX, .owner = auth_user(rq)};
	struct dataset_row *rows = NULL;
	const char *words[LIST_MAX];
	int n = 0;
	if (store_dataset_list(answer_api(rq)->store, &page, &rows, &n) != STORE_OK)
		n = 0;
	for (int i = 0; i < n; i++)
		words[i] = rows[i].name;
	const char *near = nearest_word(name, words, n);
	if (near)
		problems_add(
			problems, ERR_UNKNOWN_NAME, param, "There is no data set '%s'. Did you mean '%s'?", name, near);
	else
		problems_add(problems, ERR_UNKNOWN_NAME, param, "There is no data set '%s'.", name);
	for (int i = 0; i < n; i++)
		dataset_row_done(&rows[i]);
	free(rows);
}

void api_dataset_list(struct http_request *rq)
{
	struct problems problems = {0};
	struct page page;
	http_query_only(rq, (const char *const[]){"limit", "after"}, 2, &problems);
	answer_page(rq, &page, &problems);
	if (answer_refused(rq, &problems))
		return;
	struct dataset_row *rows = NULL;
	int n = 0;
	enum store_status st = store_dataset_list(answer_api(rq)->store, &page, &rows, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "data set", "");
		return;
	}
	json_t *data = json_array();
	for (int i = 0; i < n; i++) {
		if (data && json_array_append_new(data, dataset_json(&rows[i], NULL, 0)) < 0) {
			json_decref(data);
			data = NULL;
		}
		dataset_row_done(&rows[i]);
	}
	free(rows);
	http_reply_json(rq, 200, answer_list(data, page.has_more));
}

void api_dataset_get(struct http_request *rq)
{
	struct dataset_row row;
	if (answer_query_refused(rq) || !dataset_find(rq, false, &row))
		return;
	struct dataset_file_row *files = NULL;
	int n = 0;
	enum store_status st = STORE_OK;
	if (strcmp(row.status, "ready") != 0)
		st = store_dataset_files(answer_api(rq)->store, row.id, &files, &n);
	if (st == STORE_OK)
		http_reply_json(rq, 200, dataset_json(&row, files, n));
	else
		answer_store(rq, st, "data set", "");
	free(files);
	dataset_row_done(&row);
}

void api_dataset_delete(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct dataset_row row;
	if (answer_query_refused(rq) || !dataset_find(rq, false, &row))
		return;
	struct dataset_file_row *files = NULL;
	int n = 0;
	bool last = false;
	char path[PATH_SIZE];
	store_files_lock(api->store);
	enum store_status st = store_dataset_files(api->store, row.id, &files, &n);
	if (st == STORE_OK)
		st = store_dataset_delete(api->store, row.id, &last);
	if (st == STORE_OK && last && row.sha256) {
		answer_path(api, "datasets", row.sha256, path);
		unlink(path); /* what a crash leaves here is swept at the next start */
	}
	store_files_unlock(api->store);
	for (int i = 0; st == STORE_OK && i < n; i++) {
		answer_path(api, "uploads", files[i].stored_as, path);
		unlink(path);
	}
	free(files);
	dataset_row_done(&row);
	if (st == STORE_OK) {
		hub_ring(api->hub, HUB_QUEUE); /* a job may wait for the room */
		http_reply_empty(rq, 204);
	} else if (st == STORE_CONFLICT)
		http_reply_error(rq, ERR_DATASET_IN_USE, "", "A job that has not ended uses the data set.");
	else
		answer_store(rq, st, "data set", "");
}

bool dataset_rows(const struct http_request *rq, const struct dataset_row *row, int split, int64_t first, int64_t n,
	struct packed_rows *ret)
{
	char path[PATH_SIZE];
	answer_path(answer_api(rq), "datasets", row->sha256, path);
	if (packed_read(path, split, first, n, ret))
		return true;
	log_line(LOG_ERROR, "data set %s (%s) cannot be read: %s", row->name, path,
		errno ? strerror(errno) : "it is no packed data set");
	return false;
}
