/* spmm.h - products of a matrix that is mostly zeros with a panel of a dense one: their arguments. */
#ifndef BP_SPMM_H
#define BP_SPMM_H

#include "backprop.h"

#include <stdint.h>

enum {
	BP_SPMM_COLS = 64,            /* of a panel, at most */
	BP_SPMM_SKIPPED = UINT16_MAX, /* number of places of a row that is none of the product's */
	BP_NONZEROS_SPILL = 16,       /* places that the list of nonzeros needs beyond its elements */
	BP_NONZEROS_MOST = 65536      /* elements that it can number */
};

/*
 * C[i][j] = (acc ? C[i][j] : 0) + sum over p < counts[i] of A[i][places[i][p]] * B[places[i][p]][j], then + bias[j] and
 * ReLU, for j < cols <= BP_SPMM_COLS and i < rows, but for those skipped, which are left as they are. Places ascend.
 * Rows of A, of the lists, of B and of C are lda, count_step and place_step, ldb and ldc elements apart. B may be read
 * up to the next multiple of the vector's length of cols.
 */
struct bp_spmm {
	size_t rows, cols;
	const bp_real *a;
	size_t lda;
	const uint16_t *counts, *places;
	size_t count_step, place_step;
	const bp_real *b;
	size_t ldb;
	bp_real *c;
	size_t ldc;
	const bp_real *bias; /* cols values, or NULL */
	bool acc, relu;
};

#endif
