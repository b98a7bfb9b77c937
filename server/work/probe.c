/* probe.c - see probe.h. */
#include "work/probe.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 64, LAYERS_MAX = 48 };

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

/* What was seen of one layer. */
struct seen {
	enum activation activation;
	int64_t rows, flat; /* rows: positions of samples; flat: values at the ends */
	int64_t units;
	bool *alive; /* of each unit: it gave something */
};

/* One position of one sample. */
static void see(void *user, int layer, const bp_real *values, int64_t units)
{
	struct seen *seen = (struct seen *)user + layer;
	seen->rows++;
	for (int64_t u = 0; u < units; u++) {
		bp_real y = values[u];
		if (seen->activation == ACT_RELU)
			seen->alive[u] |= y != 0;
		else
			seen->flat += seen->activation == ACT_TANH ? fabs(y) > TANH_FLAT
								   : y < SIGMOID_FLAT || y > 1 - SIGMOID_FLAT;
	}
}

static void judge(const struct seen *seen, struct layer_state *ret)
{
	int64_t dead = 0;
	if (seen->activation == ACT_RELU) {
		for (int64_t u = 0; u < seen->units; u++)
			dead += !seen->alive[u];
		ret->dead = (double)dead / (double)seen->units;
	} else {
		ret->saturated = (double)seen->flat / (double)(seen->rows * seen->units);
	}
}

/* What is to be seen, of the first LAYERS_MAX activations. False: no memory. */
static bool seen_init(const struct bp_net *net, const struct layer_state *layers, struct seen *seen, bool *wanted)
{
	int left = LAYERS_MAX;
	for (int i = 0; i < bp_net_layers(net); i++) {
		struct bp_layer_info info;
		if (layers[i].activation == ACT_NONE || left-- <= 0)
			continue;
		bp_net_layer_info(net, i, &info);
		seen[i] = (struct seen){.activation = layers[i].activation,
			.units = info.out.dim[0],
			.alive = calloc((size_t)info.out.dim[0], sizeof(*seen[i].alive))};
		if (!seen[i].alive)
			return false;
		wanted[i] = true;
	}
	return true;
}

void probe_layers(struct bp_trainer *tr, const struct bp_net *net, struct layer_state *layers)
{
	int n = bp_net_layers(net);
	struct seen *seen = calloc((size_t)n, sizeof(*seen));
	bool *wanted = calloc((size_t)n, sizeof(*wanted));
	if (seen && wanted && seen_init(net, layers, seen, wanted)) {
		bp_trainer_look(tr, SAMPLES, wanted, see, seen);
		for (int i = 0; i < n; i++)
			if (wanted[i])
				judge(&seen[i], &layers[i]);
	}
	for (int i = 0; seen && i < n; i++)
		free(seen[i].alive);
	free(seen);
	free(wanted);
}
