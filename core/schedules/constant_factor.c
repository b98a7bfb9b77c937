/*
 * constant_factor.c - ConstantLR, as torch.optim.lr_scheduler.ConstantLR: a share of the learning rate for some epochs.
 * Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

enum { FACTOR, TOTAL_ITERS, NARGS };

static const struct bp_arg args[] = {
	[FACTOR] = {.name = "factor", .kind = BP_ARG_REAL, .def = {1.0 / 3}, .min = 0, .max = 1, .help = "The share."},
	[TOTAL_ITERS] = {.name = "total_iters",
		.kind = BP_ARG_INT,
		.def = {5},
		.min = 0,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs that run at it; then the whole learning rate."},
};

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	return at->epoch < bp_item_int(item, TOTAL_ITERS) ? at->lr * bp_item_real(item, FACTOR) : at->lr;
}

const struct bp_schedule_ops bp_schedule_constant_factor = {
	.info = {.name = "ConstantLR",
		.help = "A share of the learning rate for the first total_iters epochs.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
