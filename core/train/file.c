/* file.c - see file.h. */
#include "train/file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/status.h"

enum {
	CHECKSUM = 4,    /* bytes */
	TRIES = 100,     /* of a call that is interrupted each time */
	CHUNK = 1 << 16, /* bytes read at a time by the verification */
	PIECE = 1 << 26  /* bytes written at a time: more than 2 GiB at once would be cut short anyway */
};

static enum bp_status corrupt(struct bp_error *err, const char *why)
{
	return bp_fail(err, BP_ECORRUPT, -1, "", "the file is not a whole checkpoint: %s", why);
}

enum bp_status bp_writer_open(struct bp_writer *w, const char *path, struct bp_error *err)
{
	*w = (struct bp_writer){.path = path, .fd = -1};
	bp_crc32c_init(&w->crc);
	if (asprintf(&w->temporary, "%s.tmp-XXXXXX", path) < 0)
		return bp_fail(err, BP_ENOMEM, -1, "", "there is no memory for a file's name");
	w->fd = mkostemp(w->temporary, O_CLOEXEC);
	if (w->fd < 0) {
		bp_fail(err, BP_EIO, -1, "", "a temporary file cannot be made beside the checkpoint's place");
		free(w->temporary);
		return BP_EIO;
	}
	return BP_OK;
}

/* After a call that failed: interrupted, and not for ever, because who tries for ever cannot be stopped. */
static bool again(int *tries)
{
	return errno == EINTR && --*tries > 0;
}

static void write_all(struct bp_writer *w, const char *bytes, size_t n, struct bp_error *err)
{
	int tries = TRIES;
	while (n && !w->status) {
		ssize_t done = write(w->fd, bytes, n < PIECE ? n : PIECE);
		if (done < 0 && !again(&tries))
			w->status = bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be written");
		if (done > 0) {
			tries = TRIES;
			bytes += done;
			n -= (size_t)done;
		}
	}
}

void bp_writer_add(struct bp_writer *w, const void *bytes, size_t n, struct bp_error *err)
{
	bp_crc32c_add(&w->crc, bytes, n);
	write_all(w, bytes, n, err);
}

static void sync_directory(struct bp_writer *w, struct bp_error *err)
{
	char *copy = strdup(w->path);
	int fd = copy ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd < 0 || fsync(fd))
		w->status =
			bp_fail(err, fd < 0 ? BP_EIO : BP_ESYNC, -1, "", "the checkpoint's directory cannot be synced");
	if (fd >= 0)
		close(fd);
	free(copy);
}

enum bp_status bp_writer_close(struct bp_writer *w, struct bp_error *err)
{
	uint32_t sum = bp_crc32c_value(&w->crc);
	write_all(w, (const char *)&sum, CHECKSUM, err);
	if (!w->status && fsync(w->fd))
		w->status = bp_fail(err, BP_ESYNC, -1, "", "the checkpoint cannot be synced");
	if (close(w->fd) && !w->status)
		w->status = bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be closed");
	if (!w->status && rename(w->temporary, w->path))
		w->status = bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be moved to its place");
	if (w->status)
		unlink(w->temporary);
	else
		sync_directory(w, err);
	free(w->temporary);
	return w->status;
}

static enum bp_status read_all(struct bp_reader *r, void *ret, size_t n, struct bp_error *err)
{
	char *to = ret;
	int tries = TRIES;
	while (n) {
		ssize_t got = read(r->fd, to, n < PIECE ? n : PIECE);
		if (got < 0 && !again(&tries))
			return bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be read");
		if (got == 0)
			return corrupt(err, "it ends too early");
		if (got > 0) {
			tries = TRIES;
			to += got;
			n -= (size_t)got;
		}
	}
	return BP_OK;
}

enum bp_status bp_reader_open(struct bp_reader *r, const char *path, struct bp_error *err)
{
	struct stat info;
	enum bp_status st = BP_OK;
	bp_crc32c_init(&r->crc);
	r->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (r->fd < 0)
		return bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be opened");
	if (fstat(r->fd, &info))
		st = bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be read");
	else if (!S_ISREG(info.st_mode) || info.st_size < CHECKSUM)
		st = corrupt(err, "it is too short");
	if (!st) {
		r->size = (uint64_t)info.st_size;
		st = bp_reader_skip(r, r->size - CHECKSUM, err);
		if (!st)
			st = bp_reader_finish(r, err);
	}
	if (!st && lseek(r->fd, 0, SEEK_SET))
		st = bp_fail(err, BP_EIO, -1, "", "the checkpoint cannot be read");
	if (st)
		close(r->fd);
	bp_crc32c_restart(&r->crc);
	return st;
}

enum bp_status bp_reader_get(struct bp_reader *r, void *ret, size_t n, struct bp_error *err)
{
	enum bp_status st = read_all(r, ret, n, err);
	if (!st)
		bp_crc32c_add(&r->crc, ret, n);
	return st;
}

enum bp_status bp_reader_skip(struct bp_reader *r, uint64_t n, struct bp_error *err)
{
	char chunk[CHUNK];
	for (uint64_t left = n; left;) {
		size_t now = left < CHUNK ? (size_t)left : CHUNK;
		enum bp_status st = bp_reader_get(r, chunk, now, err);
		if (st)
			return st;
		left -= now;
	}
	return BP_OK;
}

enum bp_status bp_reader_finish(struct bp_reader *r, struct bp_error *err)
{
	uint32_t sum;
	char more;
	enum bp_status st = read_all(r, &sum, CHECKSUM, err);
	if (!st && (sum != bp_crc32c_value(&r->crc) || read(r->fd, &more, 1) != 0))
		st = corrupt(err, "its checksum is wrong");
	return st;
}

void bp_reader_close(struct bp_reader *r)
{
	close(r->fd);
}
