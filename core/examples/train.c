/* train.c - the training core without the server: a small net learns on which of two interleaved spirals a point lies.
 * make build/example_train && build/example_train */
#include <math.h>
#include <stdio.h>

#include "backprop.h"

enum { POINTS = 400, HIDDEN = 64, EPOCHS = 100 };

static struct bp_layer_spec layer(const char *name, const char *type, int input, int out_features)
{
	struct bp_layer_spec ret = {.ninputs = 1, .inputs = {input}};
	snprintf(ret.name, sizeof(ret.name), "%s", name);
	bp_item_defaults(BP_LAYER, bp_item_find(BP_LAYER, type), &ret.item);
	if (out_features)
		ret.item.args[0].v[0] = out_features; /* the first argument of Linear */
	return ret;
}

static enum bp_answer each_event(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	(void)user, (void)tr;
	if (ev->kind == BP_EVENT_EPOCH && ev->epoch % 20 == 0)
		printf("epoch %3d  loss %.4f  accuracy %5.1f %%  gradient norm %.3f\n", ev->epoch, ev->metrics->loss,
			100 * ev->metrics->accuracy, ev->metrics->grad_norm);
	return BP_CONTINUE;
}

int main(void)
{
	static float points[POINTS][2];
	static int32_t spiral[POINTS];
	for (int i = 0; i < POINTS; i++) {
		float t = 0.5f + 3.0f * (float)i / POINTS, turn = 3.1415927f * (float)(spiral[i] = i % 2);
		points[i][0] = t / 3 * cosf(2 * t + turn);
		points[i][1] = t / 3 * sinf(2 * t + turn);
	}
	const struct bp_layer_spec layers[] = {
		layer("fc1", "Linear", BP_INPUT, HIDDEN), layer("relu", "ReLU", 0, 0), layer("fc2", "Linear", 1, 2)};
	const struct bp_net_spec spec = {.input = {1, {2}}, .nlayers = 3, .layers = layers};
	const struct bp_data data = {{1, {2}}, BP_F32, points, .labels = spiral, .count = POINTS};
	struct bp_train_params params;
	bp_train_params_defaults(&params);
	params.epochs = EPOCHS;
	bp_item_defaults(BP_OPTIMIZER, bp_item_find(BP_OPTIMIZER, "Adam"), &params.optimizer);
	params.optimizer.args[0].v[0] = 0.01; /* its first argument: lr */
	struct bp_net *net = NULL;
	struct bp_trainer *trainer = NULL;
	struct bp_error err;
	if (!bp_net_new(&spec, &net, &err) && !bp_trainer_new(net, &params, &data, NULL, &trainer, &err)) {
		bp_net_init(net, 1);
		bp_trainer_run(trainer, each_event, NULL, NULL, &err);
	} else {
		fprintf(stderr, "example_train: %s\n", err.message);
	}
	const int failed = !trainer;
	bp_trainer_free(trainer);
	bp_net_free(net);
	return failed;
}
