/*
 * adadelta.c - Adadelta, as torch.optim.Adadelta (Zeiler, "ADADELTA: an adaptive learning rate method", 2012). Called
 * by train/update.c.
 */
#include "optims/optim.h"

enum { LR, RHO, EPS, WEIGHT_DECAY, NARGS };

static const struct bp_arg args[] = {
	[LR] = BP_OPTIM_LR(1),
	[RHO] = {.name = "rho",
		.kind = BP_ARG_REAL,
		.def = {0.9},
		.min = 0,
		.max = 1,
		.help = "How much of the running means of the squared gradients and of the squared steps is kept."},
	[EPS] = {.name = "eps",
		.kind = BP_ARG_REAL,
		.def = {1e-6},
		.min = 0,
		.max = 1,
		.help = "Added to both mean squares: how far the first steps go."},
	[WEIGHT_DECAY] = BP_OPTIM_DECAY(0, BP_OPTIM_L2),
};

static int states(const struct bp_item *item)
{
	(void)item;
	return 2; /* square_avg, acc_delta */
}

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	(void)step;
	ret->lr = (bp_real)lr;
	ret->l2 = (bp_real)bp_item_real(item, WEIGHT_DECAY);
	ret->beta2 = (bp_real)bp_item_real(item, RHO);
	ret->blend2 = (bp_real)(1 - bp_item_real(item, RHO));
	ret->eps = (bp_real)bp_item_real(item, EPS);
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_adadelta(u);
}

const struct bp_optim_ops bp_optim_adadelta = {
	.info = {.name = "Adadelta",
		.help = "Steps as long as the last ones were, in proportion to the gradient's running root mean "
			"square.",
		.args = args,
		.nargs = NARGS},
	.states = states,
	.prepare = prepare,
	.update = update,
};
