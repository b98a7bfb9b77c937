/* probe.c - see probe.h. */
#include "work/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 64, BATCH = 16, VALUES_MAX = 1 << 22, LAYERS_MAX = 48 };

/* Where the slope is a twentieth of the steepest: tanh' = 1 - y^2, sigmoid' = y (1 - y). */
#define TANH_FLAT 0.9746794
#define SIGMOID_FLAT 0.0126627

enum activation probe_activation(const char *type)
{
	static const struct {
		const char *type;
		enum activation activation;
	} known[] = {{"ReLU", ACT_RELU}, {"ReLU6", ACT_RELU}, {"Sigmoid", ACT_SIGMOID}, {"Tanh", ACT_TANH}};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (strcmp(type, known[i].type) == 0)
			return known[i].activation;
	return ACT_NONE;
}

/* The tensor of that name; -1: there is none. */
static int tensor_find(const struct bp_net *net, const char *name)
{
	for (int i = 0; i < bp_net_tensors(net); i++) {
		struct bp_tensor_info info;
		bp_net_tensor_info(net, i, &info);
		if (strcmp(info.name, name) == 0)
			return i;
	}
	return -1;
}

static int64_t tensor_size(const struct bp_tensor_info *info)
{
	int64_t size = 1;
	for (int d = 0; d < info->ndim; d++)
		size *= info->dim[d];
	return size;
}

/* Gives part the tensors that it shares with net. */
static bool tensors_copy(const struct bp_net *net, struct bp_net *part)
{
	for (int i = 0; i < bp_net_tensors(part); i++) {
		struct bp_tensor_info info;
		bp_net_tensor_info(part, i, &info);
		int from = tensor_find(net, info.name);
		bp_real *values = malloc((size_t)tensor_size(&info) * sizeof(*values));
		if (from < 0 || !values) {
			free(values);
			return false;
		}
		bp_net_tensor_get(net, from, values);
		bp_net_tensor_set(part, i, values);
		free(values);
	}
	return true;
}

/* values: n samples x units x positions. */
static void judge(const bp_real *values, int64_t n, int64_t units, int64_t positions, struct layer_state *ret)
{
	int64_t dead = 0, flat = 0;
	for (int64_t u = 0; u < units; u++) {
		bool zero = true;
		for (int64_t s = 0; s < n; s++) {
			const bp_real *at = values + (s * units + u) * positions;
			for (int64_t i = 0; i < positions; i++) {
				zero &= at[i] == 0;
				flat += ret->activation == ACT_TANH ? fabs(at[i]) > TANH_FLAT
								    : at[i] < SIGMOID_FLAT || at[i] > 1 - SIGMOID_FLAT;
			}
		}
		dead += zero;
	}
	if (ret->activation == ACT_RELU)
		ret->dead = (double)dead / (double)units;
	else
		ret->saturated = (double)flat / (double)(n * units * positions);
}

static void probe_one(const struct prepared *p, const struct bp_data *data, int layer, struct layer_state *ret)
{
	struct bp_net_spec spec = p->model.net;
	struct bp_net *part = NULL;
	struct bp_predictor *predictor = NULL;
	struct bp_error err;
	bp_real *values = NULL;
	spec.nlayers = layer + 1;
	if (bp_net_new(&spec, &part, &err) != BP_OK || !tensors_copy(p->net, part))
		goto out;
	struct bp_shape out = bp_net_output_shape(part);
	int64_t size = bp_shape_size(&out), n = VALUES_MAX / size;
	n = n > SAMPLES ? SAMPLES : n < 1 ? 1 : n;
	n = n > data->count ? data->count : n;
	values = malloc((size_t)(n * size) * sizeof(*values));
	if (values && bp_predictor_new(part, BATCH, p->job.params.threads, &predictor, &err) == BP_OK &&
		bp_predictor_run(predictor, data, 0, n, values, &err) == BP_OK)
		judge(values, n, out.dim[0], size / out.dim[0], ret);
out:
	free(values);
	bp_predictor_free(predictor);
	bp_net_free(part);
}

void probe_layers(const struct prepared *p, const struct bp_data *data, struct layer_state *layers)
{
	int left = LAYERS_MAX;
	for (int i = 0; i < p->model.net.nlayers && left > 0; i++) {
		if (layers[i].activation == ACT_NONE)
			continue;
		probe_one(p, data, i, &layers[i]);
		left--;
	}
}
