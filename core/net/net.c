/*
 * net.c - builds a net from its spec: checks every layer, resolves shapes, lays out weights and buffers; and answers
 * what a net consists of. Called by whoever describes, trains or evaluates nets, on that object's one thread.
 */
#include "net/net.h"

#include "base/mem.h"
#include "base/shape.h"
#include "base/status.h"
#include "layers/layer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Elements to which each tensor is padded: 64 bytes in single precision, and the same layout in double. */
enum { TENSOR_ALIGN = 16 };

static bool name_is_valid(const char *name)
{
	size_t n = strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
	return n > 0 && n <= BP_NAME_MAX && name[n] == '\0';
}

static enum bp_status check_layer(const struct bp_net_spec *spec, int at, struct bp_error *err)
{
	const struct bp_layer_spec *l = &spec->layers[at];
	if (memchr(l->name, '\0', sizeof(l->name)) == NULL || !name_is_valid(l->name))
		return bp_fail(err, BP_EINVAL, at, "name", "a name is 1 to %d of A-Z a-z 0-9 _ . -", BP_NAME_MAX);
	for (int i = 0; i < at; i++)
		if (strcmp(spec->layers[i].name, l->name) == 0)
			return bp_fail(err, BP_EINVAL, at, "name", "the name \"%s\" is used twice", l->name);
	enum bp_status st = bp_item_check(BP_LAYER, &l->item, at, err);
	if (st)
		return st;
	const struct bp_item_info *info = bp_item_info(BP_LAYER, l->item.type);
	if (l->ninputs < info->min_inputs || l->ninputs > info->max_inputs)
		return bp_fail(err, BP_EINVAL, at, "inputs", "%s takes %d to %d inputs, not %d", info->name,
			info->min_inputs, info->max_inputs, l->ninputs);
	for (int i = 0; i < l->ninputs; i++)
		if (l->inputs[i] != BP_INPUT && (l->inputs[i] < 0 || l->inputs[i] >= at))
			return bp_fail(err, BP_EINVAL, at, "inputs", "an input must be a layer above this one");
	return BP_OK;
}

static enum bp_status check_use(const struct bp_net_spec *spec, struct bp_error *err)
{
	for (int i = 0; i < spec->nlayers - 1; i++) {
		bool used = false;
		for (int j = i + 1; j < spec->nlayers && !used; j++)
			for (int in = 0; in < spec->layers[j].ninputs; in++)
				used |= spec->layers[j].inputs[in] == i;
		if (!used)
			return bp_fail(err, BP_EINVAL, i, "inputs", "no layer below takes the output of \"%s\"",
				spec->layers[i].name);
	}
	return BP_OK;
}

static enum bp_status check_shape(const struct bp_shape *s, const char *what, int layer, struct bp_error *err)
{
	if (s->ndim < 1 || s->ndim > BP_MAX_DIMS)
		return bp_fail(err, BP_EINVAL, layer, "shape", "%s must have 1 to %d dimensions, not %d", what,
			BP_MAX_DIMS, s->ndim);
	for (int i = 0; i < s->ndim; i++) {
		if (s->dim[i] < 1)
			return bp_fail(err, BP_EINVAL, layer, "shape", "%s has an empty dimension", what);
		if (s->dim[i] > INT32_MAX)
			return bp_fail(err, BP_ELIMIT, layer, "shape", "%s has a dimension above 2^31 - 1", what);
	}
	if (bp_shape_size(s) < 0)
		return bp_fail(err, BP_ELIMIT, layer, "shape", "%s has more than 2^40 elements", what);
	return BP_OK;
}

static enum bp_status check_spec(const struct bp_net_spec *spec, struct bp_error *err)
{
	enum bp_status st = check_shape(&spec->input, "the net's input", -1, err);
	if (!st && (spec->nlayers < 1 || spec->nlayers > BP_MAX_LAYERS))
		st = bp_fail(err, spec->nlayers < 1 ? BP_EINVAL : BP_ELIMIT, -1, "layers",
			"a net has 1 to %d layers, not %d", BP_MAX_LAYERS, spec->nlayers);
	for (int i = 0; i < spec->nlayers && !st; i++)
		st = check_layer(spec, i, err);
	return st ? st : check_use(spec, err);
}

