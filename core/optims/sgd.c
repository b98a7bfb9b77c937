/* sgd.c - SGD with momentum, dampening, Nesterov and weight decay, as torch.optim.SGD. Called by train/update.c. */
#include "base/status.h"
#include "optims/optim.h"

enum { LR, MOMENTUM, DAMPENING, WEIGHT_DECAY, NESTEROV, NARGS };

static const struct bp_arg args[] = {
	[LR] = BP_OPTIM_LR(1e-3),
	[MOMENTUM] = {.name = "momentum",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1,
		.help = "How much of the last step's direction is kept."},
	[DAMPENING] = {.name = "dampening",
		.kind = BP_ARG_REAL,
		.def = {0},
		.min = 0,
		.max = 1,
		.help = "How much of the gradient is held back from the momentum."},
	[WEIGHT_DECAY] = BP_OPTIM_DECAY(0, BP_OPTIM_L2),
	[NESTEROV] = {.name = "nesterov",
		.kind = BP_ARG_BOOL,
		.def = {0},
		.help = "Looks ahead along the momentum; needs momentum and no dampening."},
};

static enum bp_status check(const struct bp_item *item, struct bp_error *err)
{
	if (!bp_item_bool(item, NESTEROV))
		return BP_OK;
	if (bp_item_real(item, MOMENTUM) == 0)
		return bp_fail(err, BP_EINVAL, -1, "nesterov", "nesterov needs a momentum above 0");
	if (bp_item_real(item, DAMPENING) != 0)
		return bp_fail(err, BP_EINVAL, -1, "nesterov", "nesterov needs a dampening of 0");
	return BP_OK;
}

static int states(const struct bp_item *item)
{
	return bp_item_real(item, MOMENTUM) != 0;
}

/* The first step's momentum is the gradient itself, undampened: 0 * 0 + 1 * g. */
static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	ret->lr = (bp_real)lr;
	ret->l2 = (bp_real)bp_item_real(item, WEIGHT_DECAY);
	ret->look = (bp_real)bp_item_real(item, MOMENTUM);
	ret->keep = step == 0 ? 0 : ret->look;
	ret->take = step == 0 ? 1 : (bp_real)(1 - bp_item_real(item, DAMPENING));
	ret->nesterov = bp_item_bool(item, NESTEROV);
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_sgd(u);
}

const struct bp_optim_ops bp_optim_sgd = {
	.info = {.name = "SGD",
		.help = "Stochastic gradient descent, with momentum when asked for.",
		.args = args,
		.nargs = NARGS},
	.check = check,
	.states = states,
	.prepare = prepare,
	.update = update,
};
