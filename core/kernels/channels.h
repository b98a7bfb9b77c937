/* channels.h - the arguments of the prelu_grad kernel. */
#ifndef BP_CHANNELS_H
#define BP_CHANNELS_H

#include "backprop.h"

/*
 * Over rows x c elements, with g = dy where x > 0 and slope[j] dy elsewhere: dx = g, or dx += with acc, unless dx is
 * NULL; ret_slope[j] = sum over the rows of x dy where x <= 0.
 */
struct bp_prelu_grad {
	size_t rows, c;
	const bp_real *slope; /* c values */
	const bp_real *x, *dy;
	bool acc;
	bp_real *dx; /* may be dy */
	bp_real *ret_slope;
};

#endif
