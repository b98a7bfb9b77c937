/*
 * resample.h - maps whose pixels are weighted sums of another map's pixels, apart by rows and columns, as the
 * resampling kernel reads them. Made once from shapes by layers/upsample.c; the way back is the same with other lists.
 *
 * Along an axis, place o is the sum over begin[o] <= k < begin[o + 1] of weight[k] times place from[k].
 */
#ifndef BP_RESAMPLE_H
#define BP_RESAMPLE_H

#include "backprop.h"

struct bp_resample_axis {
	int in, out;
	int32_t *begin, *from;
	bp_real *weight;
};

struct bp_resample {
	struct bp_resample_axis v, h; /* rows, columns */
	int c;
};

#endif
