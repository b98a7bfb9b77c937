/*
 * adagrad.c - Adagrad, as torch.optim.Adagrad (Duchi, Hazan and Singer, "Adaptive subgradient methods for online
 * learning and stochastic optimization", 2011). Called by train/update.c.
 */
#include "optims/optim.h"

enum { LR, LR_DECAY, WEIGHT_DECAY, INITIAL, EPS, NARGS };

static const struct bp_arg args[] = {
	[LR] = BP_OPTIM_LR(1e-2),
	[LR_DECAY] = {.name = "lr_decay",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1e4,
		.help = "Step s (from 0) runs at lr / (1 + s * lr_decay)."},
	[WEIGHT_DECAY] = BP_OPTIM_DECAY(0, BP_OPTIM_L2),
	[INITIAL] = {.name = "initial_accumulator_value",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1e30,
		.help = "What the sum of squared gradients starts at."},
	[EPS] = BP_OPTIM_EPS(1e-10),
};

static int states(const struct bp_item *item)
{
	(void)item;
	return 1; /* sum */
}

/* States start as zeros, so the first step adds what the sum should have started at. */
static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	ret->lr = (bp_real)(lr / (1 + (double)step * bp_item_real(item, LR_DECAY)));
	ret->l2 = (bp_real)bp_item_real(item, WEIGHT_DECAY);
	ret->first = step == 0 ? (bp_real)bp_item_real(item, INITIAL) : 0;
	ret->eps = (bp_real)bp_item_real(item, EPS);
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_adagrad(u);
}

const struct bp_optim_ops bp_optim_adagrad = {
	.info = {.name = "Adagrad",
		.help = "The gradient divided by the root of the sum of all its squares.",
		.args = args,
		.nargs = NARGS},
	.states = states,
	.prepare = prepare,
	.update = update,
};
