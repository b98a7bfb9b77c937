/*
 * norm.h - the arguments of the batch normalisation kernels. Rows are (sample, pixel) pairs, columns are channels.
 *
 * norm_stats: of each column ret[MIDDLE], a value near the mean, and the sums of the deviations from it and of their
 * squares; with `more`, these are added to those of earlier rows (bp_norm_moments).
 *
 * norm_apply: y = (x - mean) * scale + shift, then the activation; y may be x.
 *
 * norm_grad_sums: the sums of g and of g * (x - mean) over the rows; with `more`, added to those of earlier rows.
 *
 * norm_grad: dx = g * scale - ((x - mean) * slope + offset); dx may be dy.
 *
 * g is dy through the activation of (x - mean) * scale + shift: that is made again from x, so that y is not read.
 */
#ifndef BP_NORM_H
#define BP_NORM_H

#include "kernels/kernels.h"

enum { BP_NORM_MIDDLE, BP_NORM_SUM, BP_NORM_SQUARES, BP_NORM_STATS };

struct bp_norm {
	size_t rows, c;
	enum bp_act act;
	const bp_real *scale, *shift, *mean, *slope, *offset; /* c values each; only those of the formula are read */
};

/* Mean and sum of squared deviations from it, of so many rows, from the stats of a column. */
static inline void bp_norm_moments(const bp_real stats[BP_NORM_STATS], double rows, double *ret_mean, double *ret_m2)
{
	const double sum = stats[BP_NORM_SUM], m2 = stats[BP_NORM_SQUARES] - sum / rows * sum;
	*ret_mean = stats[BP_NORM_MIDDLE] + sum / rows;
	*ret_m2 = m2 < 0 ? 0 : m2;
}

#endif
