/* job.c - jobs: list, show and wait, delete. Submission is in job_submit.c, what else is asked of a job in job_ask.c.
 */
#include "api/job.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/auth.h"
#include "api/handlers.h"
#include "spec/spec.h"

bool job_find(struct http_request *rq, struct job_row *ret)
{
	enum store_status st = store_job_get(answer_api(rq)->store, http_segment(rq, "id"), ret);
	if (st == STORE_OK && !auth_sees(rq, ret->owner)) {
		job_row_done(ret);
		st = STORE_NOT_FOUND;
	}
	if (st != STORE_OK)
		answer_store(rq, st, "job", "");
	return st == STORE_OK;
}

static void version_text(int64_t version, char ret[32])
{
	snprintf(ret, 32, "\"%lld\"", (long long)version);
}

void job_reply_row(struct http_request *rq, int status, const struct job_row *row)
{
	char etag[32];
	char *history = NULL;
	enum store_status st = store_job_history(answer_api(rq)->store, row->id, &history);
	if (st == STORE_OK) {
		version_text(row->version, etag);
		http_reply_header(rq, "ETag", etag);
		http_reply_json(rq, status, job_json(answer_api(rq), row, history));
	} else {
		answer_store(rq, st, "job", "");
	}
	free(history);
}

void job_reply(struct http_request *rq, int status, const char *id)
{
	struct job_row row;
	enum store_status st = store_job_get(answer_api(rq)->store, id, &row);
	if (st != STORE_OK) {
		answer_store(rq, st, "job", "");
		return;
	}
	job_reply_row(rq, status, &row);
	job_row_done(&row);
}

void api_job_list(struct http_request *rq)
{
	static const char *const names[] = {"status", "dataset", "name", "limit", "after"};
	struct problems problems = {0};
	struct page page;
	struct job_filter filter = {.status = -1, .dataset = http_query(rq, "dataset"), .name = http_query(rq, "name")};
	const char *status = http_query(rq, "status");
	http_query_only(rq, names, sizeof names / sizeof names[0], &problems);
	answer_page(rq, &page, &problems);
	if (status && (filter.status = job_status_find(status)) < 0)
		problems_add(
			&problems, ERR_INVALID_QUERY, "status", "There is no such status; /v1/catalog lists them.");
	if (answer_refused(rq, &problems))
		return;
	struct job_row *rows = NULL;
	int n = 0;
	enum store_status st = store_job_list(answer_api(rq)->store, &filter, &page, &rows, &n);
	if (st != STORE_OK) {
		answer_store(rq, st, "job", "");
		return;
	}
	json_t *data = json_array();
	for (int i = 0; i < n; i++) {
		if (data && json_array_append_new(data, job_json_brief(answer_api(rq), &rows[i])) < 0) {
			json_decref(data);
			data = NULL;
		}
		job_row_done(&rows[i]);
	}
	free(rows);
	http_reply_json(rq, 200, answer_list(data, page.has_more));
}

/* Whether a list of entity tags (RFC 9110, 8.8.3) names this version. Comparison is weak: W/ is skipped. */
static bool etag_listed(const char *list, int64_t version)
{
	char tag[32];
	version_text(version, tag);
	size_t size = strlen(tag);
	for (const char *p = list; *p;) {
		p += strspn(p, " \t,");
		if (*p == '*')
			return true;
		if (p[0] == 'W' && p[1] == '/')
			p += 2;
		if (strncmp(p, tag, size) == 0)
			return true;
		const char *end = *p == '"' ? strchr(p + 1, '"') : NULL;
		p = end ? end + 1 : p + strcspn(p, ",");
	}
	return false;
}

bool job_version_wanted(struct http_request *rq, const struct job_row *row, int64_t *ret)
{
	const char *match = http_header(rq, "If-Match");
	*ret = match ? row->version : -1;
	if (!match || etag_listed(match, row->version))
		return true;
	answer_store(rq, STORE_STALE, "job", "");
	return false;
}

/*
 * With wait: answers once the job is no longer at the version that the client knows (version= or If-None-Match), or has
 * ended, or the time is over; a client that names no version waits for the end.
 */
void api_job_get(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct problems problems = {0};
	int64_t wait = 0, known = -1;
	const char *none_match = http_header(rq, "If-None-Match");
	http_query_only(rq, (const char *const[]){"wait", "version"}, 2, &problems);
	http_query_int(rq, "wait", 0, WAIT_MAX, &wait, &problems);
	http_query_int(rq, "version", 0, INT64_MAX, &known, &problems);
	if (answer_refused(rq, &problems))
		return;
	const char *id = http_segment(rq, "id");
	uint64_t seen = hub_seq(api->hub, id);
	struct job_row row;
	if (!job_find(rq, &row))
		return;
	bool listed = none_match && etag_listed(none_match, row.version);
	bool news = known >= 0 ? row.version != known : none_match && !listed;
	if (wait > 0 && !http_waited(rq) && !news && !job_status_terminal(row.status)) {
		http_reply_later(rq, id, seen, (int)wait);
	} else if (listed) {
		char etag[32];
		version_text(row.version, etag);
		http_reply_header(rq, "ETag", etag);
		http_reply_empty(rq, 304);
	} else {
		job_reply_row(rq, 200, &row);
	}
	job_row_done(&row);
}

/* Removes a folder of plain files. What cannot be removed stays for the sweep at the next start. */
static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *entry; (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(dir), entry->d_name, 0);
	closedir(dir);
	rmdir(path);
}

void api_job_delete(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct job_row row;
	int64_t version;
	if (answer_query_refused(rq) || !job_find(rq, &row))
		return;
	if (!job_version_wanted(rq, &row, &version)) {
		job_row_done(&row);
		return;
	}
	enum store_status st = store_job_delete(api->store, row.id, version);
	if (st == STORE_OK) {
		char path[PATH_SIZE];
		answer_path(api, "checkpoints", row.id, path);
		remove_folder(path);
		answer_ring(api, row.id);
		http_reply_empty(rq, 204);
	} else {
		answer_store(rq, st, "job", "The job has not ended: cancel it first.");
	}
	job_row_done(&row);
}
