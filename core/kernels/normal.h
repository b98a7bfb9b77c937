/*
 * normal.h - the tail of the normal distribution on vectors, for kernels; with small relative error everywhere, which
 * 1 - erf(z / sqrt(2)) has not.
 *
 * P(X > z) = exp(-z^2 / 2) R(z) for z >= 0, where R falls slowly from 1/2 like 1 / (z sqrt(2 pi)). (z + 4) R(z) is
 * smooth in t = (z - 4) / (z + 4), which brings all of z >= 0 to [-1, 1), and is interpolated there at Chebyshev's
 * points (after Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc(x)", 1981). The relative
 * error of the polynomial is 1.2e-8 in single precision and 5e-16 in double; that of z^2 grows with z^2.
 */
#ifndef BP_NORMAL_H
#define BP_NORMAL_H

#include "kernels/exp.h"

#define NORMAL_FAR 40 /* beyond it the tail is 0 in either precision */

/* Of z >= 0: returns the tail, and exp(-z^2 / 2). A NaN stays in both. */
VEC_INLINE vec vec_normal_tail(vec z, vec *ret_bell)
{
#ifdef BP_DOUBLE
	static const double terms[] = {0.755285130415751277, -0.607896641971888217, 0.387137400742271959,
		-0.186521857960022015, 0.0603965748883658154, -0.00754018895684604982, -0.00347969232159904521,
		0.00163081833708687942, 0.000133343886141887101, -0.000231094143851564811, -1.90590596235226295e-6,
		0.0000351416471725313967, 7.08470432186666454e-7, -5.91316908916740716e-6, -6.11216443370811583e-7,
		1.01217134706195633e-6, 2.44984267168651289e-7, -1.48770654126155655e-7, -6.13614826940547816e-8,
		1.300545203891007e-8, 7.60696485261495417e-9};
#else
	static const double terms[] = {0.755285138, -0.6078966306, 0.3871366971, -0.1865223455, 0.06040682435,
		-0.007531534601, -0.003528755526, 0.001576009655, 0.0002084661617, -0.0001171377523};
#endif
	enum { TERMS = sizeof terms / sizeof terms[0] };
	z = vec_min(z, vec_splat(NORMAL_FAR));
	vec inverse = vec_splat(1) / (z + vec_splat(4)), t = (z - vec_splat(4)) * inverse;
	vec sum = vec_splat((bp_real)terms[TERMS - 1]);
#pragma GCC unroll 32
	for (int n = TERMS - 2; n >= 0; n--)
		sum = sum * t + vec_splat((bp_real)terms[n]);
	*ret_bell = vec_exp_or_0(z * z * vec_splat((bp_real)-0.5));
	return *ret_bell * sum * inverse;
}

#endif
