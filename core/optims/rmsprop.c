/*
 * rmsprop.c - RMSprop, as torch.optim.RMSprop (Tieleman and Hinton, "Lecture 6.5", 2012; centered: Graves, "Generating
 * sequences with recurrent neural networks", 2013). Called by train/update.c.
 */
#include "optims/optim.h"

enum { LR, ALPHA, EPS, WEIGHT_DECAY, MOMENTUM, CENTERED, NARGS };

static const struct bp_arg args[] = {
	[LR] = BP_OPTIM_LR(1e-2),
	[ALPHA] = {.name = "alpha",
		.kind = BP_ARG_REAL,
		.def = {0.99},
		.min = 0,
		.max = 1,
		.help = "How much of the running mean of the squared gradient is kept."},
	[EPS] = BP_OPTIM_EPS(1e-8),
	[WEIGHT_DECAY] = BP_OPTIM_DECAY(0, BP_OPTIM_L2),
	[MOMENTUM] = {.name = "momentum",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1,
		.help = "How much of the last step's direction is kept."},
	[CENTERED] = {.name = "centered",
		.kind = BP_ARG_BOOL,
		.help = "Divides by the deviation of the gradient instead of its root mean square."},
};

/* square_avg, then momentum_buffer and grad_avg when they are used. */
static int states(const struct bp_item *item)
{
	return 1 + (bp_item_real(item, MOMENTUM) != 0) + bp_item_bool(item, CENTERED);
}

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	(void)step;
	ret->lr = (bp_real)lr;
	ret->l2 = (bp_real)bp_item_real(item, WEIGHT_DECAY);
	ret->beta2 = (bp_real)bp_item_real(item, ALPHA);
	ret->blend2 = (bp_real)(1 - bp_item_real(item, ALPHA));
	ret->keep = (bp_real)bp_item_real(item, MOMENTUM);
	ret->centered = bp_item_bool(item, CENTERED);
	ret->eps = (bp_real)bp_item_real(item, EPS);
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_rmsprop(u);
}

const struct bp_optim_ops bp_optim_rmsprop = {
	.info = {.name = "RMSprop",
		.help = "The gradient divided by its running root mean square.",
		.args = args,
		.nargs = NARGS},
	.states = states,
	.prepare = prepare,
	.update = update,
};
