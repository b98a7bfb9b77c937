/*
 * optim.h - what an optimizer is: a row in a table, one file each.
 *
 * An optimizer turns its arguments and the step's number into a few coefficients, once a step; a kernel then moves a
 * block of the flat vectors with them (kernels/update.h). How blocks are cut and threaded is train/update.c's.
 */
#ifndef BP_OPTIMS_OPTIM_H
#define BP_OPTIMS_OPTIM_H

#include "base/item.h"
#include "kernels/kernels.h"
#include "kernels/update.h"

/* Bounds of every optimizer's lr: above 0, and no rate beyond the upper one has ever trained anything. */
#define BP_LR_MIN 1e-20
#define BP_LR_MAX 1e4

/* Lines of argument tables that are the same for many. */
#define BP_OPTIM_LR(value)                                                                                             \
	{                                                                                                              \
		.name = "lr", .kind = BP_ARG_REAL, .def = {value}, .min = BP_LR_MIN, .max = BP_LR_MAX,                 \
		.help = "Learning rate."                                                                               \
	}
#define BP_OPTIM_EPS(value)                                                                                            \
	{                                                                                                              \
		.name = "eps", .kind = BP_ARG_REAL, .def = {value}, .min = 0, .max = 1,                                \
		.help = "Added below the fraction bar, so that it is never 0."                                         \
	}
#define BP_OPTIM_DECAY(value, help_text)                                                                               \
	{                                                                                                              \
		.name = "weight_decay", .kind = BP_ARG_REAL, .def = {value}, .min = 0, .max = 1e4, .help = help_text   \
	}
#define BP_OPTIM_L2 "L2 penalty: this times the weight is added to the gradient."
#define BP_OPTIM_DECOUPLED "Each step first multiplies the weight by 1 - lr times this."

struct bp_optim_ops {
	struct bp_item_info info;
	/* Arguments that exclude each other, beyond their bounds; NULL when there is nothing to check. */
	enum bp_status (*check)(const struct bp_item *item, struct bp_error *err);
	/* State vectors as long as the weights, 0..BP_UPDATE_STATES; they start as zeros. */
	int (*states)(const struct bp_item *item);
	/* Coefficients of optimizer step `step` (from 0) at learning rate lr. */
	void (*prepare)(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret);
	/* Moves one block. */
	void (*update)(const struct bp_kernels *k, const struct bp_update *u);
};

#define OPTIM(id) extern const struct bp_optim_ops bp_optim_##id;
#include "optims/optims.def"

/* NULL when type is out of range. Static. */
const struct bp_optim_ops *bp_optim_at(int type);
/* The argument "lr", which every optimizer has: the base of the schedule. */
double bp_optim_lr(const struct bp_item *item);

#endif
