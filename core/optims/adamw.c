/*
 * adamw.c - AdamW, as torch.optim.AdamW: the weight decay acts on the weight and not through the gradient (Loshchilov
 * and Hutter, "Decoupled weight decay regularization", 2019). Called by train/update.c.
 */
#include "optims/adam_common.h"

static const struct bp_arg args[] = {
	BP_ADAM_SHARED_ARGS(1e-3, 1e-2, BP_OPTIM_DECOUPLED),
	[BP_ADAM_AMSGRAD] = BP_ADAM_AMSGRAD_ARG,
};

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	bp_adam_prepare(item, step, lr, ret);
	ret->decay = (bp_real)(1 - lr * bp_item_real(item, BP_ADAM_WEIGHT_DECAY));
	ret->l2 = 0;
}

const struct bp_optim_ops bp_optim_adamw = {
	.info = {.name = "AdamW",
		.help = "Adam whose weight decay acts on the weights themselves.",
		.args = args,
		.nargs = BP_ADAM_NARGS},
	.states = bp_adam_states,
	.prepare = prepare,
	.update = bp_adam_update,
};
