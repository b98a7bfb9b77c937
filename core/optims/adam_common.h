/*
 * adam_common.h - the arguments and coefficients that Adam and AdamW share (Kingma and Ba, "Adam: a method for
 * stochastic optimization", 2015). Included by adam.c and adamw.c.
 */
#ifndef BP_OPTIMS_ADAM_COMMON_H
#define BP_OPTIMS_ADAM_COMMON_H

#include "optims/optim.h"

enum { BP_ADAM_LR, BP_ADAM_BETAS, BP_ADAM_EPS, BP_ADAM_WEIGHT_DECAY, BP_ADAM_NARGS };

#define BP_ADAM_ARGS(decay, decay_help)                                                                                \
	{                                                                                                              \
		[BP_ADAM_LR] = {.name = "lr",                                                                          \
			.kind = BP_ARG_REAL,                                                                           \
			.def = {1e-3},                                                                                 \
			.min = BP_LR_MIN,                                                                              \
			.max = BP_LR_MAX,                                                                              \
			.help = "Learning rate."},                                                                     \
		[BP_ADAM_BETAS] = {.name = "betas",                                                                    \
			.kind = BP_ARG_REAL_PAIR,                                                                      \
			.def = {0.9, 0.999},                                                                           \
			.min = 0,                                                                                      \
			.max = 1 - 1e-7,                                                                               \
			.help = "How much of the running means of the gradient and of its square is kept."},           \
		[BP_ADAM_EPS] = {.name = "eps",                                                                        \
			.kind = BP_ARG_REAL,                                                                           \
			.def = {1e-8},                                                                                 \
			.min = 0,                                                                                      \
			.max = 1,                                                                                      \
			.help = "Added to the root of the mean square, so that it is never 0."},                       \
		[BP_ADAM_WEIGHT_DECAY] = {.name = "weight_decay",                                                      \
			.kind = BP_ARG_REAL,                                                                           \
			.def = {decay},                                                                                \
			.min = 0,                                                                                      \
			.max = 1e4,                                                                                    \
			.help = decay_help},                                                                           \
	}

/* The running means and their bias corrections; not the weight decay. */
void bp_adam_prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret);
int bp_adam_states(const struct bp_item *item);
void bp_adam_update(const struct bp_kernels *k, const struct bp_update *u);

#endif
