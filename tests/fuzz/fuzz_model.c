/*
 * fuzz_model.c - whatever bytes come as a model, they end as a net or as problems a client can use: JSON, spec, net,
 * memory plan, and for small nets a step of training. Run by libFuzzer (make fuzz) and by replay.c.
 */
#include "fuzz/fuzz.h"

#include <stdlib.h>

#include "fuzz/heap.h"
#include "spec/spec.h"

/* A net that needs no more bytes and operations makes a step of training; each so many-th input may be as large as DEEP
 * says. Most nets are small or refused, so these limits decide how many inputs a second are tried. */
enum {
	STEP_BYTES = 1 << 17,
	STEP_FLOPS = 1 << 13,
	DEEP_EVERY = 32,
	DEEP_BYTES = 1 << 20,
	DEEP_FLOPS = 1 << 17,
};

/* The definition in full is the same definition. */
static void check_written(const struct spec_model *m)
{
	struct problems problems = {0};
	struct spec_model again;
	json_t *once = spec_model_to_json(m);
	must(once && spec_model_parse(once, "", &problems, &again), "what is written can be read");
	json_t *twice = spec_model_to_json(&again);
	must(json_equal(once, twice), "what is read is what was written");
	json_decref(once);
	json_decref(twice);
	spec_model_done(&again);
}

/* One step on two samples, with the output's own numbers as targets. */
static void train(struct bp_net *net, struct bp_train_params *params)
{
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	size_t nin = (size_t)bp_shape_size(&in), nout = (size_t)bp_shape_size(&out);
	float *samples = calloc(2 * nin, sizeof(*samples)), *targets = calloc(2 * nout, sizeof(*targets));
	struct bp_trainer *trainer = NULL;
	struct bp_error err;
	must(samples && targets, "there is memory for two samples");
	for (size_t i = 0; i < 2 * nin; i++)
		samples[i] = (float)(i % 7) / 4 - 1;
	struct bp_data data = {
		.shape = in,
		.dtype = BP_F32,
		.samples = samples,
		.targets = targets,
		.ntargets = (int)nout,
		.count = 2,
	};
	bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, "MSELoss"), &params->loss);
	bp_net_init(net, 1);
	if (bp_trainer_new(net, params, &data, NULL, &trainer, &err) == BP_OK) {
		double loss;
		must(bp_trainer_step(trainer, 0, 2, &loss, &err) == BP_OK, "a step can be made");
	}
	bp_trainer_free(trainer);
	free(samples);
	free(targets);
}

static void check_net(const struct spec_model *m, struct bp_net *net, size_t size)
{
	struct bp_train_params params;
	struct bp_memory memory = {.total = INT64_MAX};
	struct bp_error err = {.status = BP_OK};
	bool deep = size % DEEP_EVERY == 0;
	bp_train_params_defaults(&params);
	params.batch_size = 1 << size % 17;
	params.max_threads = 1 + (int)(size % 5);
	enum bp_status st = bp_net_memory(net, &params, &memory, &err);
	must(st == err.status && (st == BP_OK || err.message[0]), "a refusal has its reason");
	must(st || (memory.activations > 0 && memory.workspace >= 0 && memory.gradients >= 0), "memory is counted");
	json_t *summary = spec_model_summary(m, net);
	must(summary != NULL, "a net has a summary");
	json_decref(summary);
	params.batch_size = 2;
	params.max_threads = 1;
	if (bp_net_training_flops(net) <= (deep ? DEEP_FLOPS : STEP_FLOPS) &&
		bp_net_memory(net, &params, &memory, &err) == BP_OK &&
		memory.parameters + memory.total <= (deep ? DEEP_BYTES : STEP_BYTES))
		train(net, &params);
}

static void check(const uint8_t *data, size_t size)
{
	struct problems problems = {0};
	struct spec_model m;
	json_t *json = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, NULL);
	if (!json)
		return;
	if (spec_model_parse(json, "", &problems, &m)) {
		must(problems.count == 0, "a definition that was read has no problem");
		check_written(&m);
		struct bp_net *net = spec_model_build(&m, "", &problems);
		must(!net == (problems.count > 0), "a definition makes a net or a problem");
		if (net)
			check_net(&m, net, size);
		bp_net_free(net);
		spec_model_done(&m);
	} else {
		must(problems.count > 0, "a definition that was not read has a problem");
	}
	must_tell(&problems);
	must_point(&problems);
	json_decref(json);
}

void fuzz_model(const uint8_t *data, size_t size)
{
	heap_begin();
	check(data, size);
	heap_end();
}
