/*
 * pool.h - windows of pooling layers, as the pooling kernels read them. Made once from shapes by layers/window.c.
 *
 * Along each axis, output o takes taps[o] input places first[o], first[o] + step, ..., of which the first is number
 * tap0[o] of the kernel; those in the padding are left out. Averages have a step of 1. Backward goes the other way, so
 * that each input place has one writer: place i was read by outputs out[k] as their number tap[k], for back[i] <= k <
 * back[i + 1].
 */
#ifndef BP_POOL_H
#define BP_POOL_H

#include "backprop.h"

enum { BP_POOL_NO_TAP = 0xffff }; /* the place of the maximum of a window that lies in the padding alone */

struct bp_pool_axis {
	int in, out_count, step, kernel;
	bool apart;
	int32_t *first, *taps, *tap0;
	int32_t *span; /* places an average divides by */
	int32_t *back, *back_out, *back_tap;
};

struct bp_pool {
	struct bp_pool_axis v, h; /* rows, columns */
	int c;
};

#endif
