/*
 * nadam.c - NAdam, as torch.optim.NAdam: Adam with Nesterov's look ahead and a momentum that grows towards beta1
 * (Dozat, "Incorporating Nesterov momentum into Adam", 2016). Called by train/update.c.
 */
#include "optims/adam_common.h"

#include <math.h>

enum { MOMENTUM_DECAY = BP_ADAM_SHARED, DECOUPLED, NARGS };

static const struct bp_arg args[] = {
	BP_ADAM_SHARED_ARGS(2e-3, 0, BP_OPTIM_L2),
	[MOMENTUM_DECAY] = {.name = "momentum_decay",
		.kind = BP_ARG_REAL,
		.def = {4e-3},
		.min = 0,
		.max = 1e4,
		.help = "How fast the momentum grows from half of the first beta to all of it."},
	[DECOUPLED] = {.name = "decoupled_weight_decay",
		.kind = BP_ARG_BOOL,
		.help = "Whether the weight decay acts on the weights themselves, as in AdamW."},
};

/* The momentum of step t (from 1): mu = beta1 * (1 - 0.96^(t * momentum_decay) / 2). */
static double momentum(double beta1, double decay, double t)
{
	return beta1 * (1 - 0.5 * pow(0.96, t * decay));
}

/*
 * mu_1 * mu_2 * ... * mu_t, which PyTorch keeps as a state. Without one, so that a step's coefficients follow from its
 * number alone: with q = 0.96^decay and log(1 - x) = -(x + x^2/2 + ...),
 *	log of the product = t log beta1 - sum over k >= 1 of 1/(k 2^k) * (q^k + q^2k + ... + q^tk)
 * whose geometric series has a closed form. 2^-53 is the last term that can matter.
 */
static double momentum_product(double beta1, double decay, double t)
{
	double log_q = decay * log(0.96), sum = t * log(beta1), half = 1;
	if (!(sum > -50)) /* e^-50: 1 - product is 1; also beta1 = 0 */
		return 0;
	for (int k = 1; k <= 53; k++) {
		double exponent = k * log_q;
		half /= 2;
		sum -= half / k * (exponent == 0 ? t : exp(exponent) * expm1(t * exponent) / expm1(exponent));
	}
	return exp(sum);
}

static void prepare(const struct bp_item *item, int64_t step, double lr, struct bp_update_coef *ret)
{
	double beta1 = item->args[BP_ADAM_BETAS].v[0], decay = bp_item_real(item, MOMENTUM_DECAY);
	double t = (double)(step + 1), l2 = bp_item_real(item, BP_ADAM_WEIGHT_DECAY);
	double mu = momentum(beta1, decay, t), next = momentum(beta1, decay, t + 1);
	double product = momentum_product(beta1, decay, t);
	bool decoupled = bp_item_bool(item, DECOUPLED);
	bp_adam_prepare(item, step, lr, ret);
	ret->look = (bp_real)(lr * (1 - mu) / (1 - product));
	ret->lr = (bp_real)(lr * next / (1 - product * next));
	ret->decay = decoupled ? (bp_real)(1 - lr * l2) : 1;
	ret->l2 = decoupled ? 0 : (bp_real)l2;
}

static int states(const struct bp_item *item)
{
	(void)item;
	return 2; /* exp_avg, exp_avg_sq */
}

static void update(const struct bp_kernels *k, const struct bp_update *u)
{
	k->update_nadam(u);
}

const struct bp_optim_ops bp_optim_nadam = {
	.info = {.name = "NAdam", .help = "Adam that looks ahead along its momentum.", .args = args, .nargs = NARGS},
	.states = states,
	.prepare = prepare,
	.update = update,
};
