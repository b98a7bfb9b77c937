/*
 * npz.c - weights as NumPy's .npz: a zip whose members are stored .npy arrays (numpy.lib.format, version 1.0; PKWARE
 * APPNOTE 4.3.7, 4.3.12 and 4.3.16).
 *
 * Written by hand because sizes and checksums are known beforehand, so that a reader of streams can read it too.
 * Without zip64: weights of 4 GiB and more have no .npz. Called by export.c.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "infer/export.h"

enum { LOCAL_BYTES = 30, CENTRAL_BYTES = 46, END_BYTES = 22, NPY_PREFIX = 10, NPY_ALIGN = 64, NPY_TEXT = 256 };
enum { VERSION = 20, DATE = 0x21 /* 1980-01-01, so that equal nets give equal files */ };
static const size_t max_file = UINT32_MAX;

/* A member of the zip. */
struct member {
	struct tensor tensor;
	char name[sizeof(((struct tensor *)0)->name) + 4];
	char header[NPY_PREFIX + NPY_TEXT]; /* of the .npy */
	size_t header_bytes;
	uint32_t crc;
	size_t at; /* of the local header */
};

/* CRC-32 of IEEE 802.3, reflected, over the bytes after those that gave crc. */
static uint32_t crc_add(const uint32_t table[256], uint32_t crc, const void *data, size_t n)
{
	const uint8_t *p = data;
	crc = ~crc;
	for (size_t i = 0; i < n; i++)
		crc = table[(crc ^ p[i]) & 0xff] ^ crc >> 8;
	return ~crc;
}

static void crc_table(uint32_t ret[256])
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;
		for (int k = 0; k < 8; k++)
			c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
		ret[i] = c;
	}
}

static uint8_t *put(uint8_t *p, uint64_t v, int bytes)
{
	for (int i = 0; i < bytes; i++)
		*p++ = (uint8_t)(v >> (8 * i));
	return p;
}

static void describe(const struct bp_net *net, int index, struct member *ret)
{
	char shape[TENSOR_RANK * 24] = "";
	size_t n = 0;
	struct tensor *t = &ret->tensor;
	tensor_describe(net, index, t);
	snprintf(ret->name, sizeof(ret->name), "%s.npy", t->name);
	for (int i = 0; i < t->ndim; i++)
		n += (size_t)snprintf(shape + n, sizeof(shape) - n, "%s%lld%s", i ? " " : "", (long long)t->dim[i],
			i + 1 < t->ndim || t->ndim == 1 ? "," : "");
	char *text = ret->header + NPY_PREFIX;
	int length = snprintf(text, NPY_TEXT, "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }",
		t->integer ? "<i8" : "<f4", shape);
	size_t bytes = (NPY_PREFIX + (size_t)length + 1 + NPY_ALIGN - 1) / NPY_ALIGN * NPY_ALIGN;
	memset(text + length, ' ', bytes - NPY_PREFIX - (size_t)length - 1);
	ret->header[bytes - 1] = '\n';
	memcpy(ret->header, "\x93NUMPY\x01\x00", 8);
	put((uint8_t *)ret->header + 8, bytes - NPY_PREFIX, 2);
	ret->header_bytes = bytes;
}

/* The 26 bytes that the local header and the central directory have in common, from "version needed" on. */
static uint8_t *put_common(uint8_t *p, const struct member *m)
{
	size_t size = m->header_bytes + m->tensor.bytes;
	p = put(p, VERSION, 2);
	p = put(p, 0, 2); /* flags */
	p = put(p, 0, 2); /* stored */
	p = put(p, 0, 2); /* time */
	p = put(p, DATE, 2);
	p = put(p, m->crc, 4);
	p = put(p, size, 4);
	p = put(p, size, 4);
	p = put(p, strlen(m->name), 2);
	return put(p, 0, 2); /* extra field */
}

static uint8_t *put_central(uint8_t *p, const struct member *m)
{
	p = put(p, 0x02014b50, 4);
	p = put(p, VERSION, 2);
	p = put_common(p, m);
	p = put(p, 0, 2); /* comment */
	p = put(p, 0, 2); /* disk */
	p = put(p, 0, 2); /* internal attributes */
	p = put(p, 0, 4); /* external attributes */
	p = put(p, m->at, 4);
	memcpy(p, m->name, strlen(m->name));
	return p + strlen(m->name);
}

/* The member at its place: local header, name, .npy. */
static bool put_member(const struct bp_net *net, int index, struct member *m, uint8_t *data, const uint32_t table[256])
{
	uint8_t *p = data + m->at, *npy = p + LOCAL_BYTES + strlen(m->name);
	memcpy(npy, m->header, m->header_bytes);
	if (!tensor_write(net, index, &m->tensor, npy + m->header_bytes))
		return false;
	m->crc = crc_add(table, 0, npy, m->header_bytes + m->tensor.bytes);
	p = put_common(put(p, 0x04034b50, 4), m);
	memcpy(p, m->name, strlen(m->name));
	return true;
}

static void put_end(uint8_t *p, int members, size_t at, size_t bytes)
{
	p = put(p, 0x06054b50, 4);
	p = put(p, 0, 4); /* disks */
	p = put(p, (uint64_t)members, 2);
	p = put(p, (uint64_t)members, 2);
	p = put(p, bytes, 4);
	p = put(p, at, 4);
	put(p, 0, 2); /* comment */
}

bool export_npz(const struct bp_net *net, void **ret_data, size_t *ret_size)
{
	uint32_t table[256];
	int n = bp_net_tensors(net);
	size_t central = 0, size = END_BYTES;
	uint8_t *data = NULL;
	struct member *members = calloc((size_t)n + 1, sizeof(*members));
	bool ok = members && n <= UINT16_MAX;
	crc_table(table);
	for (int i = 0; ok && i < n; i++) {
		struct member *m = &members[i];
		describe(net, i, m);
		m->at = central;
		central += LOCAL_BYTES + strlen(m->name) + m->header_bytes + m->tensor.bytes;
		size += CENTRAL_BYTES + strlen(m->name);
	}
	size += central;
	ok = ok && size <= max_file && (data = malloc(size));
	for (int i = 0; ok && i < n; i++)
		ok = put_member(net, i, &members[i], data, table);
	if (ok) {
		uint8_t *p = data + central;
		for (int i = 0; i < n; i++)
			p = put_central(p, &members[i]);
		put_end(p, n, central, (size_t)(p - data) - central);
		*ret_data = data;
		*ret_size = size;
		data = NULL;
	}
	free(data);
	free(members);
	return ok;
}
