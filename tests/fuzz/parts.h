/*
 * parts.h - inputs that are made of parts: the files of an upload (fuzz_idx.c), the members of a zip. For targets and
 * mutators. One thread; bytes are borrowed from the input.
 */
#ifndef TESTS_FUZZ_PARTS_H
#define TESTS_FUZZ_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PARTS_MAX = 6, PART_NAMES = 8 };

struct parts {
	uint8_t choice; /* the input's first byte */
	int n;
	struct part {
		uint8_t name;
		const uint8_t *bytes;
		size_t size;
	} list[PARTS_MAX];
};

/* Names of IDX files and of a zip's members, by any byte. Static. */
const char *parts_file_name(uint8_t name);
const char *parts_member_name(uint8_t name);

/* Reads as much as is there. */
void parts_of_files(const uint8_t *data, size_t size, struct parts *ret);
/* Members that are stored and not packed. False when the input is something else. */
bool parts_of_zip(const uint8_t *data, size_t size, struct parts *ret);

/* Write at most max bytes; 0 when that is not enough. The parts lie outside of ret. */
size_t parts_write_files(const struct parts *p, uint8_t *ret, size_t max);
size_t parts_write_zip(const struct parts *p, uint8_t *ret, size_t max);

#endif
