/*
 * rng.h - Philox4x32-10, the counter-based generator (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * 2011).
 *
 * A number is a function of (seed, stream, counter) alone: no state, no order, so threads and restarts change nothing.
 * Streams keep the uses apart.
 */
#ifndef BP_BASE_RNG_H
#define BP_BASE_RNG_H

#include <stdint.h>

enum bp_stream { BP_RNG_INIT, BP_RNG_SHUFFLE, BP_RNG_DROPOUT, BP_RNG_SPLIT, BP_RNG_AUGMENT };

/* Four 32-bit numbers. sub: e.g. layer or epoch; counter: e.g. element / 4. */
void bp_rng_block(uint64_t seed, enum bp_stream stream, uint32_t sub, uint64_t counter, uint32_t ret[4]);
/* In [0, 1) with 24 bits. */
static inline float bp_rng_unit(uint32_t x)
{
	return (float)(x >> 8) * (1.0f / 16777216.0f);
}

#endif
