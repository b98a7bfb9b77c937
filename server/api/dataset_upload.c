/*
 * dataset_upload.c - from uploaded files to a data set that jobs can use.
 *
 * Either one file in one request (PUT of the data set), or several files that wait under uploads/ until the commit.
 * The importers run on http's slow threads, outside the lock; the lock is held only while rows and files change hands.
 */
#include <ctype.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/auth.h"
#include "api/dataset.h"
#include "api/handlers.h"
#include "api/quota.h"
#include "base/id.h"
#include "base/jsonmem.h"
#include "ingest/ingest.h"

enum { FILES_MAX = 64, SAMPLES_MAX = 1 << 28 };

/* Names become labels in answers and in file listings: no leading dot or dash. */
static bool name_valid(const char *name)
{
	return isalnum((unsigned char)name[0]);
}

static bool names_refused(struct http_request *rq)
{
	static const char *const segments[] = {"name", "file"};
	struct problems problems = {0};
	for (int i = 0; i < 2; i++) {
		const char *name = http_segment(rq, segments[i]);
		if (name && !name_valid(name))
			problems_add(
				&problems, ERR_INVALID_NAME, segments[i], "A name begins with a letter or a digit.");
	}
	return answer_refused(rq, &problems);
}

static void reply_dataset(struct http_request *rq, int status, const struct dataset_row *row)
{
	char location[NAME_MAX_BYTES + 32];
	snprintf(location, sizeof location, "/v1/datasets/%s", row->name);
	http_reply_header(rq, "Location", location);
	http_reply_json(rq, status, dataset_json(row, NULL, 0));
}

static bool same_files(const struct dataset_file_row *a, int na, const struct dataset_file_row *b, int nb)
{
	if (na != nb)
		return false;
	for (int i = 0; i < na; i++)
		if (strcmp(a[i].stored_as, b[i].stored_as) != 0)
			return false;
	return true;
}

/* Of a packed file that its user has no room for: nothing stays but the n files that were uploaded for it. */
static void drop_refused(struct api *api, const char *id, int n, const char *path, const char *sha256)
{
	bool last;
	if (n == 0)
		store_dataset_delete(api->store, id, &last);
	if (!store_dataset_has_sha256(api->store, sha256))
		unlink(path);
}

/*
 * Under the lock: the data set called name takes the packed file, provided its uploaded files are still the n that were
 * packed. A deletion may have removed an equal packed file since it was written: NOT_FOUND, and the caller packs again.
 */
static enum store_status take(const struct http_request *rq, const char *name, const struct ingest_result *packed,
	const struct dataset_file_row *files, int n)
{
	struct api *api = answer_api(rq);
	struct dataset_row row;
	struct dataset_file_row *now = NULL;
	int nnow = 0;
	char path[PATH_SIZE];
	answer_path(api, "datasets", packed->sha256, path);
	if (access(path, R_OK) < 0)
		return STORE_NOT_FOUND;
	char *info = jsonmem_dumps(packed->info, JSON_COMPACT);
	if (!info || jsonmem_ran_out()) {
		free(info);
		return STORE_ERROR;
	}
	enum store_status st = store_dataset_begin(api->store, auth_user(rq), name, &row);
	if (st == STORE_OK) {
		st = store_dataset_files(api->store, row.id, &now, &nnow);
		if (st == STORE_OK && !same_files(files, n, now, nnow))
			st = STORE_CONFLICT;
		if (st == STORE_OK)
			st = store_dataset_ready(api->store, row.id, packed->sha256, info, packed->bytes);
		free(now);
		if (st == STORE_MANY)
			drop_refused(api, row.id, n, path, packed->sha256);
		dataset_row_done(&row);
	}
	free(info);
	return st;
}

/* The query's shape, as in 6,128; *ret stays empty without one. False when it was answered with a problem. */
static bool read_shape(struct http_request *rq, struct bp_shape *ret)
{
	const char *text = http_query(rq, "shape");
	struct problems problems = {0};
	for (const char *at = text; at && *at;) {
		char *end = NULL;
		long dim = strspn(at, "0123456789") > 0 && ret->ndim < BP_MAX_DIMS ? strtol(at, &end, 10) : 0;
		if (dim < 1 || dim > INT32_MAX || (*end != '\0' && (*end != ',' || end[1] == '\0'))) {
			ret->ndim = 0;
			break;
		}
		ret->dim[ret->ndim++] = dim;
		at = *end ? end + 1 : end;
	}
	if (text && (ret->ndim == 0 || bp_shape_size(ret) < 1))
		problems_add(&problems, ERR_INVALID_SHAPE, "shape",
			"A sample's shape is written as features, as channels,length or as channels,height,width.");
	return !answer_refused(rq, &problems);
}

