/* step.c - StepLR: the learning rate falls by a factor every few epochs. Called by schedules.c; any thread. */
#include "schedules/schedule.h"

#include <math.h>

enum { STEP_SIZE, GAMMA, NARGS };

static const struct bp_arg args[] = {
	[STEP_SIZE] = {.name = "step_size",
		.kind = BP_ARG_INT,
		.required = true,
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs between two falls."},
	[GAMMA] = {.name = "gamma",
		.kind = BP_ARG_REAL,
		.def = {0.1},
		.min = 1e-6,
		.max = 100,
		.help = "What the learning rate is multiplied by at each fall."},
};

/* lr * gamma^floor(epoch / step_size), the closed form of PyTorch's StepLR. */
static double rate(const struct bp_item *item, const struct bp_course *at)
{
	return at->lr * pow(bp_item_real(item, GAMMA), (double)(at->epoch / bp_item_int(item, STEP_SIZE)));
}

const struct bp_schedule_ops bp_schedule_step = {
	.info = {.name = "StepLR",
		.help = "Multiplies the learning rate by gamma every step_size epochs.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
