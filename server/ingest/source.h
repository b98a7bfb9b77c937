/*
 * source.h - an uploaded file as a row of members, read as streams with libarchive and never unpacked.
 *
 * A zip or tar has members; any other file, gzipped or not, is one member. For the files of ingest/ alone, on the
 * caller's thread. Member names are labels and nothing else.
 */
#ifndef INGEST_SOURCE_H
#define INGEST_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct archive;
struct ingest_file;

enum { SOURCE_HEAD = 16, SOURCE_LABEL = 80, SOURCE_MEMBERS = 256 };

struct source {
	struct archive *archive;
	bool is_archive;           /* zip or tar, so that members have names of their own */
	int member;                /* from 0, -1 before the first */
	char label[SOURCE_LABEL];  /* of the member, printable ASCII without folders; "" when it has no name */
	int64_t declared;          /* bytes of the member by the archive, -1 = not said */
	int64_t position;          /* bytes handed out of the member */
	uint8_t head[SOURCE_HEAD]; /* its first bytes, already read */
	size_t nhead;
	bool damaged; /* a read failed: truncated or corrupt, or ... */
	bool refused; /* a zip's member is compressed in another way than deflate */
	int error;    /* ... the server could not read it: errno; 0 = it could */
	int fd;
	uint8_t *block; /* of a file on the disk, NULL for one in memory */
};

/* False when the file cannot be opened at all (error says why); source_close is then not needed. */
bool source_open(struct source *s, const struct ingest_file *file);
/* Goes to the next member that is a file: 1, at the end: 0, damaged, refused or more than SOURCE_MEMBERS: -1. */
int source_next(struct source *s);
/* Reads size bytes of the member; fewer at its end or when damaged. */
size_t source_read(struct source *s, void *ret, size_t size);
void source_close(struct source *s);

#endif
