/* crc32c.c - see crc32c.h. Called by file.c. */
#include "train/crc32c.h"

#include <string.h>

enum { POLYNOMIAL = 0x82f63b78u }; /* reflected */

#if defined __x86_64__

static bool has_instruction(void)
{
	return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2"))) static uint32_t add_by_instruction(uint32_t s, const unsigned char *p, size_t n)
{
	for (; n >= 8; n -= 8, p += 8) {
		uint64_t word;
		memcpy(&word, p, sizeof(word));
		s = (uint32_t)__builtin_ia32_crc32di(s, word);
	}
	for (; n; n--, p++)
		s = __builtin_ia32_crc32qi(s, *p);
	return s;
}

#else

static bool has_instruction(void)
{
	return false;
}

static uint32_t add_by_instruction(uint32_t s, const unsigned char *p, size_t n)
{
	(void)p;
	(void)n;
	return s;
}

#endif

void bp_crc32c_init(struct bp_crc32c *c)
{
	c->by_instruction = has_instruction();
	if (c->by_instruction)
		bp_crc32c_restart(c);
	else
		bp_crc32c_init_tables(c);
}

void bp_crc32c_init_tables(struct bp_crc32c *c)
{
	c->by_instruction = false;
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t r = i;
		for (int bit = 0; bit < 8; bit++)
			r = r >> 1 ^ (r & 1 ? POLYNOMIAL : 0);
		c->table[0][i] = r;
	}
	for (int t = 1; t < 8; t++)
		for (int i = 0; i < 256; i++)
			c->table[t][i] = c->table[t - 1][i] >> 8 ^ c->table[0][c->table[t - 1][i] & 255];
	bp_crc32c_restart(c);
}

void bp_crc32c_restart(struct bp_crc32c *c)
{
	c->state = ~0u;
}

void bp_crc32c_add(struct bp_crc32c *c, const void *bytes, size_t n)
{
	const unsigned char *p = bytes;
	uint32_t s = c->state;
	if (c->by_instruction) {
		c->state = add_by_instruction(s, p, n);
		return;
	}
	for (; n >= 8; n -= 8, p += 8) {
		s ^= (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		s = c->table[7][s & 255] ^ c->table[6][s >> 8 & 255] ^ c->table[5][s >> 16 & 255] ^
		    c->table[4][s >> 24] ^ c->table[3][p[4]] ^ c->table[2][p[5]] ^ c->table[1][p[6]] ^
		    c->table[0][p[7]];
	}
	for (; n; n--, p++)
		s = s >> 8 ^ c->table[0][(s ^ *p) & 255];
	c->state = s;
}

uint32_t bp_crc32c_value(const struct bp_crc32c *c)
{
	return ~c->state;
}
