/* constant.c - no schedule: the optimizer's learning rate throughout. Called by schedules.c; any thread. */
#include "schedules/schedule.h"

static double rate(const struct bp_item *item, double lr, int epoch, int epochs)
{
	(void)item, (void)epoch, (void)epochs;
	return lr;
}

const struct bp_schedule_ops bp_schedule_constant = {
	.info = {.name = "Constant",
		.help = "The optimizer's learning rate throughout (PyTorch's ConstantLR is something else: it starts "
			"at a "
			"third of it)."},
	.rate = rate,
};
