/* outer.h - the arguments of the outer-product kernel, which makes the gradient of weights. */
#ifndef BP_OUTER_H
#define BP_OUTER_H

#include "backprop.h"

/* count pixels: pixel q has its row of X at x + q * x_step and its row of dY at dY's row first + q. */
struct bp_run {
	const bp_real *x;
	size_t first, count;
};

/*
 * C[i][j] = (acc ? C[i][j] : 0) + sum over all pixels of all runs of X[pixel][x_off + i] * dY[pixel][j], for i < rows
 * and j < cols of a tile (kernels.h). Row i of C is at c + i * ldc, rows of dY are dy_step elements apart. dY may be
 * read up to the next multiple of the vector's length of cols. With vectors of 64 bytes, BP_OUTER_AHEAD bytes of what
 * lies at `ahead` are asked for with each pixel, or the line each ahead_step bytes: a load among two dozen
 * multiply-adds, where a sweep that asks for more waits.
 */
enum { BP_OUTER_AHEAD = 32 };

struct bp_outer {
	int rows, cols;
	size_t nruns;
	const struct bp_run *runs;
	size_t x_step, x_off;
	const bp_real *dy;
	size_t dy_step;
	bp_real *c;
	size_t ldc;
	bool acc;
	const void *ahead; /* or NULL */
	size_t ahead_step; /* bytes from pixel to pixel; 0: BP_OUTER_AHEAD */
};

#endif
