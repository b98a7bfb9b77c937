/*
 * norm.h - the arguments of the batch normalisation kernels. Rows are (sample, pixel) pairs, columns are channels.
 *
 *	norm_stats	of each column, in two passes over rows that stay in cache: the mean is ret[MEAN] + ret[REST],
 *where REST is what rounding lost, and M2 is the sum of squared deviations from it norm_apply	y = (x - mean) * scale
 *+ shift, then ReLU; y may be x norm_grad_sums	sum of g and of g * (x - mean) over the rows norm_grad	dx = g * scale
 *- ((x - mean) * slope + offset); dx may be dy
 *
 * g is dy, but with relu 0 where (x - mean) * scale + shift <= 0: the mask is made again from x, so that y is not read.
 */
#ifndef BP_NORM_H
#define BP_NORM_H

#include "backprop.h"

enum { BP_NORM_MEAN, BP_NORM_REST, BP_NORM_M2, BP_NORM_STATS };

struct bp_norm {
	size_t rows, c;
	bool relu;
	const bp_real *scale, *shift, *mean, *slope, *offset; /* c values each; only those of the formula are read */
};

#endif
