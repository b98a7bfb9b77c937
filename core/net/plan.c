/* plan.c - see plan.h. */
#include "net/plan.h"

#include "base/shape.h"
#include "base/status.h"

#include <stdlib.h>
#include <string.h>

/* The outputs that lie in memory: absorbed nodes give none of their own. Value 0 is the net's input. */
struct value {
	int64_t bytes;
	int producer; /* node, -1 for the input */
	int uses;     /* edges into nodes that run */
	int last_use; /* the last node that reads it: the first to give it a gradient */
	int block;    /* of the value */
	int gradient; /* block */
	bool shared;  /* its gradient lies in a block that belongs to another value */
};

struct planner {
	struct bp_plan *plan;
	const struct bp_net *net;
	bool training;
	int max_batch;
	int n;
	int *value_of; /* of node i at i + 1; of the input at 0 */
	struct value *values;
	int nvalues;
};

static int value_in(const struct planner *p, int node, int input)
{
	return p->value_of[p->net->nodes[node].inputs[input] + 1];
}

static int forward_time(int node)
{
	return node + 1;
}
static int backward_time(const struct planner *p, int node)
{
	return 2 * p->n + 1 - node;
}
static int end_time(const struct planner *p)
{
	return 2 * p->n + 2;
}

static int64_t aligned(int64_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

static int add_block(struct planner *p, int64_t bytes, int first, int last)
{
	p->plan->blocks[p->plan->nblocks] = (struct bp_block){.bytes = aligned(bytes), .first = first, .last = last};
	return p->plan->nblocks++;
}

static void extend(struct planner *p, int block, int first, int last)
{
	struct bp_block *b = &p->plan->blocks[block];
	if (first < b->first)
		b->first = first;
	if (last > b->last)
		b->last = last;
}

/* How many inputs of other nodes are node's output. */
static int readers(const struct planner *p, int node)
{
	int uses = 0;
	for (int j = node + 1; j < p->n; j++)
		for (int in = 0; in < p->net->nodes[j].ninputs; in++)
			uses += p->net->nodes[j].inputs[in] == node;
	return uses;
}

static bool fuses(const struct bp_layer_ops *ops, enum bp_act act)
{
	return (act == BP_ACT_RELU && ops->fuses_relu) || ops->fuses_acts;
}

/* An activation goes into the layer before it when nothing else reads that layer's output. */
static void absorb_activations(struct planner *p)
{
	for (int i = 0; i < p->n; i++) {
		const struct bp_node *node = &p->net->nodes[i];
		const enum bp_act act = node->ops->is_act;
		const int from = act != BP_ACT_NONE ? node->inputs[0] : BP_INPUT;
		if (from == BP_INPUT || !fuses(p->net->nodes[from].ops, act) || readers(p, from) != 1)
			continue;
		p->plan->steps[from].act = act;
		p->plan->steps[i].absorbed = true;
	}
}

static enum bp_status plan_layers(struct planner *p, const struct bp_layer_setup *setup, struct bp_error *err)
{
	for (int i = 0; i < p->n; i++) {
		struct bp_step *step = &p->plan->steps[i];
		struct bp_layer_setup s = *setup;
		s.node = &p->net->nodes[i];
		s.act = step->act;
		if (step->absorbed || !s.node->ops->plan)
			continue;
		struct bp_error why = {.status = BP_OK};
		enum bp_status st = s.node->ops->plan(&s, &step->layer, &why);
		why.layer = i;
		if (st && err)
			*err = why;
		if (st)
			return st;
		step->absorbed = step->layer.alias;
		if (step->layer.workspace > p->plan->workspace)
			p->plan->workspace = step->layer.workspace;
	}
	return BP_OK;
}

/* The gradient goes through an absorbed ReLU in the layer after it, where that is the only one and can do so: a sweep
 * over the map less, and the map need not be kept for it. */
static void hand_relu_on(struct planner *p)
{
	for (int i = 0; i < p->n && p->training; i++) {
		const int relu = p->plan->steps[i].layer.takes_relu ? p->net->nodes[i].inputs[0] : BP_INPUT;
		if (relu == BP_INPUT || p->net->nodes[relu].ops->is_act != BP_ACT_RELU ||
			!p->plan->steps[relu].absorbed || readers(p, relu) != 1)
			continue;
		struct bp_step *from = &p->plan->steps[p->net->nodes[relu].inputs[0]];
		if (!from->layer.undoes_relu)
			continue;
		from->relu_taken = p->plan->steps[i].takes_relu = true;
		from->layer.keeps_y = from->layer.writes_dy = false;
	}
}

static enum bp_status add_value(struct planner *p, int producer, const struct bp_shape *shape, struct bp_error *err)
{
	int64_t bytes = bp_shape_size(shape) * p->max_batch;
	/* 2^40 elements times the largest batch fit; what must stay bounded is the sum over all layers. */
	if (bytes > BP_MAX_ELEMENTS)
		return bp_fail(
			err, BP_ELIMIT, producer, "batch_size", "a batch of this layer has more than 2^40 elements");
	p->value_of[producer + 1] = p->nvalues;
	p->values[p->nvalues++] = (struct value){.bytes = bytes * (int64_t)sizeof(bp_real),
		.producer = producer,
		.block = BP_BLOCK_NONE,
		.gradient = BP_BLOCK_NONE};
	return BP_OK;
}

static enum bp_status make_values(struct planner *p, struct bp_error *err)
{
	enum bp_status st = add_value(p, -1, &p->net->input, err);
	for (int i = 0; i < p->n && !st; i++) {
		if (p->plan->steps[i].absorbed) {
			p->value_of[i + 1] = value_in(p, i, 0);
			continue;
		}
		for (int in = 0; in < p->net->nodes[i].ninputs; in++) {
			struct value *v = &p->values[value_in(p, i, in)];
			v->uses++;
			v->last_use = i;
		}
		st = add_value(p, i, &p->net->nodes[i].out, err);
	}
	return st;
}

/* The node that runs and reads v, when there is one alone; else -1. */
static int only_reader(const struct planner *p, int v)
{
	return p->values[v].uses == 1 ? p->values[v].last_use : -1;
}

/* Whether two shapes, of as many elements, have the same channels: a Flatten or Reshape between them moves nothing in
 * memory, but what was a pixel may have become a channel. */
static bool same_channels(const struct bp_shape *a, const struct bp_shape *b)
{
	return bp_shape_c(a) == bp_shape_c(b);
}

/*
 * Batch norms whose work is done by the convolutions beside them, which saves sweeps over memory: the one before sees
 * the norm's input as it makes it, the one after applies the norm as it reads. Training alone is worth it.
 */
static void link_norms(struct planner *p)
{
	for (int i = 0; i < p->n && p->training; i++) {
		struct bp_step *step = &p->plan->steps[i];
		if (step->absorbed || !p->net->nodes[i].ops->norm_side)
			continue;
		const int v = value_in(p, i, 0), from = p->values[v].producer, to = only_reader(p, p->value_of[i + 1]);
		int64_t parts = 0;
		const struct bp_node *node = &p->net->nodes[i];
		if (from >= 0 && only_reader(p, v) == i && (p->plan->steps[from].layer.norms & BP_CONV_STATS) &&
			p->plan->steps[from].act == BP_ACT_NONE &&
			same_channels(&p->net->nodes[from].out, &node->in[0])) {
			step->before = from;
			p->plan->steps[from].after = i;
			parts = p->plan->steps[from].layer.parts;
		}
		if (to >= 0 && (p->plan->steps[to].layer.norms & BP_CONV_SUMS) &&
			same_channels(&node->out, &p->net->nodes[to].in[0])) {
			step->after = to;
			p->plan->steps[to].before = i;
			step->applied = p->plan->steps[to].layer.norms & BP_CONV_THROUGH;
			parts = p->plan->steps[to].layer.parts > parts ? p->plan->steps[to].layer.parts : parts;
		}
		step->layer.saved +=
			parts * BP_NORM_STATS * bp_shape_c(&p->net->nodes[i].out) * (int64_t)sizeof(bp_real);
	}
}

/* Whether node is a batch norm that the convolution after it applies: its output is never made. */
static bool applied_later(const struct planner *p, int node)
{
	return p->net->nodes[node].ops->norm_side && p->plan->steps[node].applied;
}

/* Whether node is a batch norm whose gradient the convolution before it can take through it. */
static bool undone_later(const struct planner *p, int node)
{
	const int before = p->plan->steps[node].before;
	return p->net->nodes[node].ops->norm_side && before >= 0 &&
	       (p->plan->steps[before].layer.norms & BP_CONV_THROUGH);
}

/* The input over which node's output may be written: nothing else reads it, in forward or backward. -1 when none. */
static int overwritten_input(const struct planner *p, int node)
{
	if (!p->plan->steps[node].layer.inplace)
		return -1;
	for (int in = 0; in < p->net->nodes[node].ninputs; in++) {
		const struct value *v = &p->values[value_in(p, node, in)];
		if (v->producer < 0 || v->uses != 1 || v->bytes != p->values[p->value_of[node + 1]].bytes)
			continue;
		if (!p->training || !p->plan->steps[v->producer].layer.keeps_y)
			return in;
	}
	return -1;
}

static void place_values(struct planner *p)
{
	p->values[0].block = p->plan->input = add_block(p, p->values[0].bytes, 0, end_time(p));
	for (int i = 0; i < p->n; i++) {
		struct bp_step *step = &p->plan->steps[i];
		if (step->absorbed)
			continue;
		struct value *out = &p->values[p->value_of[i + 1]];
		int over = overwritten_input(p, i);
		for (int in = 0; in < p->net->nodes[i].ninputs; in++) {
			int block = p->values[value_in(p, i, in)].block;
			step->x[in] = block;
			extend(p, block, forward_time(i), forward_time(i));
			if (p->training && step->layer.keeps_x && over < 0)
				extend(p, block, forward_time(i), backward_time(p, i));
		}
		if (over < 0 && applied_later(p, i))
			over = 0; /* nothing is written: who reads the output reads the input */
		out->block = over >= 0 ? step->x[over] : add_block(p, out->bytes, forward_time(i), forward_time(i));
		step->y = out->block;
		extend(p, step->y, forward_time(i), p->training && step->layer.keeps_y ? backward_time(p, i) : 0);
		if (p->training && step->layer.saved > 0)
			step->saved = add_block(p, step->layer.saved, forward_time(i), backward_time(p, i));
		/* The convolution before writes its parts earlier, and may read the norm's values and input later. */
		if (p->net->nodes[i].ops->norm_side && step->before >= 0) {
			extend(p, step->saved, forward_time(step->before), forward_time(i));
			if (undone_later(p, i)) {
				extend(p, step->saved, forward_time(i), backward_time(p, step->before));
				extend(p, step->x[0], forward_time(i), backward_time(p, step->before));
			}
		}
	}
	p->plan->output = p->values[p->value_of[p->n]].block;
	extend(p, p->plan->output, end_time(p), end_time(p));
}

/* Whether node is the first to give input in's value its gradient, in one go, and so may hand over the block of its
 * own. */
static bool gives_first(const struct planner *p, int node, int in)
{
	int v = value_in(p, node, in);
	for (int k = 0; k < p->net->nodes[node].ninputs; k++)
		if (k != in && value_in(p, node, k) == v)
			return false;
	return p->values[v].producer >= 0 && p->values[v].last_use == node;
}

/* The first time after node's backward at which value v's gradient is written again: by another of its readers, or by
 * its producer, which may work in place. */
static int next_write(const struct planner *p, int node, int v)
{
	for (int i = node - 1; i > p->values[v].producer; i--)
		for (int in = 0; in < p->net->nodes[i].ninputs && !p->plan->steps[i].absorbed; in++)
			if (value_in(p, i, in) == v)
				return backward_time(p, i);
	return backward_time(p, p->values[v].producer);
}

/* v only reads its gradient, once, before the owner's is written again: both can be the same bytes. */
static bool may_share(const struct planner *p, int node, int v, int owner)
{
	const struct value *val = &p->values[v];
	return val->uses == 1 && !p->plan->steps[val->producer].layer.writes_dy &&
	       backward_time(p, val->producer) < next_write(p, node, owner);
}

/* Hands the block of node's gradient down to its inputs where the layer allows dx to be dy. */
static void hand_down(struct planner *p, int node)
{
	const struct bp_step *step = &p->plan->steps[node];
	const struct value *out = &p->values[p->value_of[node + 1]];
	int owner = -1;
	if (!step->layer.dx_inplace || out->shared)
		return;
	for (int in = 0; in < p->net->nodes[node].ninputs; in++) {
		int v = value_in(p, node, in);
		if (!gives_first(p, node, in) || p->values[v].bytes != out->bytes)
			continue;
		/* The one produced first lives longest. */
		if (owner < 0 || p->values[v].producer < p->values[owner].producer)
			owner = v;
	}
	if (owner < 0)
		return;
	p->values[owner].gradient = out->gradient;
	for (int in = 0; in < p->net->nodes[node].ninputs; in++) {
		int v = value_in(p, node, in);
		if (v != owner && step->layer.passes_dy && gives_first(p, node, in) && may_share(p, node, v, owner)) {
			p->values[v].gradient = out->gradient;
			p->values[v].shared = true;
		}
	}
}

static void place_gradients(struct planner *p)
{
	struct value *last = &p->values[p->value_of[p->n]];
	last->gradient = p->plan->output_gradient = add_block(p, last->bytes, p->n + 1, p->n + 1);
	p->plan->copies_gradient = last->producer < 0;
	for (int i = p->n - 1; i >= 0; i--) {
		struct bp_step *step = &p->plan->steps[i];
		if (step->absorbed)
			continue;
		int now = backward_time(p, i);
		step->dy = p->values[p->value_of[i + 1]].gradient;
		extend(p, step->dy, now, now);
		hand_down(p, i);
		for (int in = 0; in < p->net->nodes[i].ninputs; in++) {
			int v = value_in(p, i, in);
			struct value *val = &p->values[v];
			bool first = val->last_use == i;
			for (int k = 0; k < in; k++)
				first &= value_in(p, i, k) != v;
			step->accumulate[in] = !first;
			if (val->producer < 0) {
				step->dx[in] = BP_BLOCK_INPUT_GRADIENT;
				continue;
			}
			if (val->gradient == BP_BLOCK_NONE)
				val->gradient = add_block(p, val->bytes, now, now);
			step->dx[in] = val->gradient;
			extend(p, val->gradient, now, now);
		}
		/* The gradient goes through the norm where the convolution before reads it, unless others read it too.
		 */
		if (undone_later(p, i))
			step->grad = step->dx[0] == step->dy && !p->values[p->value_of[i + 1]].shared;
	}
}

static bool planner_init(struct planner *p)
{
	size_t n = (size_t)p->n + 1;
	p->value_of = calloc(n, sizeof(*p->value_of));
	p->values = calloc(n, sizeof(*p->values));
	p->plan->steps = calloc(n, sizeof(*p->plan->steps));
	p->plan->blocks = calloc(3 * n, sizeof(*p->plan->blocks)); /* a value, a gradient and a saved array each */
	for (size_t i = 0; p->plan->steps && i < n; i++)
		p->plan->steps[i].saved = p->plan->steps[i].before = p->plan->steps[i].after = BP_BLOCK_NONE;
	return p->value_of && p->values && p->plan->steps && p->plan->blocks;
}

enum bp_status bp_plan_init(
	struct bp_plan *plan, const struct bp_net *net, const struct bp_layer_setup *setup, struct bp_error *err)
{
	*plan = (struct bp_plan){.net = net, .output_gradient = BP_BLOCK_NONE};
	struct planner p = {
		.plan = plan, .net = net, .n = net->nnodes, .training = setup->training, .max_batch = setup->max_batch};
	enum bp_status st = BP_OK;
	if (!planner_init(&p)) {
		st = bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
		goto out;
	}
	absorb_activations(&p);
	st = plan_layers(&p, setup, err);
	hand_relu_on(&p);
	if (!st)
		st = make_values(&p, err);
	if (st)
		goto out;
	link_norms(&p);
	place_values(&p);
	if (p.training)
		place_gradients(&p);
	plan->bytes = bp_blocks_place(plan->blocks, plan->nblocks);
	if (plan->bytes < 0)
		st = bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
out:
	free(p.value_of);
	free(p.values);
	if (st)
		bp_plan_done(plan);
	return st;
}

void bp_plan_done(struct bp_plan *plan)
{
	for (int i = 0; plan->steps && i < plan->net->nnodes; i++)
		if (plan->net->nodes[i].ops->plan_free)
			plan->net->nodes[i].ops->plan_free(plan->steps[i].layer.own);
	free(plan->steps);
	free(plan->blocks);
	*plan = (struct bp_plan){.output_gradient = BP_BLOCK_NONE};
}
