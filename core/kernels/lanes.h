/* lanes.h - moving elements within vectors; for kernels whose lanes have to meet. */
#ifndef BP_LANES_H
#define BP_LANES_H

#include "kernels/vec.h"

/* VLEN, for the preprocessor; EACH_LANE(f): f(0), f(1), ... f(VLEN - 1). */
#ifdef BP_DOUBLE
#define LANES (VBYTES / 8)
#else
#define LANES (VBYTES / 4)
#endif
#if LANES == 2
#define EACH_LANE(f) f(0), f(1)
#elif LANES == 4
#define EACH_LANE(f) f(0), f(1), f(2), f(3)
#elif LANES == 8
#define EACH_LANE(f) f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7)
#else
#define EACH_LANE(f)                                                                                                   \
	f(0), f(1), f(2), f(3), f(4), f(5), f(6), f(7), f(8), f(9), f(10), f(11), f(12), f(13), f(14), f(15)
#endif

/* Of the 2 VLEN elements of a and b, one after the other: those at even and at odd places. */
VEC_INLINE vec vec_evens(vec a, vec b)
{
#define LANE(l) (2 * (l))
	return __builtin_shufflevector(a, b, EACH_LANE(LANE));
#undef LANE
}
VEC_INLINE vec vec_odds(vec a, vec b)
{
#define LANE(l) (2 * (l) + 1)
	return __builtin_shufflevector(a, b, EACH_LANE(LANE));
#undef LANE
}

/* Each element of the first and of the second half of v twice. */
VEC_INLINE vec vec_twice_low(vec v)
{
#define LANE(l) ((l) / 2)
	return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
}
VEC_INLINE vec vec_twice_high(vec v)
{
#define LANE(l) (LANES / 2 + (l) / 2)
	return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
}

/* Lane l gets what lane l ^ by had; by is 1, 2, 4 or 8, less than VLEN, and known when compiled. */
VEC_INLINE vec vec_swap(vec v, const int by)
{
#define LANE(l) (((l) ^ 1) % LANES)
	if (by == 1)
		return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
#define LANE(l) (((l) ^ 2) % LANES)
	if (by == 2)
		return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
#define LANE(l) (((l) ^ 4) % LANES)
	if (by == 4)
		return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
#define LANE(l) (((l) ^ 8) % LANES)
	return __builtin_shufflevector(v, v, EACH_LANE(LANE));
#undef LANE
}

/* Sum of the lanes, halves onto halves: always in this order. */
VEC_INLINE bp_real vec_sum(vec v)
{
#pragma GCC unroll 4
	for (int half = VLEN / 2; half; half /= 2)
		v += vec_swap(v, half);
	return v[0];
}

/* Largest of the lanes; a NaN may be lost. */
VEC_INLINE bp_real vec_largest(vec v)
{
#pragma GCC unroll 4
	for (int half = VLEN / 2; half; half /= 2)
		v = vec_max(v, vec_swap(v, half));
	return v[0];
}

#endif
