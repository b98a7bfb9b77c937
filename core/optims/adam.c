/* adam.c - Adam, as torch.optim.Adam, and what AdamW and NAdam share with it. Called by train/update.c. */
#include "optims/adam_common.h"

#include <math.h>

static const struct bp_arg args[] = {
	BP_ADAM_SHARED_ARGS(1e-3, 0, BP_OPTIM_L2),
	[BP_ADAM_AMSGRAD] = BP_ADAM_AMSGRAD_ARG,
};

int bp_adam_states(const struct bp_item *item)
{
	return bp_item_bool(item, BP_ADAM_AMSGRAD) ? 3 : 2; /* exp_avg, exp_avg_sq, max_exp_avg_sq */
}

void bp_adam_prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	const double *betas = item->args[BP_ADAM_BETAS].v;
	double steps = (double)(step + 1);
	ret->blend1 = (bp_real)(1 - betas[0]);
	ret->beta2 = (bp_real)betas[1];
	ret->blend2 = (bp_real)(1 - betas[1]);
	ret->lr = (bp_real)(lr / (1 - pow(betas[0], steps)));
	ret->root_scale2 = (bp_real)(1 / sqrt(1 - pow(betas[1], steps)));
	ret->eps = (bp_real)bp_item_real(item, BP_ADAM_EPS);
}

void bp_adam_update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_adam(u);
}

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	bp_adam_prepare(item, step, lr, ret);
	ret->decay = 1;
	ret->l2 = (bp_real)bp_item_real(item, BP_ADAM_WEIGHT_DECAY);
}

const struct bp_optim_ops bp_optim_adam = {
	.info = {.name = "Adam",
		.help = "A step of its own size for each weight, from running means of the gradient.",
		.args = args,
		.nargs = BP_ADAM_NARGS},
	.states = bp_adam_states,
	.prepare = prepare,
	.update = bp_adam_update,
};
