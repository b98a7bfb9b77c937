/* cross_entropy.h - the arguments of the cross_entropy kernel. */
#ifndef BP_KERNELS_CROSS_ENTROPY_H
#define BP_KERNELS_CROSS_ENTROPY_H

#include "backprop.h"

/*
 * Of each row of n outputs x, with p = softmax(x): ret_loss is -log p[label], and ret_gradient (rows x n, may be NULL)
 * is scale times the gradient of that through x: p, less 1 at the label. A NaN among a row's outputs makes all of it
 * NaN.
 */
struct bp_cross_entropy {
	size_t rows, n;
	const bp_real *x;
	const int32_t *labels; /* rows of them, each below n */
	bp_real scale;
	double *ret_loss; /* rows */
	bp_real *ret_gradient;
};

#endif
