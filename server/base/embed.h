/*
 * embed.h - the files linked into the program: migrations, the dashboard, the API document. Any thread, read only.
 *
 * A new one is a line in embed.def, nothing else (and a pattern in the Makefile's EMBEDDED for a new kind of file).
 */
#ifndef BASE_EMBED_H
#define BASE_EMBED_H

#include <stddef.h>

struct embedded {
	const char *path, *content_type;
	const char *data; /* size bytes, then a NUL that is not counted */
	size_t size;
};

int embedded_count(void);
struct embedded embedded_at(int i); /* 0 <= i < embedded_count(), in the order of embed.def */
/* The file of that path in the tree ("server/web/index.html"). data is NULL when there is none. */
struct embedded embedded_find(const char *path);

#endif
