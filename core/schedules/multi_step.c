/*
 * multi_step.c - MultiStepLR, as torch.optim.lr_scheduler.MultiStepLR: falls at given epochs. Called by schedules.c;
 * any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { MILESTONES, GAMMA, NARGS };

static const struct bp_arg args[] = {
	[MILESTONES] = {.name = "milestones",
		.kind = BP_ARG_LONG_LIST,
		.required = true,
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs, counted from 0 after the warm-up, that begin with a fall: 1 to 256 of them, in any "
			"order."},
	[GAMMA] = {.name = "gamma",
		.kind = BP_ARG_REAL,
		.def = {0.1},
		.min = 1e-6,
		.max = 100,
		.help = "What the learning rate is multiplied by at each fall."},
};

/* lr * gamma^(milestones reached); one that is given twice counts twice. */
static double rate(const struct bp_item *item, const struct bp_course *at)
{
	int reached = 0;
	for (int i = 0; i < item->args[MILESTONES].n; i++)
		reached += at->epoch >= item->list[i];
	return at->lr * pow(bp_item_real(item, GAMMA), reached);
}

const struct bp_schedule_ops bp_schedule_multi_step = {
	.info = {.name = "MultiStepLR",
		.help = "Multiplies the learning rate by gamma at each of the milestones.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
