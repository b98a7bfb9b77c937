/*
 * cosine.c - CosineAnnealingLR: half a cosine from the learning rate down to eta_min (Loshchilov and Hutter, "SGDR:
 * stochastic gradient descent with warm restarts", 2017, without the restarts). Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { T_MAX, ETA_MIN, NARGS };

static const struct bp_arg args[] = {
	[T_MAX] = {.name = "T_max",
		.kind = BP_ARG_INT,
		.def = {BP_UNSET},
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs until eta_min is reached; all epochs after the warm-up when it is not given."},
	[ETA_MIN] = {.name = "eta_min",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1e4,
		.help = "The learning rate at the end."},
};

/* The closed form of PyTorch's recursion; past T_max it rises again, as there. */
static double rate(const struct bp_item *item, const struct bp_course *at)
{
	double t_max = bp_item_real(item, T_MAX) == BP_UNSET ? at->epochs : bp_item_real(item, T_MAX);
	double eta_min = bp_item_real(item, ETA_MIN);
	return eta_min + (at->lr - eta_min) * (1 + cos(M_PI * at->epoch / t_max)) / 2;
}

const struct bp_schedule_ops bp_schedule_cosine = {
	.info = {.name = "CosineAnnealingLR",
		.help = "Half a cosine from the learning rate down to eta_min over T_max epochs.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
