/* igemm.h - the arguments of the indirect GEMM, the kernel under every convolution and linear layer. */
#ifndef BP_IGEMM_H
#define BP_IGEMM_H

#include "backprop.h"

/*
 * C[i][j] = (acc ? C[i][j] : 0) + sum over t < taps and k < kc of A_t[i][k] * B[t * kc + k][j], then + bias[j] and
 * ReLU, for i < rows and j < cols of a tile (kernels.h). Row i of C is at c[i] + col; row i of A_t is at a[t * a_stride
 * + i] + k0. B has rows of ldb elements and may be read up to the next multiple of the vector's length of cols.
 * Wide tiles with vectors of 64 bytes ask for BP_IGEMM_AHEAD bytes, a line, of what lies at `ahead` with each of the
 * taps * kc steps: a load among two dozen multiply-adds, where a burst of them waits.
 *
 * idot does the same with B by columns, B[k][j] at b[j * ldb + k], and reads no more of it than there is. `ahead` is
 * nothing to it.
 */
enum { BP_IGEMM_AHEAD = 64 };

struct bp_igemm {
	int rows, cols;
	size_t taps, kc;
	const bp_real *const *a;
	size_t a_stride; /* pointers from one tap to the next */
	size_t k0;
	const bp_real *b;
	size_t ldb;
	bp_real *const *c;
	size_t col;
	const bp_real *bias; /* cols values, or NULL */
	bool acc, relu;
	const void *ahead; /* or NULL */
};

#endif
