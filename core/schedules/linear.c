/*
 * linear.c - LinearLR, as torch.optim.lr_scheduler.LinearLR: from one share of the learning rate to another. Called by
 * schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { START_FACTOR, END_FACTOR, TOTAL_ITERS, NARGS };

static const struct bp_arg args[] = {
	[START_FACTOR] = {.name = "start_factor",
		.kind = BP_ARG_REAL,
		.def = {1.0 / 3},
		.min = 1e-12,
		.max = 1,
		.help = "The share of epoch 0."},
	[END_FACTOR] = {.name = "end_factor",
		.kind = BP_ARG_REAL,
		.def = {1},
		.min = 0,
		.max = 1,
		.help = "The share from epoch total_iters on."},
	[TOTAL_ITERS] = {.name = "total_iters",
		.kind = BP_ARG_INT,
		.def = {5},
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs from one to the other."},
};

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	double total = bp_item_real(item, TOTAL_ITERS), done = fmin(at->epoch, total) / total;
	double start = bp_item_real(item, START_FACTOR), end = bp_item_real(item, END_FACTOR);
	return at->lr * (start + (end - start) * done);
}

const struct bp_schedule_ops bp_schedule_linear = {
	.info = {.name = "LinearLR",
		.help = "A share of the learning rate that moves linearly from start_factor to end_factor.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
