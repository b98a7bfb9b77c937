/*
 * idx.c - the header of IDX files, the form in which MNIST and Fashion-MNIST are published.
 *
 * Two zero bytes, the type of the elements, the number of dimensions, then each as 32 bits, all big-endian (described
 * at the bottom of http://yann.lecun.com/exdb/mnist/). Called by ingest.c.
 */
#include "ingest/importer.h"

enum { IDX_MAGIC = 4 };

static bool find_element(uint8_t type, enum element *ret)
{
	static const struct {
		uint8_t type;
		enum element element;
	} types[] = {{0x08, ELEMENT_U8}, {0x09, ELEMENT_I8}, {0x0b, ELEMENT_I16}, {0x0c, ELEMENT_I32},
		{0x0d, ELEMENT_F32}, {0x0e, ELEMENT_F64}};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (types[i].type != type)
			continue;
		*ret = types[i].element;
		return true;
	}
	return false;
}

bool idx_probe(const uint8_t *head, size_t n)
{
	enum element element;
	return n >= IDX_MAGIC && head[0] == 0 && head[1] == 0 && find_element(head[2], &element) && head[3] >= 1 &&
	       head[3] <= ARRAY_DIMS;
}

bool idx_header(struct source *s, struct array_header *ret, const char **ret_why)
{
	uint8_t bytes[IDX_MAGIC + 4 * ARRAY_DIMS];
	*ret = (struct array_header){.big_endian = true};
	if (source_read(s, bytes, IDX_MAGIC) != IDX_MAGIC || !idx_probe(bytes, IDX_MAGIC)) {
		*ret_why = "is no IDX file.";
		return false;
	}
	find_element(bytes[2], &ret->element);
	ret->ndim = bytes[3];
	size_t rest = (size_t)ret->ndim * 4;
	if (source_read(s, bytes + IDX_MAGIC, rest) != rest) {
		*ret_why = "ends within its IDX header.";
		return false;
	}
	for (int i = 0; i < ret->ndim; i++) {
		const uint8_t *b = bytes + IDX_MAGIC + 4 * i;
		ret->dim[i] = (int64_t)b[0] << 24 | (int64_t)b[1] << 16 | (int64_t)b[2] << 8 | b[3];
	}
	return true;
}
