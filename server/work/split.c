/* split.c - see split.h. */
#include "work/split.h"

#include <stdlib.h>

/* SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014). */
static uint64_t next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
	z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
	return z ^ (z >> 31);
}

/* In [0, bound): the high half of a 32 x 32 bit product (Lemire 2019, without the rejection: the bias is 2^-32). */
static uint32_t below(uint64_t *state, uint32_t bound)
{
	return (uint32_t)(((next(state) >> 32) * bound) >> 32);
}

bool split_draw(uint64_t seed, uint32_t n, uint32_t nval, uint32_t *ret_index)
{
	unsigned char *chosen = calloc(n ? n : 1, 1);
	if (!chosen)
		return false;
	/* Floyd's sampling without replacement (Bentley and Floyd 1987): nval draws, whatever n is. */
	for (uint32_t top = n - nval; top < n; top++) {
		uint32_t pick = below(&seed, top + 1);
		chosen[chosen[pick] ? top : pick] = 1;
	}
	uint32_t train = 0, val = n - nval;
	for (uint32_t i = 0; i < n; i++)
		if (chosen[i])
			ret_index[val++] = i;
		else
			ret_index[train++] = i;
	free(chosen);
	return true;
}
