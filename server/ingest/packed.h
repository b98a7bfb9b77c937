/*
 * packed.h - the layout of a packed data set: a header of fixed size, then sections that each start on 64 bytes.
 *
 * Everything follows from the numbers of struct packed_numbers, so that a reader computes where sections must lie and
 * compares. For the files of ingest/ alone. Little-endian.
 */
#ifndef INGEST_PACKED_H
#define INGEST_PACKED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/sha256.h"
#include "ingest/ingest.h"

enum {
	PACKED_VERSION = 1,
	PACKED_ALIGN = 64,
	PACKED_MAX_DIM = 65536,
	PACKED_MAX_SAMPLE = 1 << 24, /* elements */
	PACKED_MAX_CLASSES = 10000,
	PACKED_MAX_TARGETS = 65536
};

struct packed_numbers {
	struct bp_shape shape;
	enum bp_dtype dtype;
	int classes;  /* of labels, or 0 */
	int ntargets; /* or 0: exactly one of both is 0 */
	int64_t count[SPLIT_COUNT];
};

/* Byte offsets in the file. */
struct packed_layout {
	int64_t mean, std; /* float of each channel */
	int64_t samples[SPLIT_COUNT];
	int64_t answers[SPLIT_COUNT]; /* int32 labels, or floats of targets */
	int64_t size;
};

enum { PACKED_HEADER = 192 };

/* False when the numbers are out of their bounds or the file would not fit in 2^50 bytes. */
bool packed_plan(const struct packed_numbers *n, struct packed_layout *ret);
/* A view of a packed file's bytes, which lie at a multiple of 8 for as long as the view is used; packed_close is not
 * for it. False when they are no whole packed file. */
bool packed_view(const void *bytes, size_t size, struct packed *ret);
/* Of the whole file. False: errno says why it cannot be read. */
bool packed_sha256(int fd, char ret[SHA256_HEX]);
void packed_encode(const struct packed_numbers *n, const struct packed_layout *layout, uint8_t ret[PACKED_HEADER]);

#endif
