/*
 * exp.h - the exponential function on vectors, for kernels; accurate to about 2 units in the last place. And sigmoid.
 *
 * exp(x) = 2^k * e^r with k = round(x / ln 2) and |r| <= ln(2) / 2; ln 2 is subtracted in two parts, so that r is exact
 * (Cody and Waite, "Software Manual for the Elementary Functions", 1980); e^r - 1 is its Taylor series.
 */
#ifndef BP_EXP_H
#define BP_EXP_H

#include "kernels/vec.h"

#ifdef BP_DOUBLE
#define EXP_LOWEST (-708.0)
#define EXP_HIGHEST 709.0
#define EXP_ROUND 6755399441055744.0 /* 1.5 * 2^52: adding it rounds to an integer, kept in the low bits */
#define EXP_LN2_HIGH 0x1.62e42feep-1
#define EXP_LN2_LOW 0x1.a39ef35793c76p-33
enum { EXP_TERMS = 14, EXP_MANTISSA = 52, EXP_BIAS = 1023 };
#else
#define EXP_LOWEST (-87.0f)
#define EXP_HIGHEST 88.0f
#define EXP_ROUND 12582912.0f /* 1.5 * 2^23 */
#define EXP_LN2_HIGH 0x1.62ep-1f
#define EXP_LN2_LOW 0x1.0bfbe8p-15f
enum { EXP_TERMS = 7, EXP_MANTISSA = 23, EXP_BIAS = 127 };
#endif

/* exp(x) = two_k + two_k * *ret_m1 for x between EXP_LOWEST and EXP_HIGHEST; x beyond counts as the bound. A NaN stays
 * in *ret_m1. Returns two_k. */
VEC_INLINE vec vec_exp_parts(vec x, vec *ret_m1)
{
	x = vec_min(vec_max(x, vec_splat((bp_real)EXP_LOWEST)), vec_splat((bp_real)EXP_HIGHEST));
	vec shifted = x * vec_splat((bp_real)1.4426950408889634) + vec_splat(EXP_ROUND);
	vint k = (vint)shifted - (vint)vec_splat(EXP_ROUND);
	vec kf = shifted - vec_splat(EXP_ROUND);
	vec r = x - kf * vec_splat(EXP_LN2_HIGH) - kf * vec_splat(EXP_LN2_LOW);
	/* 1 / n!, from the last term down, so that m1 = r + r^2/2! + ... */
	static const double inverse_factorial[] = {0, 1, 1.0 / 2, 1.0 / 6, 1.0 / 24, 1.0 / 120, 1.0 / 720, 1.0 / 5040,
		1.0 / 40320, 1.0 / 362880, 1.0 / 3628800, 1.0 / 39916800, 1.0 / 479001600, 1.0 / 6227020800,
		1.0 / 87178291200};
	vec m1 = vec_splat((bp_real)inverse_factorial[EXP_TERMS]);
#pragma GCC unroll 16
	for (int n = EXP_TERMS - 1; n >= 1; n--)
		m1 = m1 * r + vec_splat((bp_real)inverse_factorial[n]);
	*ret_m1 = m1 * r;
	return (vec)((k + vint_splat(EXP_BIAS)) << vint_splat(EXP_MANTISSA));
}

VEC_INLINE vec vec_exp(vec x)
{
	vec m1, two_k = vec_exp_parts(x, &m1);
	return two_k + two_k * m1;
}

/* The same, but 0 where x is below EXP_LOWEST. */
VEC_INLINE vec vec_exp_or_0(vec x)
{
	return vec_keep(~(x < vec_splat((bp_real)EXP_LOWEST)), vec_exp(x));
}

/* exp(x) - 1, accurate near 0 too. */
VEC_INLINE vec vec_expm1(vec x)
{
	vec m1, two_k = vec_exp_parts(x, &m1);
	return (two_k - vec_splat(1)) + two_k * m1;
}

/* 1 / (1 + e) for x >= 0, e / (1 + e) below, with e = exp(-|x|), which cannot overflow. The slope is e / (1 + e)^2 on
 * both sides: nothing is lost near 1. */
VEC_INLINE vec vec_sigmoid(vec x, vec *ret_slope)
{
	vec e = vec_exp_or_0(-vec_abs(x)), inverse = vec_splat(1) / (vec_splat(1) + e), low = e * inverse;
	*ret_slope = low * inverse;
	return vec_select(x < vec_zero(), low, inverse);
}

#endif
