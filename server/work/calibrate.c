/* calibrate.c - see calibrate.h. */
#include "work/calibrate.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/jsonmem.h"
#include "base/clock.h"
#include "base/log.h"
#include "spec/spec.h"

enum { BATCH = 32, STEPS_MAX = 2000, WAIT_MS = 100 };
#define MEASURE_SECONDS 0.01

/* A net that is all overhead, and one that is all arithmetic. */
static const struct {
	const char *name, *model;
	struct bp_shape shape;
} nets[] = {
	{"calibration mlp",
		"{\"input\":{\"shape\":[64]},\"layers\":[{\"type\":\"Linear\",\"out_features\":128},{\"type\":\"ReLU\"}"
		","
		"{\"type\":\"Linear\",\"out_features\":10}]}",
		{1, {64}}},
	{"calibration cnn",
		"{\"input\":{\"shape\":[16,16,16]},\"layers\":[{\"type\":\"Conv2d\",\"out_channels\":32,\"kernel_"
		"size\":3,"
		"\"padding\":1},{\"type\":\"ReLU\"},{\"type\":\"AdaptiveAvgPool2d\",\"output_size\":1},"
		"{\"type\":\"Flatten\"},{\"type\":\"Linear\",\"out_features\":10}]}",
		{3, {16, 16, 16}}},
};

/* Samples a second over MEASURE_SECONDS of steps, the first not counted; 0: not measured. */
static double measure(struct bp_trainer *tr)
{
	struct bp_error err;
	double begin = 0, now = 0;
	int steps = 0;
	for (; steps < STEPS_MAX && (steps < 2 || now - begin < MEASURE_SECONDS); steps++) {
		if (bp_trainer_step(tr, 0, BATCH, NULL, &err) != BP_OK)
			return 0;
		now = clock_mono();
		if (steps == 0)
			begin = now;
	}
	return now > begin ? (steps - 1) * (double)BATCH / (now - begin) : 0;
}

static void calibrate_net(const struct work_context *ctx, int threads, size_t i)
{
	struct problems problems = {0};
	struct spec_model model = {0};
	struct bp_trainer *tr = NULL;
	struct bp_train_params params;
	struct bp_error err;
	json_t *json = jsonmem_loads(nets[i].model, 0, NULL);
	struct bp_net *net = NULL;
	size_t values = (size_t)bp_shape_size(&nets[i].shape) * BATCH;
	float *samples = malloc(values * sizeof(*samples));
	int32_t labels[BATCH];
	bool ok = samples && json && spec_model_parse(json, "", &problems, &model) &&
		  (net = spec_model_build(&model, "", &problems));
	for (size_t k = 0; ok && k < values; k++)
		samples[k] = (float)(k * 7 % 11) / 5 - 1;
	for (int k = 0; k < BATCH; k++)
		labels[k] = k % 10;
	struct bp_data data = {
		.shape = nets[i].shape, .dtype = BP_F32, .samples = samples, .labels = labels, .count = BATCH};
	bp_train_params_defaults(&params);
	params.batch_size = BATCH;
	params.threads = params.max_threads = threads;
	if (ok) {
		bp_net_init(net, 0);
		ok = bp_trainer_new(net, &params, &data, NULL, &tr, &err) == BP_OK;
	}
	struct speed speed = {.batch_size = BATCH};
	snprintf(speed.model_sha256, sizeof(speed.model_sha256), "%s", nets[i].name);
	if (ok) {
		speed.training_flops = (double)bp_net_training_flops(net);
		speed.samples_per_second = measure(tr);
	}
	if (speed.samples_per_second > 0 && store_speed_note(ctx->store, &speed) == STORE_OK)
		log_line(LOG_INFO, "%s: %.3g GFLOP/s with %d thread(s)", nets[i].name,
			speed.training_flops * speed.samples_per_second * 1e-9, threads);
	bp_trainer_free(tr);
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(json);
	free(samples);
}

void calibrate_machine(const struct work_context *ctx)
{
	struct speed any = {.batch_size = BATCH, .training_flops = 1e6};
	bool exact;
	if (store_speed_find(ctx->store, &any, &exact) != STORE_NOT_FOUND)
		return;
	struct lease *lease = lease_open(ctx->leases, "calibration", "", 0);
	while (lease && lease_wait(lease, WAIT_MS) == 0 && !atomic_load(&ctx->stopping))
		continue;
	for (size_t i = 0; lease && i < sizeof(nets) / sizeof(nets[0]) && !atomic_load(&ctx->stopping); i++)
		calibrate_net(ctx, lease_threads(lease), i);
	lease_close(lease);
}
