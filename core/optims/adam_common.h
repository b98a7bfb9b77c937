/*
 * adam_common.h - the arguments and coefficients that Adam, AdamW and NAdam share (Kingma and Ba, "Adam: a method for
 * stochastic optimization", 2015). Included by adam.c, adamw.c and nadam.c.
 */
#ifndef BP_OPTIMS_ADAM_COMMON_H
#define BP_OPTIMS_ADAM_COMMON_H

#include "optims/optim.h"

/* What all have, then what Adam and AdamW have. */
enum {
	BP_ADAM_LR,
	BP_ADAM_BETAS,
	BP_ADAM_EPS,
	BP_ADAM_WEIGHT_DECAY,
	BP_ADAM_SHARED,
	BP_ADAM_AMSGRAD = BP_ADAM_SHARED,
	BP_ADAM_NARGS
};

#define BP_ADAM_SHARED_ARGS(lr, decay, decay_help)                                                                     \
	[BP_ADAM_LR] = BP_OPTIM_LR(lr),                                                                                \
	[BP_ADAM_BETAS] = {.name = "betas",                                                                            \
		.kind = BP_ARG_REAL_PAIR,                                                                              \
		.def = {0.9, 0.999},                                                                                   \
		.min = 0,                                                                                              \
		.max = 1 - 1e-7,                                                                                       \
		.help = "How much of the running means of the gradient and of its square is kept."},                   \
	[BP_ADAM_EPS] = BP_OPTIM_EPS(1e-8), [BP_ADAM_WEIGHT_DECAY] = BP_OPTIM_DECAY(decay, decay_help)
#define BP_ADAM_AMSGRAD_ARG                                                                                            \
	{                                                                                                              \
		.name = "amsgrad", .kind = BP_ARG_BOOL,                                                                \
		.help = "Divides by the root of the largest mean square so far (Reddi et al. 2018)."                   \
	}

/* The running means and their bias corrections; not the weight decay. */
void bp_adam_prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret);
int bp_adam_states(const struct bp_item *item);
void bp_adam_update(const struct bp_kernels *k, const struct bp_update *u);

#endif
