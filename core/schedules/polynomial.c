/*
 * polynomial.c - PolynomialLR, as torch.optim.lr_scheduler.PolynomialLR. Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { TOTAL_ITERS, POWER, NARGS };

static const struct bp_arg args[] = {
	[TOTAL_ITERS] = {.name = "total_iters",
		.kind = BP_ARG_INT,
		.def = {5},
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs until the learning rate is 0; set it to those of the training."},
	[POWER] = {.name = "power",
		.kind = BP_ARG_REAL,
		.def = {1},
		.min = 0,
		.max = 100,
		.help = "How fast it falls: 1 is a line."},
};

/* lr * (1 - epoch / total_iters)^power; 0 from total_iters on. */
static double rate(const struct bp_item *item, const struct bp_course *at)
{
	double total = bp_item_real(item, TOTAL_ITERS);
	return at->lr * pow(1 - fmin(at->epoch, total) / total, bp_item_real(item, POWER));
}

const struct bp_schedule_ops bp_schedule_polynomial = {
	.info = {.name = "PolynomialLR",
		.help = "Falls to 0 over total_iters epochs, by a power of the share that is left.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
