/* depthwise.h - the arguments of the kernels of depthwise convolutions (one input and one output channel a group). */
#ifndef BP_DEPTHWISE_H
#define BP_DEPTHWISE_H

#include "kernels/outer.h"

/*
 * C[p][j] = (acc ? C[p][j] : 0) + sum over t < taps of A_t[p][j] * W_t[j], then + bias[j] and ReLU, for p < points and
 * j < channels. Row p of C is at c[p], row p of A_t at a[t * a_stride + p], W_t at w[t].
 */
struct bp_depthwise {
	size_t points, channels, taps;
	const bp_real *const *a;
	size_t a_stride;
	const bp_real *const *w;
	bp_real *const *c;
	const bp_real *bias; /* or NULL */
	bool acc, relu;
};

/*
 * DW[t * channels + j] = (acc ? the same : 0) + sum over the pixels of tap t's runs of X[pixel][j] * dY[pixel][j]. Tap
 * t's nruns[t] runs begin at runs[t * runs_stride]; rows of X are x_step elements apart, those of dY dy_step.
 */
struct bp_depthwise_weights {
	size_t channels, taps;
	const struct bp_run *runs;
	size_t runs_stride;
	const size_t *nruns;
	size_t x_step, dy_step;
	const bp_real *dy;
	bp_real *dw;
	bool acc;
};

#endif
