/* depthwise.h - the arguments of the kernels of depthwise convolutions (one input and one output channel a group). */
#ifndef BP_DEPTHWISE_H
#define BP_DEPTHWISE_H

#include "backprop.h"

/*
 * A line of `points` outputs and what they read: point p reads, through tap (a, b) of kh x kw, the channels at
 * x + a * line_step + p * step + b * tap_step; steps are in elements. Padding is in X: every tap can be read.
 */
struct bp_depthwise_line {
	size_t points, channels;
	int kh, kw;
	const bp_real *x;
	size_t line_step, step, tap_step;
};

/*
 * y[p][j] = (acc ? the same : 0) + sum over taps t of X_t[p][j] * W_t[j], then + bias[j] and ReLU. W_t is at
 * w + t * w_step.
 */
struct bp_depthwise {
	struct bp_depthwise_line line;
	const bp_real *w;
	ptrdiff_t w_step;
	bp_real *y;
	const bp_real *bias; /* or NULL */
	bool acc, relu;
};

/* dw[t * channels + j] += sum over p of X_t[p][j] * dy[p * channels + j]. */
struct bp_depthwise_weights {
	struct bp_depthwise_line line;
	const bp_real *dy;
	bp_real *dw;
};

#endif
