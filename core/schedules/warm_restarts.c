/*
 * warm_restarts.c - CosineAnnealingWarmRestarts, as in torch.optim.lr_scheduler: half cosines one after the other
 * (Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", 2017). Called by schedules.c; any
 * thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { T_0, T_MULT, ETA_MIN, NARGS };

static const struct bp_arg args[] = {
	[T_0] = {.name = "T_0",
		.kind = BP_ARG_INT,
		.required = true,
		.min = 1,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs until the first restart."},
	[T_MULT] = {.name = "T_mult",
		.kind = BP_ARG_INT,
		.def = {1},
		.min = 1,
		.max = 1000,
		.help = "Each course is so many times as long as the one before."},
	[ETA_MIN] = {.name = "eta_min",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1e4,
		.help = "What the learning rate falls to before each restart."},
};

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	int64_t length = bp_item_int(item, T_0), epoch = at->epoch;
	double eta_min = bp_item_real(item, ETA_MIN);
	if (bp_item_int(item, T_MULT) == 1)
		epoch %= length;
	for (; epoch >= length; length *= bp_item_int(item, T_MULT)) /* below BP_MAX_EPOCHS * 1000 */
		epoch -= length;
	return eta_min + (at->lr - eta_min) * (1 + cos(M_PI * (double)epoch / (double)length)) / 2;
}

const struct bp_schedule_ops bp_schedule_warm_restarts = {
	.info = {.name = "CosineAnnealingWarmRestarts",
		.help = "Half a cosine down to eta_min, again and again.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
