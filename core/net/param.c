/*
 * param.c - tensors of a net, between PyTorch's order outside and the order inside; and the net's fingerprint.
 * Called by checkpoints, exporters and the trainer, on the net's one thread.
 */
#include "net/net.h"

#include "base/panels.h"
#include "layers/layer.h"

#include <stdio.h>
#include <string.h>

/* Where input feature i of PyTorch's order (channel, row, column) is among those inside. */
static int64_t feature_at(const struct bp_param *p, int64_t i)
{
	if (!p->channels)
		return i;
	const int64_t pixels = p->dim[1] / p->channels;
	return i % pixels * p->channels + i / pixels;
}

int64_t bp_param_at(const struct bp_param *p, int64_t i)
{
	int64_t out = p->dim[0], rest = 1;
	switch (p->order) {
	case BP_ORDER_SAME:
		return i;
	case BP_ORDER_IO:
		return feature_at(p, i % p->dim[1]) * out + i / p->dim[1];
	case BP_ORDER_PANELS:
		return bp_panel_at(p->dim[1], out, feature_at(p, i % p->dim[1]), i / p->dim[1]);
	case BP_ORDER_LAST:
		rest = p->size / p->dim[0];
		return i % rest * p->dim[0] + i / rest;
	case BP_ORDER_HWIO:
		for (int d = 2; d < p->ndim; d++)
			rest *= p->dim[d];
		return (i % rest * p->dim[1] + i / rest % p->dim[1]) * out + i / (rest * p->dim[1]);
	}
	return i;
}

void bp_param_get(const struct bp_param *p, const bp_real *flat, bp_real *ret_data)
{
	for (int64_t i = 0; i < p->size; i++)
		ret_data[i] = flat[p->offset + bp_param_at(p, i)];
}

void bp_param_set(const struct bp_param *p, bp_real *flat, const bp_real *data)
{
	for (int64_t i = 0; i < p->size; i++)
		flat[p->offset + bp_param_at(p, i)] = data[i];
}

bool bp_param_learns(const struct bp_net *net, const struct bp_param *p)
{
	return p->trainable && !net->nodes[p->layer].options.frozen;
}

int bp_net_tensors(const struct bp_net *net)
{
	return net->nparams;
}

void bp_net_tensor_info(const struct bp_net *net, int tensor, struct bp_tensor_info *ret)
{
	const struct bp_param *p = &net->params[tensor];
	memset(ret, 0, sizeof(*ret));
	snprintf(ret->name, sizeof(ret->name), "%s.%s", net->nodes[p->layer].name, p->name);
	ret->layer = p->layer;
	ret->trainable = p->trainable;
	ret->ndim = p->ndim;
	memcpy(ret->dim, p->dim, sizeof(ret->dim));
}

void bp_net_tensor_get(const struct bp_net *net, int tensor, bp_real *ret_data)
{
	const struct bp_param *p = &net->params[tensor];
	bp_param_get(p, p->trainable ? net->weights : net->buffers, ret_data);
}

void bp_net_tensor_set(struct bp_net *net, int tensor, const bp_real *data)
{
	const struct bp_param *p = &net->params[tensor];
	bp_param_set(p, p->trainable ? net->weights : net->buffers, data);
}

/* FNV-1a, 64 bits (Fowler, Noll, Vo). */
static uint64_t hash(uint64_t h, const void *data, size_t n)
{
	for (const unsigned char *c = data; n--; c++)
		h = (h ^ *c) * 0x100000001b3u;
	return h;
}

static uint64_t hash_shape(uint64_t h, const struct bp_shape *s)
{
	h = hash(h, &s->ndim, sizeof(s->ndim));
	return hash(h, s->dim, (size_t)s->ndim * sizeof(s->dim[0]));
}

/* The first two numbers in any case, and all of a list. */
static uint64_t hash_value(uint64_t h, const struct bp_arg *arg, const struct bp_value *value)
{
	int n = bp_value_count(arg, value);
	for (int i = 0; i < (n < 2 ? 2 : n); i++) {
		double v = value->v[i] + 0.0; /* adding zero makes one of the two zeros */
		h = hash(h, &v, sizeof(v));
	}
	return arg->kind == BP_ARG_INTS ? hash(h, &n, sizeof(n)) : h;
}

uint64_t bp_net_fingerprint(const struct bp_net *net)
{
	uint64_t h = hash_shape(0xcbf29ce484222325u, &net->input);
	for (int i = 0; i < net->nnodes; i++) {
		const struct bp_node *node = &net->nodes[i];
		const struct bp_item_info *info = &node->ops->info;
		h = hash(h, info->name, strlen(info->name) + 1);
		for (int a = 0; a < info->nargs; a++)
			h = hash_value(h, &info->args[a], &node->item.args[a]);
		h = hash(h, &node->ninputs, sizeof(node->ninputs));
		h = hash(h, node->inputs, (size_t)node->ninputs * sizeof(node->inputs[0]));
		h = hash_shape(h, &node->out);
	}
	return h;
}
