/* test_work_probe.c - dead units and flat ends of nets whose weights are known. No OpenMP region: one thread. */
#include "runner.h"

#include <math.h>
#include <string.h>

#include "problems.h"
#include "work/probe.h"

enum { SAMPLES = 5, INPUTS = 2, LAYERS_MAX = 8 };

/* The nets have one weighted layer of four units (or channels), whose biases decide. */
static void open_net(struct prepared *p, const char *text, const float *bias)
{
	struct problems problems = {0};
	json_t *json = json_of(text);
	memset(p, 0, sizeof(*p));
	ck_assert(spec_model_parse(json, "", &problems, &p->model));
	p->net = spec_model_build(&p->model, "", &problems);
	problem_none(&problems);
	bp_net_init(p->net, 1);
	for (int i = 0; i < bp_net_tensors(p->net); i++) {
		struct bp_tensor_info info;
		bp_net_tensor_info(p->net, i, &info);
		if (strcmp(info.name, "a.bias") == 0)
			bp_net_tensor_set(p->net, i, bias);
	}
	json_decref(json);
}

static void probe(struct prepared *p, struct bp_shape shape, struct layer_state *ret)
{
	static float samples[SAMPLES * INPUTS * 4];
	for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++)
		samples[i] = (float)(i % 3) - 1;
	static const int32_t labels[SAMPLES];
	struct bp_data data = {.shape = shape, .dtype = BP_F32, .samples = samples, .labels = labels, .count = SAMPLES};
	struct bp_train_params params;
	struct bp_trainer *tr;
	struct bp_error err;
	bp_train_params_defaults(&params);
	params.batch_size = 2; /* three batches, the last a short one */
	ck_assert_msg(bp_trainer_new(p->net, &params, &data, NULL, &tr, &err) == BP_OK, "%s", err.message);
	for (int i = 0; i < bp_net_layers(p->net); i++) {
		struct bp_layer_info info;
		bp_net_layer_info(p->net, i, &info);
		ret[i] = (struct layer_state){.activation = probe_activation(info.type), .dead = NAN, .saturated = NAN};
	}
	probe_layers(tr, p->net, ret);
	bp_trainer_free(tr);
	bp_net_free(p->net);
	spec_model_done(&p->model);
}

START_TEST(units_that_are_zero_for_every_sample_are_dead)
{
	static const float bias[4] = {-100, 100, -100, -100};
	struct layer_state layers[LAYERS_MAX];
	struct prepared p;
	open_net(&p,
		"{'input':{'shape':[2]},'layers':[{'name':'a','type':'Linear','out_features':4},{'type':'ReLU'},"
		"{'type':'Linear','out_features':3}]}",
		bias);
	probe(&p, (struct bp_shape){.ndim = 1, .dim = {2}}, layers);
	ck_assert_double_eq(layers[1].dead, 0.75);
	ck_assert(isnan(layers[0].dead) && isnan(layers[1].saturated) && isnan(layers[2].dead));
}
END_TEST

START_TEST(a_channel_is_dead_when_all_its_pixels_are)
{
	static const float bias[4] = {-100, 0, 0, 100};
	struct layer_state layers[LAYERS_MAX];
	struct prepared p;
	open_net(&p,
		"{'input':{'shape':[2,2,2]},'layers':[{'name':'a','type':'Conv2d','out_channels':4,'kernel_size':1},"
		"{'type':'BatchNorm2d'},{'type':'ReLU'},{'type':'Flatten'},{'type':'Linear','out_features':3}]}",
		bias);
	probe(&p, (struct bp_shape){.ndim = 3, .dim = {2, 2, 2}}, layers);
	ck_assert_double_eq(layers[2].dead, 0.25);
}
END_TEST

/* Where the convolution after the norm applies it, the norm's output is never in memory. */
START_TEST(a_channel_is_dead_behind_a_norm_that_is_applied_later)
{
	static const float bias[4] = {-100, 0, 0, 100};
	struct layer_state layers[LAYERS_MAX];
	struct prepared p;
	open_net(&p,
		"{'input':{'shape':[2,2,2]},'layers':[{'name':'a','type':'Conv2d','out_channels':4,'kernel_size':1},"
		"{'type':'BatchNorm2d'},{'type':'ReLU'},{'type':'Conv2d','out_channels':4,'kernel_size':1},"
		"{'type':'Flatten'},{'type':'Linear','out_features':3}]}",
		bias);
	probe(&p, (struct bp_shape){.ndim = 3, .dim = {2, 2, 2}}, layers);
	ck_assert_double_eq(layers[2].dead, 0.25);
}
END_TEST

START_TEST(flat_ends_are_counted_value_by_value)
{
	static const float bias[4] = {100, -100, 50, 0};
	static const char *const types[] = {"Tanh", "Sigmoid"};
	for (int i = 0; i < 2; i++) {
		char text[256];
		struct layer_state layers[LAYERS_MAX];
		struct prepared p;
		snprintf(text, sizeof(text),
			"{'input':{'shape':[2]},'layers':[{'name':'a','type':'Linear','out_features':4},{'type':'%s'},"
			"{'type':'Linear','out_features':3}]}",
			types[i]);
		open_net(&p, text, bias);
		probe(&p, (struct bp_shape){.ndim = 1, .dim = {2}}, layers);
		ck_assert_double_eq(layers[1].saturated, 0.75);
		ck_assert(isnan(layers[1].dead));
	}
}
END_TEST

TEST_SUITE(work_probe, 10)
{
	tcase_add_test(tc, units_that_are_zero_for_every_sample_are_dead);
	tcase_add_test(tc, a_channel_is_dead_when_all_its_pixels_are);
	tcase_add_test(tc, a_channel_is_dead_behind_a_norm_that_is_applied_later);
	tcase_add_test(tc, flat_ends_are_counted_value_by_value);
}
