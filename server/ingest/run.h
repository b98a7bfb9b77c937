/*
 * run.h - one run of ingest_run, as it is handed from scan to plan to pack.
 *
 * scan.c finds the arrays and reads their headers, plan.c decides what the packed file will be and checks all claims
 * that can be checked without reading elements, pack.c reads the elements and writes. For the files of ingest/ alone.
 */
#ifndef INGEST_RUN_H
#define INGEST_RUN_H

#include "ingest/importer.h"
#include "ingest/ingest.h"
#include "ingest/packed.h"
#include "ingest/stats.h"

/* What an array is for, told by its name. SAMPLES and ANSWERS of each split: role = 2 * split + which. */
enum { SAMPLES, ANSWERS, ROLE_COUNT = 2 * SPLIT_COUNT, ROLE_NONE = -1 };

struct found {
	const struct ingest_file *file; /* NULL: not found */
	int member;
	char label[SOURCE_LABEL]; /* the member's name, or "" when the file is the array itself */
	const struct importer *importer;
	struct array_header header;
};

struct run {
	const struct ingest_file *files;
	int nfiles;
	const struct ingest_limits *limits;
	struct problems *problems;
	int64_t budget; /* decompressed bytes that may still be read while scanning */
	struct found found[ROLE_COUNT];
	json_t *class_names; /* array of strings, or NULL */
	const struct ingest_file *class_names_file;
	json_t *ignored; /* labels of members that are no array of ours */

	struct packed_numbers numbers; /* classes is 1 until the labels have been read */
	struct packed_layout layout;
	bool to_chw; /* samples came as (height, width, channels) */

	int fd;    /* the packed file under its temporary name */
	int error; /* of reading the uploads: errno; what was said of the files then does not hold */
	bool unsynced;
	struct stats stats;
	int32_t max_label;
	int64_t *class_counts[SPLIT_COUNT]; /* PACKED_MAX_CLASSES each; NULL for targets */
};

/* Each returns false when it added a problem. */
bool run_scan(struct run *r);
bool run_plan(struct run *r);
bool run_pack(struct run *r);

/* A problem of a file, and of its member when label is not "". Returns false. */
bool run_problem(struct run *r, const struct ingest_file *file, const char *label, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
/* A problem of the server: errno says which. Returns false. */
bool run_trouble(struct run *r, int error);

#endif
