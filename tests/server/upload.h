/* upload.h - files as a client would upload them, for the tests of ingest. */
#ifndef TESTS_SERVER_UPLOAD_H
#define TESTS_SERVER_UPLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "ingest/ingest.h"

enum { UPLOAD_FILES = 8, UPLOAD_PATH = 96 };

/* A temporary directory with the files in it; what is packed goes to out. */
struct upload {
	char dir[UPLOAD_PATH], out[UPLOAD_PATH];
	char paths[UPLOAD_FILES][UPLOAD_PATH];
	struct ingest_file files[UPLOAD_FILES];
	int n;
	struct ingest_limits limits;
	struct problems problems;
	struct ingest_result result;
};
void upload_begin(struct upload *u);
void upload_end(struct upload *u);
void upload_add(struct upload *u, const char *name, const void *data, size_t size);

/* Bytes on the heap. */
struct bytes {
	uint8_t *data;
	size_t size;
};
void bytes_free(struct bytes *b);
/* dims end with -1. data may be NULL for zeros. */
struct bytes bytes_idx(uint8_t type, const int64_t *dims, const void *data, size_t size);
struct bytes bytes_npy(const char *descr, const char *shape, const void *data, size_t size);
struct bytes bytes_gzip(const void *data, size_t size);
struct upload_member {
	const char *name;
	struct bytes bytes;
};
/* A zip of the members, stored or deflated. The members are freed. */
struct bytes bytes_zip(struct upload_member *members, int n, bool deflated);

/* Adds bytes as a file and frees them. */
void upload_take(struct upload *u, const char *name, struct bytes b);
/* Runs ingest over the files. */
bool upload_ingest(struct upload *u);
/* Runs ingest, which must refuse with exactly this problem. part must be in its detail. */
void upload_refused(struct upload *u, enum error_code code, const char *param, const char *part);
/* Opens what was packed. */
void upload_open(struct upload *u, struct packed *ret);

/* train 4 and test 2 samples of 1x2x3 bytes (element i is i % 256) with labels i % 3, as IDX under MNIST's names. */
void upload_add_mnist(struct upload *u, bool gzip);

#endif
