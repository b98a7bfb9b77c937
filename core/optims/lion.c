/*
 * lion.c - Lion: each weight moves by the sign of a mean of gradients (Chen et al., "Symbolic discovery of optimization
 * algorithms", 2023, whose defaults these are). PyTorch has none. Called by train/update.c.
 */
#include "optims/optim.h"

enum { LR, BETAS, WEIGHT_DECAY, NARGS };

static const struct bp_arg args[] = {
	[LR] = BP_OPTIM_LR(1e-4),
	[BETAS] = {.name = "betas",
		.kind = BP_ARG_REAL_PAIR,
		.def = {0.9, 0.99},
		.min = 0,
		.max = 1 - 1e-7,
		.help = "How much of the running mean of the gradient counts for the step, and how much of it is "
			"kept."},
	[WEIGHT_DECAY] = BP_OPTIM_DECAY(0, BP_OPTIM_DECOUPLED),
};

static int states(const struct bp_item *item)
{
	(void)item;
	return 1; /* exp_avg */
}

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	const double *betas = item->args[BETAS].v;
	(void)step;
	ret->lr = (bp_real)lr;
	ret->decay = (bp_real)(1 - lr * bp_item_real(item, WEIGHT_DECAY));
	ret->blend1 = (bp_real)(1 - betas[0]);
	ret->beta2 = (bp_real)betas[1];
	ret->blend2 = (bp_real)(1 - betas[1]);
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_lion(u);
}

const struct bp_optim_ops bp_optim_lion = {
	.info = {.name = "Lion",
		.help = "Moves every weight equally far, by the sign of a running mean; takes a third to a tenth of "
			"Adam's lr.",
		.args = args,
		.nargs = NARGS},
	.states = states,
	.prepare = prepare,
	.update = update,
};
