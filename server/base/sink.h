/*
 * sink.h - text gathered in memory through a FILE. As open_memstream, whose stream breaks the heap when memory runs out
 * in the middle (glibc 2.36). For whoever writes long texts; one thread at a time.
 */
#ifndef BASE_SINK_H
#define BASE_SINK_H

#include <stdbool.h>
#include <stdio.h>

struct sink {
	char *bytes;
	size_t size, room;
};

/* NULL: there is no memory. */
FILE *sink_open(struct sink *s);
/* Closes it. *ret is heap, with a NUL behind its size. False when anything did not fit into memory: *ret is NULL. */
bool sink_close(struct sink *s, FILE *f, char **ret, size_t *ret_size);

#endif
