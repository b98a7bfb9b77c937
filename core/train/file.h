/*
 * file.h - files that are whole or not there: written beside their place and renamed, ending with a CRC-32C of all
 * before it. Called by checkpoint.c, on any thread; a struct belongs to one.
 */
#ifndef BP_TRAIN_FILE_H
#define BP_TRAIN_FILE_H

#include "backprop.h"
#include "train/crc32c.h"

struct bp_writer {
	const char *path; /* borrowed */
	char *temporary;  /* "<path>.tmp-XXXXXX" */
	int fd;
	enum bp_status status; /* of the first failure, after which nothing is written */
	struct bp_crc32c crc;
};

/* Opens the temporary file. On success bp_writer_close must follow, whatever happens in between. */
enum bp_status bp_writer_open(struct bp_writer *w, const char *path, struct bp_error *err);
/* A failure shows at the close, too. */
void bp_writer_add(struct bp_writer *w, const void *bytes, size_t n, struct bp_error *err);
/* Writes the checksum, syncs, renames, syncs the directory. On any failure, this one's or an earlier add's, the
 * temporary file is gone and path is as it was. */
enum bp_status bp_writer_close(struct bp_writer *w, struct bp_error *err);

struct bp_reader {
	int fd;
	uint64_t size; /* of the file, checksum included */
	struct bp_crc32c crc;
};

/* Opens a regular file and verifies its checksum by reading it whole. On success bp_reader_close must follow. */
enum bp_status bp_reader_open(struct bp_reader *r, const char *path, struct bp_error *err);
/* The next n bytes. BP_ECORRUPT when the file ends before. */
enum bp_status bp_reader_get(struct bp_reader *r, void *ret, size_t n, struct bp_error *err);
/* Reads n bytes of which only the checksum is wanted. */
enum bp_status bp_reader_skip(struct bp_reader *r, uint64_t n, struct bp_error *err);
/* Verifies that what was read is what was verified: all of the file, and unchanged since. */
enum bp_status bp_reader_finish(struct bp_reader *r, struct bp_error *err);
void bp_reader_close(struct bp_reader *r);

#endif
