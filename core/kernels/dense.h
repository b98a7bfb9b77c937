/* dense.h - the arguments of the dense kernel: all of a small matrix product in one call. */
#ifndef BP_DENSE_H
#define BP_DENSE_H

#include "backprop.h"

/*
 * C[i][j] = (acc ? C[i][j] : 0) + sum over k < inner of A[i][k] * B[k][j], then + bias[j] and ReLU, for i < rows and
 * j < cols; any sizes. A[i][k] is at a + i * a_row + k * a_step, so A may be read transposed; rows of B and C are ldb
 * and ldc elements apart. Nothing is read or written past their ends. ret_sums[j] is the sum of B[k][j] over k: where B
 * is the gradient of outputs, that of a bias.
 */
struct bp_dense {
	size_t rows, inner, cols;
	const bp_real *a;
	size_t a_row, a_step;
	const bp_real *b;
	size_t ldb;
	const bp_real *bias; /* cols values, or NULL */
	bool acc, relu;
	bp_real *c;
	size_t ldc;
	bp_real *ret_sums; /* cols, or NULL */
};

#endif
