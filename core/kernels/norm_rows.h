/*
 * norm_rows.h - the arguments of the kernels that normalise each row or column by itself, as layer normalisation does.
 *
 * norm_rows: y = (x - mean) * invstd * weight + bias, where mean and invstd = 1 / sqrt(variance + eps) are the row's
 * own, of its n elements, and the variance is the biased one; y may be x.
 *
 * norm_rows_grad: dx, or dx += with acc, through that; dweight and dbias are added to; dx may be dy, or NULL.
 *
 * norm_columns, norm_columns_grad: the same where x, y, dy and dx lie transposed, as n lines of `rows` elements.
 */
#ifndef BP_NORM_ROWS_H
#define BP_NORM_ROWS_H

#include "backprop.h"

struct bp_norm_rows {
	size_t rows, n;
	double eps;
	const bp_real *weight, *bias; /* n each; NULL: 1 and 0 */
	bp_real *mean, *invstd;       /* of each row: written by norm_rows (unless NULL), read by norm_rows_grad */
	bp_real *dweight, *dbias;     /* n each; NULL: not wanted */
};

#endif
