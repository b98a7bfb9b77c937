/*
 * importer.h - what an importer finds: the header of one array, after which its elements lie dense in C order.
 *
 * For the files of ingest/ alone. A header is only a claim; whoever reads the elements compares it with what is there.
 */
#ifndef INGEST_IMPORTER_H
#define INGEST_IMPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/source.h"

enum { ARRAY_DIMS = 4 };

enum element {
	ELEMENT_BOOL,
	ELEMENT_U8,
	ELEMENT_I8,
	ELEMENT_U16,
	ELEMENT_I16,
	ELEMENT_U32,
	ELEMENT_I32,
	ELEMENT_I64,
	ELEMENT_F32,
	ELEMENT_F64
};
int element_size(enum element e); /* bytes */
bool element_is_float(enum element e);

struct array_header {
	enum element element;
	bool big_endian;
	int ndim;
	int64_t dim[ARRAY_DIMS]; /* not negative */
};

struct importer {
	const char *name;
	bool (*probe)(const uint8_t *head, size_t n);
	bool (*header)(struct source *s, struct array_header *ret, const char **ret_why);
};
/* NULL when no importer knows the beginning. */
const struct importer *importer_find(const uint8_t *head, size_t n);

#define IMPORTER(name, probe, header)                                                                                  \
	bool probe(const uint8_t *head, size_t n);                                                                     \
	bool header(struct source *s, struct array_header *ret, const char **ret_why);
#include "ingest/importers.def"

/*
 * n elements in raw, which is changed when the byte order is not the machine's. False at the first value that is not a
 * finite float of single precision; *ret_bad is its index.
 */
bool element_floats(const struct array_header *h, uint8_t *raw, int64_t n, float *ret, int64_t *ret_bad);
/* The same for integers; h->element is no float. */
void element_integers(const struct array_header *h, uint8_t *raw, int64_t n, int64_t *ret);

#endif
