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
	const bp_real *const
		*ahead; /* NULL, or lines that are asked for, of points * channels elements; up to a NULL */
};

struct bp_norm;

/*
 * A line of `points` inputs, whose gradients are dx[p][j] = (acc ? the same : 0) + sum over taps (a, b) of kh x kw of
 * G_ab[p][j] * W_ab[j], and their share in the gradient of the weights, dW_ab[j] += sum over p of G_ab[p][j] * X[p][j].
 * G_ab[p] is at g + a * g_line + p * channels + b * g_tap; W and dW of a tap at a * w_line + b * w_tap; x and dx of
 * point p at p * step. Steps are in elements. With a norm, X is the norm of x (norm.h; its rows are not read).
 */
struct bp_depthwise_backward {
	size_t points, channels;
	int kh, kw;
	const bp_real *g;
	ptrdiff_t g_line, g_tap;
	const bp_real *w;
	bp_real *dw; /* NULL: not wanted */
	ptrdiff_t w_line, w_tap;
	const bp_real *x;
	bp_real *dx; /* NULL: not wanted */
	size_t step;
	bool acc;
	const struct bp_norm *norm;  /* or NULL */
	bp_real *sum, *dot;          /* NULL, or what the norm's gradient sums up is added here; with dx and dw */
	const bp_real *const *ahead; /* as above */
};

#endif
