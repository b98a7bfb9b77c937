/*
 * body.c - request bodies: JSON gathered in memory, files streamed to the upload directory; each with its limit.
 * Event thread. What can be refused by the headers is refused before the first byte, so that a client which asked with
 * "Expect: 100-continue" sends nothing; a chunked body is counted as it comes.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/id.h"
#include "base/io.h"
#include "base/jsonmem.h"
#include "base/log.h"
#include "http/inside.h"

#define UPLOAD_PREFIX "up_"
enum { DISK_RESERVE = 16 << 20 }; /* bytes that an upload leaves free for the database */

static int64_t body_limit(const struct http_request *rq)
{
	return rq->route->body == BODY_FILE ? rq->srv->o.max_upload_bytes : rq->srv->o.max_json_bytes;
}

static bool refuse_size(struct http_request *rq)
{
	http_reply_error(
		rq, ERR_BODY_TOO_LARGE, "", "At most %lld bytes are accepted here.", (long long)body_limit(rq));
	return false;
}

void body_room_end(struct http_request *rq)
{
	if (rq->room.set && rq->srv->o.over)
		rq->srv->o.over(rq);
	rq->room.set = false;
}

/* It takes no room from the user's other uploads while its answer is on the way. */
static bool refuse_room(struct http_request *rq)
{
	http_reply_error(
		rq, rq->room.refusal, "", "There is room for %lld more bytes of this user.", (long long)rq->room.bytes);
	body_room_end(rq);
	return false;
}

/* Whether so many bytes are more than this user may send. */
static bool beyond_room(const struct http_request *rq, int64_t bytes)
{
	return rq->room.set && bytes > rq->room.bytes;
}

static bool refuse_disk(struct http_request *rq, int error)
{
	if (error == ENOSPC || error == EDQUOT) {
		http_reply_error(rq, ERR_STORAGE_FULL, "", "There is no room for the upload.");
		return false;
	}
	log_line(LOG_ERROR, "%s: cannot write an upload: %s", rq->id, strerror(error));
	http_reply_error(rq, ERR_INTERNAL, "", "The upload could not be written.");
	return false;
}

/* "application/json" or "application/<anything>+json", parameters aside. */
static bool type_is_json(const char *type)
{
	size_t n = strcspn(type, "; \t");
	if (n < 16 || strncasecmp(type, "application/", 12) != 0)
		return false;
	return (n == 16 && strncasecmp(type + 12, "json", 4) == 0) || strncasecmp(type + n - 5, "+json", 5) == 0;
}

