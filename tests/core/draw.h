/* draw.h - random numbers for tests: splitmix64 (Steele, Lea, Flood, 2014), the same on every machine. */
#ifndef TESTS_DRAW_H
#define TESTS_DRAW_H

#include "backprop.h"

struct draw {
	uint64_t state;
};

static inline uint64_t draw_bits(struct draw *d)
{
	uint64_t z = d->state += 0x9e3779b97f4a7c15u;
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}
/* In [lo, hi]. */
static inline int draw_int(struct draw *d, int lo, int hi)
{
	return lo + (int)(draw_bits(d) % (uint64_t)(hi - lo + 1));
}
static inline bool draw_bool(struct draw *d)
{
	return draw_bits(d) >> 63;
}
/* In [-1, 1). */
static inline bp_real draw_real(struct draw *d)
{
	return (bp_real)((double)(draw_bits(d) >> 40) / (1 << 23) - 1);
}
static inline void draw_reals(struct draw *d, bp_real *ret, size_t n)
{
	for (size_t i = 0; i < n; i++)
		ret[i] = draw_real(d);
}

#endif
