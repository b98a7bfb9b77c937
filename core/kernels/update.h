/*
 * update.h - what the kernels that read gradients and move weights are given: one block of the flat vectors.
 *
 * Blocks are small enough that a gradient that is clipped by value is still in the first cache when the optimizer reads
 * it. The order of sums depends on the block's length alone, and is the same in every kernel.
 */
#ifndef BP_KERNELS_UPDATE_H
#define BP_KERNELS_UPDATE_H

#include "backprop.h"

enum { BP_UPDATE_STATES = 3 };

struct bp_grad_sums {
	double squares;
	double max_abs; /* NaN is passed over */
	int64_t nonfinite;
};

struct bp_update_sums {
	double update_squares; /* of new weight - old weight */
	double weight_squares; /* of the new weights */
};

/* Coefficients of one optimizer step, in PyTorch's words. Each optimizer's prepare() sets those its kernel reads. */
struct bp_update_coef {
	bp_real scale; /* the gradient is multiplied by it, and left so: clip_grad_norm. 1: it is not written */
	bp_real lr;    /* learning rate; Adam: lr / bias_correction1; NAdam, Adagrad: what they make of it */
	bp_real l2;    /* weight_decay added to the gradient as l2 * w */
	bp_real decay; /* the weight is first multiplied by it: 1 - lr * weight_decay when it is decoupled, else 1 */
	bp_real keep;  /* SGD: momentum, 0 in the first step; RMSprop: momentum */
	bp_real take;  /* SGD: 1 - dampening, 1 in the first step */
	bp_real look;  /* SGD: momentum, what nesterov looks ahead by; NAdam: the rate of the gradient itself */
	bp_real first; /* Adagrad: initial_accumulator_value in the first step, else 0 */
	bool nesterov, centered;
	bp_real blend1, beta2,
		blend2;      /* Adam: 1 - beta1, beta2, 1 - beta2; RMSprop's alpha and Adadelta's rho: beta2 */
	bp_real root_scale2; /* Adam: 1 / sqrt(bias_correction2) */
	bp_real eps;
};

struct bp_update {
	int64_t n;
	bp_real *w, *g;
	bp_real *state[BP_UPDATE_STATES]; /* NULL for those the optimizer does not have */
	const struct bp_update_coef *coef;
	struct bp_update_sums *ret_sums; /* NULL: not wanted, nor ret_grad */
	struct bp_grad_sums *ret_grad;   /* of g as it is given, when coef->scale is 1; NULL: not wanted */
};

#endif
