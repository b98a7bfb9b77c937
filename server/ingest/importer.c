/* importer.c - the table of importers, and elements of any type as floats or integers. */
#include "ingest/importer.h"

#include <math.h>
#include <string.h>

static const struct importer importers[] = {
#define IMPORTER(name, probe, header) {name, probe, header},
#include "ingest/importers.def"
};

const struct importer *importer_find(const uint8_t *head, size_t n)
{
	for (size_t i = 0; i < sizeof(importers) / sizeof(importers[0]); i++)
		if (importers[i].probe(head, n))
			return &importers[i];
	return NULL;
}

int element_size(enum element e)
{
	static const int sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 4, 8};
	return sizes[e];
}

bool element_is_float(enum element e)
{
	return e == ELEMENT_F32 || e == ELEMENT_F64;
}

static void to_machine_order(const struct array_header *h, uint8_t *raw, int64_t n)
{
	bool machine_is_big = __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__;
	int size = element_size(h->element);
	if (size == 1 || h->big_endian == machine_is_big)
		return;
	for (int64_t i = 0; i < n; i++, raw += size)
		for (int k = 0; k < size / 2; k++) {
			uint8_t byte = raw[k];
			raw[k] = raw[size - 1 - k];
			raw[size - 1 - k] = byte;
		}
}

#define EACH(type, out)                                                                                                \
	for (int64_t i = 0; i < n; i++) {                                                                              \
		type v;                                                                                                \
		memcpy(&v, raw + i * (int64_t)sizeof(v), sizeof(v));                                                   \
		ret[i] = (out)v;                                                                                       \
	}                                                                                                              \
	break

bool element_floats(const struct array_header *h, uint8_t *raw, int64_t n, float *ret, int64_t *ret_bad)
{
	to_machine_order(h, raw, n);
	switch (h->element) {
	case ELEMENT_BOOL:
	case ELEMENT_U8:
		EACH(uint8_t, float);
	case ELEMENT_I8:
		EACH(int8_t, float);
	case ELEMENT_U16:
		EACH(uint16_t, float);
	case ELEMENT_I16:
		EACH(int16_t, float);
	case ELEMENT_U32:
		EACH(uint32_t, float);
	case ELEMENT_I32:
		EACH(int32_t, float);
	case ELEMENT_I64:
		EACH(int64_t, float);
	case ELEMENT_F32:
		EACH(float, float);
	case ELEMENT_F64:
		EACH(double, float);
	}
	for (int64_t i = 0; i < n; i++) {
		if (isfinite(ret[i]))
			continue;
		*ret_bad = i;
		return false;
	}
	return true;
}

void element_integers(const struct array_header *h, uint8_t *raw, int64_t n, int64_t *ret)
{
	to_machine_order(h, raw, n);
	switch (h->element) {
	case ELEMENT_BOOL:
	case ELEMENT_U8:
		EACH(uint8_t, int64_t);
	case ELEMENT_I8:
		EACH(int8_t, int64_t);
	case ELEMENT_U16:
		EACH(uint16_t, int64_t);
	case ELEMENT_I16:
		EACH(int16_t, int64_t);
	case ELEMENT_U32:
		EACH(uint32_t, int64_t);
	case ELEMENT_I32:
		EACH(int32_t, int64_t);
	case ELEMENT_I64:
		EACH(int64_t, int64_t);
	case ELEMENT_F32:
	case ELEMENT_F64:
		break;
	}
}