static bool upload_open(struct http_request *rq)
{
	struct statvfs fs;
	const char *dir = rq->srv->upload_dir;
	char name[48];
	if (rq->declared > 0 && statvfs(dir, &fs) == 0 &&
		(double)fs.f_bavail * (double)fs.f_frsize < (double)rq->declared + DISK_RESERVE)
		return refuse_disk(rq, ENOSPC);
	id_new(UPLOAD_PREFIX, name, sizeof(name));
	if (asprintf(&rq->upload_path, "%s/%s", dir, name) < 0) {
		rq->upload_path = NULL;
		return refuse_disk(rq, ENOMEM);
	}
	rq->upload_fd = open(rq->upload_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	return rq->upload_fd >= 0 || refuse_disk(rq, errno);
}

bool body_check(struct http_request *rq)
{
	bool any = rq->chunked || rq->declared > 0;
	const char *type = http_header(rq, "Content-Type");
	switch (rq->route->body) {
	case BODY_NONE:
		if (any)
			http_reply_error(rq, ERR_BODY_TOO_LARGE, "", "This route takes no body.");
		return !any;
	case BODY_JSON:
		if (type && !type_is_json(type)) {
			http_reply_error(rq, ERR_UNSUPPORTED_MEDIA_TYPE, "Content-Type", "Send application/json.");
			return false;
		}
		return rq->declared <= body_limit(rq) || refuse_size(rq);
	case BODY_FILE:
		if (!rq->chunked && rq->declared < 0) {
			http_reply_error(
				rq, ERR_LENGTH_REQUIRED, "Content-Length", "Send a Content-Length or a chunked body.");
			return false;
		}
		if (rq->declared > body_limit(rq))
			return refuse_size(rq);
		return beyond_room(rq, rq->declared) ? refuse_room(rq) : upload_open(rq);
	}
	return false;
}

static bool keep_bytes(struct http_request *rq, const char *data, size_t size)
{
	size_t used = (size_t)rq->received;
	if (used + size + 1 > rq->bytes_room) {
		size_t room = (used + size + 1) * 2;
		char *grown = realloc(rq->bytes, room);
		if (!grown)
			return false;
		rq->bytes = grown;
		rq->bytes_room = room;
	}
	memcpy(rq->bytes + used, data, size);
	rq->bytes[used + size] = '\0';
	return true;
}

static bool write_all(int fd, const char *data, size_t size)
{
	while (size > 0) {
		ssize_t n = IO_TRY(write(fd, data, size));
		if (n < 0)
			return false;
		data += n;
		size -= (size_t)n;
	}
	return true;
}

bool body_add(struct http_request *rq, const char *data, size_t size)
{
	atomic_fetch_add(&rq->srv->bytes_in, (long long)size);
	if (reply_any(rq)) {
		rq->drained += (int64_t)size;
		return rq->drained <= DRAIN_MAX;
	}
	if ((int64_t)size > body_limit(rq) - rq->received) {
		refuse_size(rq);
	} else if (beyond_room(rq, rq->received + (int64_t)size)) {
		refuse_room(rq);
	} else if (rq->route->body == BODY_FILE) {
		if (!write_all(rq->upload_fd, data, size))
			refuse_disk(rq, errno);
	} else if (!keep_bytes(rq, data, size)) {
		return false;
	}
	if (!reply_any(rq))
		rq->received += (int64_t)size;
	else
		body_free(rq);
	return true;
}

/* jansson recurses: nesting is measured before it may look. */
static bool depth_allowed(const char *text, size_t size)
{
	int depth = 0;
	bool quoted = false;
	for (size_t i = 0; i < size; i++) {
		char c = text[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (!quoted && (c == '{' || c == '[') && ++depth > JSON_DEPTH_MAX)
			return false;
		else if (!quoted && (c == '}' || c == ']'))
			depth--;
	}
	return true;
}

static bool json_parse(struct http_request *rq)
{
	json_error_t err;
	if (rq->received == 0) {
		http_reply_error(rq, ERR_INVALID_JSON, "", "The body is empty; a JSON object is expected.");
		return false;
	}
	if (!depth_allowed(rq->bytes, (size_t)rq->received)) {
		http_reply_error(rq, ERR_INVALID_JSON, "", "The JSON is nested deeper than %d levels.", JSON_DEPTH_MAX);
		return false;
	}
	if (memchr(rq->bytes, '\0', (size_t)rq->received)) { /* jansson skips some */
		http_reply_error(rq, ERR_INVALID_JSON, "", "The JSON has a NUL byte.");
		return false;
	}
	jsonmem_begin();
	rq->json = jsonmem_loadb(rq->bytes, (size_t)rq->received, JSON_REJECT_DUPLICATES, &err);
	if (jsonmem_ran_out()) { /* some of it may be missing, and jansson takes a string without memory for a broken
				    one */
		http_reply_error(rq, ERR_UNAVAILABLE, "", "There is no memory to read the body.");
		return false;
	}
	if (!rq->json) {
		http_reply_error(rq, ERR_INVALID_JSON, "", "Line %d, column %d: %s.", err.line, err.column, err.text);
		return false;
	}
	if (!json_is_object(rq->json)) {
		http_reply_error(rq, ERR_WRONG_TYPE, "", "The body must be a JSON object.");
		return false;
	}
	return true;
}

bool body_finish(struct http_request *rq)
{
	if (rq->route->body == BODY_JSON)
		return json_parse(rq);
	if (rq->route->body == BODY_FILE) {
		int rc = close(rq->upload_fd);
		rq->upload_fd = -1;
		return rc == 0 || refuse_disk(rq, errno);
	}
	return true;
}

/* The name was made for this upload alone, so what still bears it is ours to remove. */
void body_drop_upload(struct http_request *rq)
{
	if (rq->upload_fd >= 0)
		close(rq->upload_fd);
	rq->upload_fd = -1;
	if (rq->upload_path)
		unlink(rq->upload_path);
	free(rq->upload_path);
	rq->upload_path = NULL;
}

void body_free(struct http_request *rq)
{
	body_drop_upload(rq);
	free(rq->bytes);
	rq->bytes = NULL;
	rq->bytes_room = 0;
	json_decref(rq->json);
	rq->json = NULL;
}

void uploads_clean(const char *path)
{
	DIR *dir = opendir(path);
	if (!dir)
		return;
	for (struct dirent *e; (e = readdir(dir));)
		if (strncmp(e->d_name, UPLOAD_PREFIX, strlen(UPLOAD_PREFIX)) == 0)
			unlinkat(dirfd(dir), e->d_name, 0);
	closedir(dir);
}