static enum bp_status build_node(struct bp_net *net, const struct bp_layer_spec *l, int at, struct bp_error *err)
{
	struct bp_node *node = &net->nodes[at];
	memcpy(node->name, l->name, sizeof(node->name));
	node->item = l->item;
	node->options = l->options;
	node->ops = bp_layers[l->item.type];
	node->ninputs = l->ninputs;
	for (int i = 0; i < l->ninputs; i++) {
		node->inputs[i] = l->inputs[i];
		node->in[i] = l->inputs[i] == BP_INPUT ? net->input : net->nodes[l->inputs[i]].out;
	}
	struct bp_error why = {.status = BP_OK};
	enum bp_status st = node->ops->shape(node, &why);
	why.layer = at;
	if (!st && node->ops->indices && (net->indices == 0 || node->ops->indices(node) < net->indices))
		net->indices = node->ops->indices(node);
	if (!st)
		st = check_shape(&node->out, "the output", at, &why);
	if (st && err)
		*err = why;
	return st;
}

/* Appends the node's trainable tensors, or its buffers. */
static enum bp_status add_params(struct bp_net *net, int at, bool trainable, struct bp_error *err)
{
	struct bp_node *node = &net->nodes[at];
	struct bp_param all[BP_LAYER_PARAMS];
	memset(all, 0, sizeof(all));
	int n = node->ops->params ? node->ops->params(node, all) : 0;
	int64_t *total = trainable ? &net->nweights : &net->nbuffers;
	for (int i = 0; i < n; i++) {
		if (all[i].trainable != trainable)
			continue;
		struct bp_param *p = &net->params[net->nparams++];
		*p = all[i];
		p->layer = at;
		p->offset = *total;
		p->size = 1;
		for (int d = 0; d < p->ndim && p->size > 0; d++)
			p->size = bp_elements_mul(p->size, p->dim[d]);
		if (p->size < 0 || p->size > BP_MAX_ELEMENTS - TENSOR_ALIGN - *total)
			return bp_fail(err, BP_ELIMIT, at, p->name, "the net has more than 2^40 parameters");
		*total += (p->size + TENSOR_ALIGN - 1) / TENSOR_ALIGN * TENSOR_ALIGN;
		if (trainable && !node->options.frozen)
			node->learns = true;
	}
	return BP_OK;
}

static enum bp_status build_params(struct bp_net *net, struct bp_error *err)
{
	enum bp_status st = BP_OK;
	for (int i = 0; i < net->nnodes && !st; i++) {
		net->nodes[i].first_param = net->nparams;
		st = add_params(net, i, true, err);
		net->nodes[i].nparams = net->nparams - net->nodes[i].first_param;
	}
	for (int i = 0; i < net->nnodes && !st; i++) {
		net->nodes[i].first_buffer = net->nparams;
		st = add_params(net, i, false, err);
		net->nodes[i].nbuffers = net->nparams - net->nodes[i].first_buffer;
	}
	for (int i = 0; i < net->nnodes && !st; i++)
		st = bp_node_options(net, i, err);
	return st;
}

/* Whether there are readers of the node's output, and all take features in any order. */
static bool order_is_free(const struct bp_net *net, int at)
{
	bool read = false;
	for (int i = at + 1; i < net->nnodes; i++)
		for (int in = 0; in < net->nodes[i].ninputs; in++)
			if (net->nodes[i].inputs[in] == at) {
				read = true;
				if (!net->nodes[i].ops->any_order)
					return false;
			}
	return read;
}

/* A Flatten whose readers are Linear layers leaves features as they lie, and their weights lie so instead: turning the
 * features took 3.5 % of a step of a small CNN (9216 of them). */
static void keep_order(struct bp_net *net)
{
	for (int at = 0; at < net->nnodes; at++) {
		struct bp_node *node = &net->nodes[at];
		node->keeps_order = node->ops->flattens && node->in[0].ndim > 1 && order_is_free(net, at);
	}
	for (struct bp_param *p = net->params; p < net->params + net->nparams; p++) {
		const int from = net->nodes[p->layer].inputs[0];
		if (p->ndim == 2 && from != BP_INPUT && net->nodes[from].keeps_order)
			p->channels = net->nodes[from].in[0].dim[0];
	}
}

