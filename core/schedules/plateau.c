/*
 * plateau.c - ReduceLROnPlateau, as torch.optim.lr_scheduler.ReduceLROnPlateau in mode "min": the rate falls when a
 * loss has stopped falling. Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { FACTOR, PATIENCE, THRESHOLD, THRESHOLD_MODE, COOLDOWN, MIN_LR, EPS, MONITOR, NARGS };

static const struct bp_arg args[] = {
	[FACTOR] = {.name = "factor",
		.kind = BP_ARG_REAL,
		.def = {0.1},
		.min = 1e-6,
		.max = 1 - 1e-6,
		.help = "What the learning rate is multiplied by at each fall."},
	[PATIENCE] = {.name = "patience",
		.kind = BP_ARG_INT,
		.def = {10},
		.min = 0,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs without a better loss that are borne before a fall."},
	[THRESHOLD] = {.name = "threshold",
		.kind = BP_ARG_REAL,
		.def = {1e-4},
		.min = 0,
		.max = 1e6,
		.help = "How much better a loss must be to count."},
	[THRESHOLD_MODE] = {.name = "threshold_mode",
		.kind = BP_ARG_CHOICE,
		.choices = "rel|abs",
		.help = "Whether the threshold is a share of the best loss or a difference."},
	[COOLDOWN] = {.name = "cooldown",
		.kind = BP_ARG_INT,
		.def = {0},
		.min = 0,
		.max = BP_MAX_EPOCHS,
		.help = "Epochs after a fall that do not count as bad."},
	[MIN_LR] = {.name = "min_lr",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1e4,
		.help = "It never falls below."},
	[EPS] = {.name = "eps",
		.kind = BP_ARG_REAL,
		.def = {1e-8},
		.min = 0,
		.max = 1,
		.help = "A fall that is no larger is left out."},
	[MONITOR] = {.name = "monitor",
		.kind = BP_ARG_CHOICE,
		.choices = "val_loss|loss",
		.help = "Which loss is watched; without validation always that of the training."},
};

static double rate(const struct bp_item *item, const struct bp_course *at)
{
	(void)item;
	return at->lr * at->state->scale;
}

/* A loss that is not a number is never better. */
static bool is_better(const struct bp_item *item, double loss, double best)
{
	double threshold = bp_item_real(item, THRESHOLD);
	if (isinf(best))
		return loss < best;
	return loss < (bp_item_int(item, THRESHOLD_MODE) == 1 ? best - threshold : best * (1 - threshold));
}

static void reduce(const struct bp_item *item, double lr, struct bp_schedule_state *state)
{
	double old = lr * state->scale, reduced = fmax(old * bp_item_real(item, FACTOR), bp_item_real(item, MIN_LR));
	if (old - reduced > bp_item_real(item, EPS))
		state->scale = reduced / lr;
}

static void observe(
	const struct bp_item *item, double lr, double loss, const double *val_loss, struct bp_schedule_state *state)
{
	if (bp_item_int(item, MONITOR) == 0 && val_loss)
		loss = *val_loss;
	state->bad++;
	if (is_better(item, loss, state->best)) {
		state->best = loss;
		state->bad = 0;
	}
	if (state->cooldown > 0) {
		state->cooldown--;
		state->bad = 0;
	}
	if (state->bad > bp_item_int(item, PATIENCE)) {
		reduce(item, lr, state);
		state->cooldown = bp_item_int(item, COOLDOWN);
		state->bad = 0;
	}
}

const struct bp_schedule_ops bp_schedule_plateau = {
	.info = {.name = "ReduceLROnPlateau",
		.help = "Multiplies the learning rate by factor when a loss has not fallen for more than patience "
			"epochs.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
	.observe = observe,
};
