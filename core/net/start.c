/*
 * start.c - how the tensors of a net start, and whether what a description says of a layer's training makes sense.
 * Called by net.c while a net is built, and by whoever starts a training; on the net's one thread.
 */
#include "net/net.h"

#include "base/rng.h"
#include "base/status.h"
#include "inits/init.h"
#include "layers/layer.h"

#include <math.h>
#include <string.h>

static struct bp_param *find(struct bp_net *net, const struct bp_node *node, const char *name)
{
	for (int i = node->first_param; i < node->first_param + node->nparams; i++)
		if (strcmp(net->params[i].name, name) == 0)
			return &net->params[i];
	return NULL;
}

/* The errors of an initialisation name the field of the layer, and its argument in words. */
static enum bp_status set_init(
	struct bp_net *net, int layer, const struct bp_item *init, const char *tensor, struct bp_error *err)
{
	const struct bp_node *node = &net->nodes[layer];
	const char *field = strcmp(tensor, "weight") == 0 ? "init" : "bias_init";
	struct bp_param *p = find(net, node, tensor);
	struct bp_error why;
	if (!p)
		return bp_fail(err, BP_EINVAL, layer, field, "%s has no %s", node->ops->info.name, tensor);
	enum bp_status st = bp_item_check(BP_INIT, init, layer, &why);
	if (!st && !bp_init_at(init->type)->flat && p->ndim < 2)
		return bp_fail(err, BP_EINVAL, layer, field, "%s is for tensors of two dimensions or more",
			bp_init_at(init->type)->info.name);
	if (!st && bp_init_at(init->type)->check)
		st = bp_init_at(init->type)->check(init, p, &why);
	if (st)
		return bp_fail(err, st, layer, field, "%s", why.message);
	p->init = init;
	return BP_OK;
}

static enum bp_status check_number(double v, double max, const char *field, int layer, struct bp_error *err)
{
	if (v >= 0 && v <= max)
		return BP_OK;
	return bp_fail(err, BP_EINVAL, layer, field, "%s must be between 0 and %g, not %g", field, max, v);
}

enum bp_status bp_node_options(struct bp_net *net, int layer, struct bp_error *err)
{
	const struct bp_node *node = &net->nodes[layer];
	const struct bp_layer_options *o = &node->options;
	const char *first = o->frozen             ? "frozen"
			    : o->has_lr_scale     ? "lr_scale"
			    : o->has_weight_decay ? "weight_decay"
						  : NULL;
	if (first && node->nparams == 0)
		return bp_fail(err, BP_EINVAL, layer, first, "%s has nothing to train", node->ops->info.name);
	enum bp_status st = BP_OK;
	if (o->has_lr_scale)
		st = check_number(o->lr_scale, BP_LR_SCALE_MAX, "lr_scale", layer, err);
	if (!st && o->has_weight_decay)
		st = check_number(o->weight_decay, BP_WEIGHT_DECAY_MAX, "weight_decay", layer, err);
	if (!st && o->has_init)
		st = set_init(net, layer, &o->init, "weight", err);
	if (!st && o->has_bias_init)
		st = set_init(net, layer, &o->bias_init, "bias", err);
	return st;
}

/* From four random numbers, what is added to init_value of four elements; normal ones by the method of Box and Muller.
 */
static void init_draw(const struct bp_param *p, const uint32_t r[4], double ret[4])
{
	for (int i = 0; i < 4; i++)
		ret[i] = p->init_bound * (2.0 * bp_rng_unit(r[i]) - 1.0);
	for (int i = 0; i < 4 && p->init_deviation != 0; i += 2) {
		double radius = p->init_deviation * sqrt(-2 * log(1.0 - bp_rng_unit(r[i])));
		double angle = 2 * M_PI * bp_rng_unit(r[i + 1]);
		ret[i] = radius * cos(angle);
		ret[i + 1] = radius * sin(angle);
	}
}

/* What the layer's type says, as PyTorch does when nothing else is asked for. */
static void fill_default(const struct bp_init_target *t)
{
	const struct bp_param *p = t->param;
	uint32_t r[4];
	double drawn[4];
	for (int64_t i = 0; i < p->size; i++) {
		if (i % 4 == 0) {
			bp_rng_block(t->seed, BP_RNG_INIT, t->tensor, (uint64_t)i / 4, r);
			init_draw(p, r, drawn);
		}
		bool zero = i >= p->zeros_at && i < p->zeros_at + p->zeros;
		bp_init_put(t, i, zero ? 0 : p->init_value + drawn[i % 4]);
	}
}

enum bp_status bp_net_init(struct bp_net *net, uint64_t seed)
{
	enum bp_status st = BP_OK;
	for (int i = 0; i < net->nparams && !st; i++) {
		const struct bp_param *p = &net->params[i];
		struct bp_init_target t = {.param = p,
			.flat = p->trainable ? net->weights : net->buffers,
			.seed = seed,
			.tensor = (uint32_t)i};
		if (p->init)
			st = bp_init_at(p->init->type)->fill(p->init, &t);
		else
			fill_default(&t);
	}
	return st;
}
