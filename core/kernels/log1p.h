/*
 * log1p.h - log(1 + e) on vectors, for kernels; with small relative error, also where e is small.
 *
 * log(1 + e) = 2 artanh(s) with s = e / (2 + e), which is at most 1/3 for e <= 1: the series s + s^3 / 3 + s^5 / 5 +
 * ... gains a decimal digit a term.
 */
#ifndef BP_LOG1P_H
#define BP_LOG1P_H

#include "kernels/vec.h"

/* Of 0 <= e <= 1. A NaN stays. */
VEC_INLINE vec vec_log1p_unit(vec e)
{
	enum { TERMS = sizeof(bp_real) == 8 ? 16 : 8 };
	vec s = e / (vec_splat(2) + e), square = s * s;
	vec sum = vec_splat((bp_real)(2.0 / (2 * TERMS - 1)));
#pragma GCC unroll 16
	for (int n = TERMS - 2; n >= 0; n--)
		sum = sum * square + vec_splat((bp_real)(2.0 / (2 * n + 1)));
	return s * sum;
}

#endif
