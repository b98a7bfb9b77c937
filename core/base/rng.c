/* rng.c - see rng.h. */
#include "base/rng.h"

enum { ROUNDS = 10 };

/* The paper's multipliers and Weyl constants. */
static const uint32_t mul0 = 0xD2511F53u, mul1 = 0xCD9E8D57u, weyl0 = 0x9E3779B9u, weyl1 = 0xBB67AE85u;

void bp_rng_block(uint64_t seed, enum bp_stream stream, uint32_t sub, uint64_t counter, uint32_t ret[4])
{
	uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32), c2 = sub, c3 = (uint32_t)stream;
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
	for (int round = 0; round < ROUNDS; round++) {
		uint64_t p0 = (uint64_t)mul0 * c0, p1 = (uint64_t)mul1 * c2;
		c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)p1;
		c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p0;
		k0 += weyl0;
		k1 += weyl1;
	}
	ret[0] = c0;
	ret[1] = c1;
	ret[2] = c2;
	ret[3] = c3;
}