/* Packs the files (labels and paths in sources) and replies; files are the rows they came from, n 0 for a single body.
 */
static enum store_status publish(struct http_request *rq, const char *name, const struct ingest_file *sources,
	int nsources, const struct dataset_file_row *files, int n)
{
	struct api *api = answer_api(rq);
	struct ingest_limits limits = {.max_bytes = api->config->max_upload_mb << 20, .max_samples = SAMPLES_MAX};
	enum store_status st = STORE_NOT_FOUND;
	char dir[PATH_SIZE];
	if (!read_shape(rq, &limits.shape))
		return STORE_ERROR;
	answer_path(api, "datasets", NULL, dir);
	for (int attempt = 0; attempt < 3 && st == STORE_NOT_FOUND; attempt++) {
		struct problems problems = {0};
		struct ingest_result packed = {0};
		if (!ingest_run(sources, nsources, dir, &limits, &problems, &packed)) {
			if (packed.unsynced)
				store_fail(api->store, "a data set's sync failed");
			http_reply_problems(rq, &problems);
			return STORE_ERROR;
		}
		store_files_lock(api->store);
		st = take(rq, name, &packed, files, n);
		store_files_unlock(api->store);
		json_decref(packed.info);
	}
	struct dataset_row row;
	enum store_status shown = st == STORE_OK ? dataset_get(rq, name, &row) : st;
	if (shown == STORE_OK) {
		reply_dataset(rq, 201, &row);
		dataset_row_done(&row);
	} else if (shown == STORE_MANY) {
		quota_refuse(rq);
	} else {
		answer_store(rq, shown == STORE_NOT_FOUND ? STORE_ERROR : shown, "data set",
			"The data set was committed or changed by another request meanwhile.");
	}
	return st;
}

/* A label for importers, when the client gave none: they go by content, but an error names the file. */
static const char *label_by_magic(const char *path)
{
	unsigned char head[6] = {0};
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return "data";
	ssize_t n = read(fd, head, sizeof head);
	close(fd);
	if (n >= 4 && memcmp(head, "PK\3\4", 4) == 0)
		return "data.npz";
	if (n >= 2 && head[0] == 0x1f && head[1] == 0x8b)
		return "data.gz";
	if (n >= 6 && memcmp(head, "\x93NUMPY", 6) == 0)
		return "data.npy";
	return "data";
}

