/* constant.c - no schedule: the optimizer's learning rate throughout. Called by schedules.c; any thread. */
#include "schedules/schedule.h"

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	(void)item;
	return at->lr;
}

const struct bp_schedule_ops bp_schedule_constant = {
	.info = {.name = "Constant", .help = "The optimizer's learning rate throughout."},
	.rate = rate,
};
