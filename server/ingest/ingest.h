/*
 * ingest.h - from uploaded files to a packed data set, and back to views for training.
 *
 * A packed data set is one file of fixed layout, read-only, named by the SHA-256 of its content, mapped into memory by
 * who trains on it. Importers are lines of importers.def (IDX plain or gzipped, npz); each trusts nothing: declared
 * sizes are compared with what is there before anything is allocated.
 */
#ifndef INGEST_INGEST_H
#define INGEST_INGEST_H

#include <jansson.h>

#include "backprop.h"
#include "base/problem.h"

struct ingest_file {
	const char *name; /* as uploaded; importers look at it to tell images from labels, train from test */
	const char *path; /* where it lies; NULL: in memory, at bytes */
	const void *bytes;
	size_t size;
};
struct ingest_limits {
	int64_t max_bytes; /* of the packed file */
	int64_t max_samples;
	struct bp_shape shape; /* of a sample, as the client says; ndim 0: as the arrays say */
};
struct ingest_result {
	char sha256[65];
	int64_t bytes;
	json_t *info;  /* new reference: shape, dtype, classes, train/test counts, mean, std, class_counts, format */
	bool unsynced; /* a sync of the file or its folder failed: what is on the disk is not known, see store_fail */
};
/* Reads the files and writes <dir>/<sha256> (temporary name, fsync, rename, fsync of dir). False with problems;
 * param of a problem is the file's name. Slow: not on an event thread. */
bool ingest_run(const struct ingest_file *files, int n, const char *dir, const struct ingest_limits *limits,
	struct problems *problems, struct ingest_result *ret);

enum { SPLIT_TRAIN, SPLIT_TEST, SPLIT_COUNT };
struct packed {
	void *map;
	size_t map_size;
	struct bp_data split[SPLIT_COUNT]; /* count 0 when absent; mean and std set */
	int classes;                       /* 0 = regression */
};
/* Maps a packed file; checks magic, version, sizes; with verify all of it is read first, for the SHA-256 in the
 * file's name. False: errno says why it could not be read, 0: it is not what it should be. */
bool packed_open(const char *path, bool verify, struct packed *ret);
void packed_close(struct packed *p);

/* Rows of a packed file, copied: for who reads a few, because a disk that fails under a mapping is a signal that ends
 * the daemon, and an error here. */
struct packed_rows {
	int64_t total;       /* of the split */
	struct bp_data data; /* the rows read; without mean and std */
	void *bytes;
};
/* Rows [first, first+n) of the split, of those that there are. False: errno as of packed_open. */
bool packed_read(const char *path, int split, int64_t first, int64_t n, struct packed_rows *ret);
void packed_rows_done(struct packed_rows *rows);

#endif
