/*
 * crc32c.h - CRC-32C (Castagnoli; the polynomial of RFC 3720), by the processor's own instruction where there is one
 * (SSE4.2), else eight bytes at a time with eight tables, as in Kounavis and Berry, "A systematic approach to building
 * high performance software-based CRC generators", 2005. Any thread.
 */
#ifndef BP_TRAIN_CRC32C_H
#define BP_TRAIN_CRC32C_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The tables travel with the sum: they are made in microseconds, and the library has no globals. */
struct bp_crc32c {
	uint32_t table[8][256];
	uint32_t state;
	bool by_instruction; /* then no table was made */
};

void bp_crc32c_init(struct bp_crc32c *c);
/* The same sums by the tables, whatever the processor has. */
void bp_crc32c_init_tables(struct bp_crc32c *c);
/* Another sum by the same tables. */
void bp_crc32c_restart(struct bp_crc32c *c);
void bp_crc32c_add(struct bp_crc32c *c, const void *bytes, size_t n);
/* Of all bytes added since init or restart. */
uint32_t bp_crc32c_value(const struct bp_crc32c *c);

#endif
