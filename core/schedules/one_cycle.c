/*
 * one_cycle.c - OneCycleLR, as torch.optim.lr_scheduler.OneCycleLR with cycle_momentum=False: up to max_lr and far
 * down, step by step (Smith and Topin, "Super-convergence: very fast training of neural networks using large learning
 * rates", 2018). Called by schedules.c; any thread.
 */
#include "schedules/schedule.h"

#include <math.h>

enum { MAX_LR, PCT_START, ANNEAL_STRATEGY, DIV_FACTOR, FINAL_DIV_FACTOR, THREE_PHASE, NARGS };

static const struct bp_arg args[] = {
	[MAX_LR] = {.name = "max_lr",
		.kind = BP_ARG_REAL,
		.def = {BP_UNSET},
		.min = 1e-20,
		.max = 1e4,
		.help = "The highest rate; the optimizer's lr when it is not given."},
	[PCT_START] = {.name = "pct_start",
		.kind = BP_ARG_REAL,
		.def = {0.3},
		.min = 0,
		.max = 1,
		.help = "The share of the steps that rise."},
	[ANNEAL_STRATEGY] = {.name = "anneal_strategy",
		.kind = BP_ARG_CHOICE,
		.choices = "cos|linear",
		.help = "Whether it rises and falls along half cosines or lines."},
	[DIV_FACTOR] = {.name = "div_factor",
		.kind = BP_ARG_REAL,
		.def = {25},
		.min = 1e-6,
		.max = 1e12,
		.help = "It starts at max_lr / div_factor."},
	[FINAL_DIV_FACTOR] = {.name = "final_div_factor",
		.kind = BP_ARG_REAL,
		.def = {1e4},
		.min = 1e-6,
		.max = 1e12,
		.help = "It ends at its start / final_div_factor."},
	[THREE_PHASE] = {.name = "three_phase",
		.kind = BP_ARG_BOOL,
		.help = "Falls to the start as fast as it rose, and then on to the end."},
};

static double anneal(const struct bp_item *item, double from, double to, double share)
{
	if (bp_item_int(item, ANNEAL_STRATEGY) == 1)
		return from + (to - from) * share;
	return to + (from - to) / 2 * (1 + cos(M_PI * share));
}

/* Phase p goes from level[p] to level[p + 1] and ends at a step that need not be whole; one that would end before it
 * began is passed over. */
static double rate(const struct bp_item *item, const struct bp_course *at)
{
	double max = bp_item_real(item, MAX_LR) == BP_UNSET ? at->lr : bp_item_real(item, MAX_LR);
	double first = max / bp_item_real(item, DIV_FACTOR), last = first / bp_item_real(item, FINAL_DIV_FACTOR);
	double steps = (double)at->steps, rise = bp_item_real(item, PCT_START) * steps, begin = 0;
	double step = fmin((double)at->step, steps - 1);
	bool three = bp_item_bool(item, THREE_PHASE);
	const double level[] = {first, max, three ? first : last, last};
	const double end[] = {rise - 1, three ? 2 * rise - 2 : steps - 1, steps - 1};
	int phase = 0;
	for (; step > end[phase] && phase < (three ? 2 : 1); phase++)
		begin = end[phase];
	double width = end[phase] - begin;
	return anneal(item, level[phase], level[phase + 1], width > 0 ? (step - begin) / width : 1);
}

const struct bp_schedule_ops bp_schedule_one_cycle = {
	.info = {.name = "OneCycleLR",
		.help = "Rises to max_lr and falls far below its start, over all steps after the warm-up.",
		.args = args,
		.nargs = NARGS},
	.rate = rate,
};