/* Backward costs a layer once for its weights and once for its input, unless nothing above the input learns. */
static void count_backward(struct bp_net *net)
{
	for (int i = 0; i < net->nnodes; i++) {
		struct bp_node *node = &net->nodes[i];
		bool above = false;
		for (int in = 0; in < node->ninputs; in++)
			above |= node->inputs[in] != BP_INPUT && net->nodes[node->inputs[in]].learns;
		node->flops_backward = node->flops * ((node->learns ? 1 : 0) + (above ? 1 : 0));
		node->learns |= above;
	}
}

enum bp_status bp_net_new(const struct bp_net_spec *spec, struct bp_net **ret, struct bp_error *err)
{
	enum bp_status st = check_spec(spec, err);
	if (st)
		return st;
	struct bp_net *net = calloc(1, sizeof(*net));
	if (!net)
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	net->input = spec->input;
	net->nnodes = spec->nlayers;
	net->nodes = calloc((size_t)spec->nlayers, sizeof(*net->nodes));
	net->params = calloc((size_t)spec->nlayers * BP_LAYER_PARAMS, sizeof(*net->params));
	if (!net->nodes || !net->params) {
		st = bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
		goto out;
	}
	for (int i = 0; i < spec->nlayers && !st; i++)
		st = build_node(net, &spec->layers[i], i, err);
	if (!st)
		st = build_params(net, err);
	if (st)
		goto out;
	keep_order(net);
	count_backward(net);
	net->weights = bp_mem_map((size_t)net->nweights * sizeof(bp_real));
	net->buffers = bp_mem_map((size_t)net->nbuffers * sizeof(bp_real));
	if (!net->weights || !net->buffers)
		st = bp_fail(err, BP_ENOMEM, -1, "", "no memory for %lld parameters", (long long)net->nweights);
out:
	if (st)
		bp_net_free(net);
	else
		*ret = net;
	return st;
}

void bp_net_free(struct bp_net *net)
{
	if (!net)
		return;
	bp_mem_unmap(net->weights, (size_t)net->nweights * sizeof(bp_real));
	bp_mem_unmap(net->buffers, (size_t)net->nbuffers * sizeof(bp_real));
	free(net->params);
	free(net->nodes);
	free(net);
}

int bp_net_layers(const struct bp_net *net)
{
	return net->nnodes;
}

struct bp_shape bp_net_input_shape(const struct bp_net *net)
{
	return net->input;
}

int64_t bp_net_input_indices(const struct bp_net *net)
{
	return net->indices;
}

struct bp_shape bp_net_output_shape(const struct bp_net *net)
{
	return net->nodes[net->nnodes - 1].out;
}

static int64_t param_sizes(const struct bp_net *net, int first, int n)
{
	int64_t size = 0;
	for (int i = first; i < first + n; i++)
		size += net->params[i].size;
	return size;
}

void bp_net_layer_info(const struct bp_net *net, int layer, struct bp_layer_info *ret)
{
	const struct bp_node *node = &net->nodes[layer];
	*ret = (struct bp_layer_info){
		.name = node->name,
		.type = node->ops->info.name,
		.out = node->out,
		.parameters = param_sizes(net, node->first_param, node->nparams),
		.buffers = param_sizes(net, node->first_buffer, node->nbuffers),
		.flops = node->flops,
		.frozen = node->options.frozen,
	};
}

int64_t bp_net_parameters(const struct bp_net *net)
{
	int64_t n = 0;
	for (int i = 0; i < net->nnodes; i++)
		n += param_sizes(net, net->nodes[i].first_param, net->nodes[i].nparams);
	return n;
}

int64_t bp_net_flops(const struct bp_net *net)
{
	int64_t flops = 0;
	for (int i = 0; i < net->nnodes; i++)
		flops += net->nodes[i].flops;
	return flops;
}

int64_t bp_net_training_flops(const struct bp_net *net)
{
	int64_t flops = bp_net_flops(net);
	for (int i = 0; i < net->nnodes; i++)
		flops += net->nodes[i].flops_backward;
	return flops;
}