void api_dataset_put(struct http_request *rq)
{
	struct problems problems = {0};
	http_query_only(rq, (const char *const[]){"filename", "shape"}, 2, &problems);
	const char *label = http_query(rq, "filename");
	if (label && (!name_valid(label) || strlen(label) > NAME_MAX_BYTES ||
			     strspn(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") !=
				     strlen(label)))
		problems_add(
			&problems, ERR_INVALID_NAME, "filename", "A file name has at most 64 of A-Z a-z 0-9 . _ -");
	if (answer_refused(rq, &problems) || names_refused(rq))
		return;
	const char *name = http_segment(rq, "name");
	struct dataset_row row;
	enum store_status st = dataset_get(rq, name, &row);
	if (st == STORE_OK) {
		bool ready = strcmp(row.status, "ready") == 0;
		dataset_row_done(&row);
		http_reply_error(rq, ERR_CONFLICT, "", "%s",
			ready ? "There is a data set of that name: delete it first."
			      : "Files are being uploaded under that name: commit or delete it first.");
		return;
	}
	if (st != STORE_NOT_FOUND) {
		answer_store(rq, st, "data set", "");
		return;
	}
	struct ingest_file file = {.path = http_upload_path(rq)};
	file.name = label ? label : label_by_magic(file.path);
	publish(rq, name, &file, 1, NULL, 0);
}

static bool sync_path(const struct api *api, const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		return false;
	bool ok = fsync(fd) == 0;
	if (!ok)
		store_fail(api->store, "an upload's sync failed");
	close(fd);
	return ok;
}

/* Moves the body to its place under uploads/, durable. */
static bool keep(const struct api *api, const char *from, const char *stored_as)
{
	char to[PATH_SIZE], dir[PATH_SIZE];
	answer_path(api, "uploads", stored_as, to);
	answer_path(api, "uploads", NULL, dir);
	return sync_path(api, from, O_RDONLY) && rename(from, to) == 0 && sync_path(api, dir, O_RDONLY | O_DIRECTORY);
}

/* Under the lock. *ret_replaced: the stored name of an older upload of the same file, or "". */
static enum store_status add_file(const struct http_request *rq, const char *name, const struct dataset_file_row *file,
	char ret_replaced[ID_MAX], bool *ret_too_many)
{
	struct api *api = answer_api(rq);
	struct dataset_row row;
	struct dataset_file_row *files = NULL;
	int n = 0;
	enum store_status st = store_dataset_begin(api->store, auth_user(rq), name, &row);
	if (st != STORE_OK)
		return st;
	st = store_dataset_files(api->store, row.id, &files, &n);
	*ret_too_many = st == STORE_OK && n >= FILES_MAX;
	for (int i = 0; i < n; i++)
		if (strcmp(files[i].name, file->name) == 0)
			*ret_too_many = false;
	if (st == STORE_OK && !*ret_too_many)
		st = store_dataset_file_add(api->store, row.id, file, ret_replaced);
	free(files);
	dataset_row_done(&row);
	return st;
}

void api_dataset_file_put(struct http_request *rq)
{
	if (answer_query_refused(rq) || names_refused(rq))
		return;
	struct api *api = answer_api(rq);
	const char *name = http_segment(rq, "name");
	struct dataset_file_row file = {.bytes = http_upload_size(rq)};
	char replaced[ID_MAX] = "", path[PATH_SIZE];
	bool too_many = false;
	snprintf(file.name, sizeof file.name, "%s", http_segment(rq, "file"));
	id_new("upl_", file.stored_as, sizeof file.stored_as);
	if (!keep(api, http_upload_path(rq), file.stored_as)) {
		http_reply_error(rq, ERR_INTERNAL, "", "The server could not keep the file.");
		return;
	}
	store_files_lock(api->store);
	enum store_status st = add_file(rq, name, &file, replaced, &too_many);
	store_files_unlock(api->store);
	bool added = st == STORE_OK && !too_many;
	const char *unused = added ? replaced : file.stored_as;
	if (unused[0]) {
		answer_path(api, "uploads", unused, path);
		unlink(path);
	}
	if (too_many)
		http_reply_error(rq, ERR_TOO_MANY, "", "A data set takes at most %d files.", FILES_MAX);
	else if (added)
		http_reply_json(rq, replaced[0] ? 200 : 201,
			json_pack("{s:s, s:s, s:s, s:I}", "object", "dataset_file", "dataset", name, "name", file.name,
				"bytes", (json_int_t)file.bytes));
	else if (st == STORE_MANY)
		quota_refuse(rq);
	else
		answer_store(rq, st, "data set", "The data set is complete: delete it to upload it anew.");
}

void api_dataset_commit(struct http_request *rq)
{
	struct api *api = answer_api(rq);
	struct dataset_row row;
	struct problems problems = {0};
	http_query_only(rq, (const char *const[]){"shape"}, 1, &problems);
	if (answer_refused(rq, &problems) || !dataset_find(rq, false, &row))
		return;
	struct dataset_file_row *files = NULL;
	int n = 0;
	struct ingest_file sources[FILES_MAX];
	char(*paths)[PATH_SIZE] = calloc(FILES_MAX, sizeof *paths);
	bool ready = strcmp(row.status, "ready") == 0;
	enum store_status st = ready ? STORE_CONFLICT : store_dataset_files(api->store, row.id, &files, &n);
	if (st == STORE_OK && (n > FILES_MAX || !paths))
		st = STORE_ERROR;
	if (st == STORE_OK && n == 0)
		http_reply_error(rq, ERR_CONFLICT, "", "No file was uploaded yet.");
	else if (st != STORE_OK)
		answer_store(rq, st, "data set", "The data set is already committed.");
	for (int i = 0; st == STORE_OK && i < n; i++) {
		answer_path(api, "uploads", files[i].stored_as, paths[i]);
		sources[i] = (struct ingest_file){.name = files[i].name, .path = paths[i]};
	}
	if (st == STORE_OK && n > 0 && publish(rq, row.name, sources, n, files, n) == STORE_OK)
		for (int i = 0; i < n; i++)
			unlink(paths[i]);
	free(paths);
	free(files);
	dataset_row_done(&row);
}
