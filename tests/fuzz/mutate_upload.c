/*
 * mutate_upload.c - changes uploads part by part, so that lengths and checksums go on fitting, and makes new arrays: of
 * bytes changed at random hardly any would be read to its end. Run by libFuzzer (make fuzz TARGET=idx, TARGET=npz).
 */
#include "fuzz/mutate.h"

#include <stdio.h>
#include <string.h>

#include "fuzz/parts.h"
#include "server/json_mutate.h"

enum { ROOM = 2048, DIMS = 4 };

struct array {
	int ndim;
	uint32_t dim[DIMS], elements;
	uint32_t type;
};

static const uint8_t idx_types[] = {0x08, 0x09, 0x0b, 0x0c, 0x0d, 0x0e};
static const uint8_t idx_sizes[] = {1, 1, 2, 4, 4, 8};
static const char *const npy_types[] = {"|b1", "|u1", "|i1", "<u2", ">i2", "<u4", ">i4", "<i8", "<f4", ">f8"};
static const uint8_t npy_sizes[] = {1, 1, 1, 2, 2, 4, 4, 8, 4, 8};
enum { IDX_TYPES = sizeof(idx_types), NPY_TYPES = sizeof(npy_sizes) };

/* Samples or answers of three or four entries. */
static struct array draw_array(uint32_t *state, uint32_t types)
{
	struct array a = {.ndim = 1 + (int)json_mutate_draw(state, DIMS), .elements = 1};
	a.type = json_mutate_draw(state, types);
	for (int i = 0; i < a.ndim; i++) {
		a.dim[i] = i ? json_mutate_draw(state, 4) : 3 + json_mutate_draw(state, 2);
		a.elements *= a.dim[i];
	}
	return a;
}

/* Small integers of either byte order, now and then any bytes. */
static size_t fill(uint32_t *state, uint8_t *ret, size_t elements, size_t size)
{
	uint32_t odd = json_mutate_draw(state, 8);
	for (size_t i = 0; i < elements * size; i++)
		ret[i] = (uint8_t)(odd == 0                               ? json_mutate_draw(state, 256)
				   : i % size == (odd % 2 ? 0 : size - 1) ? json_mutate_draw(state, 4)
									  : 0);
	return elements * size;
}

static size_t make_idx(uint32_t *state, uint8_t ret[ROOM])
{
	struct array a = draw_array(state, IDX_TYPES);
	size_t at = 4;
	memcpy(ret, (uint8_t[]){0, 0, idx_types[a.type], (uint8_t)a.ndim}, 4);
	for (int i = 0; i < a.ndim; i++, at += 4)
		memcpy(ret + at, (uint8_t[]){0, 0, 0, (uint8_t)a.dim[i]}, 4);
	return at + fill(state, ret + at, a.elements, idx_sizes[a.type]);
}

static size_t make_npy(uint32_t *state, uint8_t ret[ROOM])
{
	struct array a = draw_array(state, NPY_TYPES);
	char text[160], shape[64] = "";
	for (int i = 0; i < a.ndim; i++)
		snprintf(shape + strlen(shape), sizeof(shape) - strlen(shape), "%u,", a.dim[i]);
	int n = snprintf(text, sizeof(text), "{'descr': '%s', 'fortran_order': False, 'shape': (%s), }\n",
		npy_types[a.type], shape);
	memcpy(ret, (uint8_t[]){0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (uint8_t)n, 0}, 10);
	memcpy(ret + 10, text, (size_t)n);
	return 10 + (size_t)n + fill(state, ret + 10 + n, a.elements, npy_sizes[a.type]);
}

/* One part changed, made anew, taken away or put in. */
static void change(uint32_t *state, struct parts *p, uint8_t room[ROOM], size_t (*make)(uint32_t *, uint8_t *))
{
	uint32_t what = json_mutate_draw(state, 6);
	if (p->n == 0 || (what == 0 && p->n < PARTS_MAX)) {
		p->list[p->n++] = (struct part){(uint8_t)json_mutate_draw(state, PART_NAMES), room, make(state, room)};
		return;
	}
	struct part *part = &p->list[json_mutate_draw(state, (uint32_t)p->n)];
	if (what == 1) {
		*part = p->list[--p->n];
	} else if (what == 2) {
		part->name = (uint8_t)json_mutate_draw(state, PART_NAMES);
	} else if (what == 3) {
		*part = (struct part){part->name, room, make(state, room)};
	} else if (part->size <= ROOM / 2) {
		memcpy(room, part->bytes, part->size);
		*part = (struct part){part->name, room, LLVMFuzzerMutate(room, part->size, ROOM / 2)};
	}
}

size_t mutate_idx(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t state = seed;
	struct parts p;
	uint8_t room[ROOM], out[ROOM];
	if (json_mutate_draw(&state, 8) == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	parts_of_files(data, size, &p);
	change(&state, &p, room, make_idx);
	size_t n = parts_write_files(&p, out, max_size < ROOM ? max_size : ROOM);
	if (n == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(data, out, n);
	return n;
}

size_t mutate_npz(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t state = seed;
	struct parts p;
	uint8_t room[ROOM], out[ROOM];
	if (json_mutate_draw(&state, 8) == 0 || !parts_of_zip(data, size, &p))
		return LLVMFuzzerMutate(data, size, max_size);
	change(&state, &p, room, make_npy);
	size_t n = parts_write_zip(&p, out, max_size < ROOM ? max_size : ROOM);
	if (n == 0)
		return LLVMFuzzerMutate(data, size, max_size);
	memcpy(data, out, n);
	return n;
}
