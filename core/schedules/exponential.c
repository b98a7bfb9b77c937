/*
 * exponential.c - ExponentialLR, as torch.optim.lr_scheduler.ExponentialLR. Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { GAMMA, NARGS };

static const struct bp_arg args[] = {
	[GAMMA] = {.name = "gamma",
		.kind = BP_ARG_REAL,
		.required = true,
		.min = 1e-6,
		.max = 100,
		.help = "What the learning rate is multiplied by after each epoch."},
};

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	return at->lr * pow(bp_item_real(item, GAMMA), at->epoch);
}

const struct bp_schedule_ops bp_schedule_exponential = {
	.info = {.name = "ExponentialLR",
		.help = "Multiplies the learning rate by gamma every epoch.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
