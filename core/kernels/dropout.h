/* dropout.h - the arguments of the dropout kernel. */
#ifndef BP_DROPOUT_H
#define BP_DROPOUT_H

#include "backprop.h"

enum { BP_DROPOUT_GROUP = 64 }; /* elements whose numbers are drawn together; `first` is a multiple */

/*
 * y[i] = x[i] * m, or y[i] += with acc, where m is `scale` when number `first + i` of the generator is at least `drop`,
 * else 0. Number e is the word e % 4 of Philox4x32-10 at counter e / 4 of stream BP_RNG_DROPOUT, sub 0, keyed by seed.
 */
struct bp_dropout {
	size_t n;
	uint64_t seed, first;
	uint64_t drop; /* 0 .. 2^32: keeps all, keeps none */
	bp_real scale;
	const bp_real *x;
	bool acc;
	bp_real *y; /* may be x */
};

#endif
