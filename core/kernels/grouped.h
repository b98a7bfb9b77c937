/* grouped.h - the arguments of the kernels of grouped convolutions whose groups are narrower than a vector. */
#ifndef BP_GROUPED_H
#define BP_GROUPED_H

#include "backprop.h"

/*
 * Groups have `per` channels on both sides: 2, 4 or 8, at most and a divisor of the vector's length. Weights are kept
 * in panels of a vector of channels, `panel` elements apart, in which every tap has `per` vectors: lane j of vector r
 * is the weight between the source's channel j and the target's channel j ^ r, which is of the same group. So a vector
 * of the source is multiplied by all of its weights as it lies in memory, and lanes change their places once, when all
 * taps are summed. Panels, because rows as long as the map's would fall into the same few sets of the cache.
 */
enum { BP_GROUPED_LARGEST = 8 };

/*
 * y[p][j ^ r] = (acc ? the same : 0) + sum over taps (a, b) of kh x kw and r < per of X_ab[p][j] * W_ab[r][j], then +
 * bias and ReLU. X_ab[p] is at x + a * x_line + p * x_step + b * x_tap, W_ab at w + a * w_line + b * w_tap in every
 * panel, y[p] at y + p * y_step. Steps are in elements.
 */
struct bp_grouped {
	size_t points, channels;
	int kh, kw, per;
	const bp_real *x;
	ptrdiff_t x_line, x_tap, x_step;
	const bp_real *w;
	ptrdiff_t w_line, w_tap;
	size_t panel;
	bp_real *y;
	size_t y_step;
	const bp_real *bias; /* or NULL */
	bool acc, relu;
	const bp_real *const *ahead; /* NULL, or lines that are asked for (depthwise.h) */
};

/*
 * dW_ab[r][j] += sum over p of G_ab[p][j] * X[p][j ^ r]: the gradient of the weights as they are above with G for a
 * source. G_ab[p] is at g + a * g_line + p * channels + b * g_tap, X[p] at x + p * x_step, dW_ab as W_ab.
 */
struct bp_grouped_weights {
	size_t points, channels;
	int kh, kw, per;
	const bp_real *g;
	ptrdiff_t g_line, g_tap;
	const bp_real *x;
	size_t x_step;
	bp_real *dw;
	ptrdiff_t w_line, w_tap;
	size_t panel;
};

#endif
