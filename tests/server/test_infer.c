/* test_infer.c - predictions and exports from a checkpoint of a small trained net. */
#include "runner.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "infer/infer.h"
#include "problems.h"
#include "spec/spec.h"

enum { SAMPLES = 24, PIXELS = 16, CLASSES = 3 };

/* A net trained a little on made-up bytes, its checkpoint, and what the server stores of its job. */
struct trained {
	char path[64];
	json_t *model, *spec;
	struct bp_net *net;
	struct bp_data data;
	uint8_t bytes[SAMPLES * PIXELS];
	float floats[SAMPLES * PIXELS], targets[SAMPLES * CLASSES];
	int32_t labels[SAMPLES];
	float mean[1], std[1];
};

static const char *const layers_of_maps = "{'input':{'shape':[1,4,4]},'layers':[{'name':'conv','type':'Conv2d','out_"
					  "channels':2,'kernel_size':3,'padding':1},"
					  "{'name':'bn','type':'BatchNorm2d'},{'type':'ReLU'},{'type':'Flatten'},"
					  "{'name':'fc','type':'Linear','out_features':3}]}";

static void make_data(struct trained *t, bool u8, bool classes)
{
	t->mean[0] = u8 ? 0.25f : 1;
	t->std[0] = 0.5f;
	for (int i = 0; i < SAMPLES * PIXELS; i++) {
		t->bytes[i] = (uint8_t)(i * 37 + i / 7);
		t->floats[i] = (float)((i * 29) % 64) / 16;
	}
	for (int i = 0; i < SAMPLES * CLASSES; i++)
		t->targets[i] = (float)(i % 5);
	for (int i = 0; i < SAMPLES; i++)
		t->labels[i] = i % CLASSES;
	t->data = (struct bp_data){.shape = {3, {1, 4, 4}},
		.dtype = u8 ? BP_U8 : BP_F32,
		.samples = u8 ? (void *)t->bytes : (void *)t->floats,
		.mean = t->mean,
		.std = t->std,
		.count = SAMPLES};
	if (classes)
		t->data.labels = t->labels;
	else
		t->data.targets = t->targets;
	t->data.ntargets = classes ? 0 : CLASSES;
}

static void trained_begin(struct trained *t, bool u8, bool classes)
{
	struct problems problems = {0};
	struct spec_model model;
	struct spec_job job;
	struct bp_trainer *trainer = NULL;
	struct bp_error err;
	struct spec_dataset ds = {.shape = {3, {1, 4, 4}},
		.classes = classes ? CLASSES : 0,
		.ntargets = classes ? 0 : CLASSES,
		.train = SAMPLES,
		.nmean = 1,
		.u8 = u8};
	double loss = 0;
	make_data(t, u8, classes);
	ds.mean[0] = t->mean[0];
	ds.std[0] = t->std[0];
	json_t *names = json_of("['cat','dog','bird']");
	ds.class_names = classes ? names : NULL;
	t->model = json_of(layers_of_maps);
	ck_assert(spec_model_parse(t->model, "", &problems, &model));
	t->net = spec_model_build(&model, "", &problems);
	ck_assert_ptr_nonnull(t->net);
	json_t *body = json_of("{'dataset':'d','model':'m','training':{'batch_size':8}}");
	ck_assert(spec_job_parse(body, 1, &problems, &job));
	struct bp_memory memory;
	ck_assert(spec_job_check(&job, &(struct spec_job_context){&model, t->net, &ds, 0}, &problems, &memory));
	t->spec = spec_job_to_json(&job, &ds);
	bp_net_init(t->net, 7);
	ck_assert_int_eq(bp_trainer_new(t->net, &job.params, &t->data, NULL, &trainer, &err), BP_OK);
	for (int step = 0; step < 3; step++)
		ck_assert_int_eq(bp_trainer_step(trainer, step * 8, 8, &loss, &err), BP_OK);
	snprintf(t->path, sizeof(t->path), "/tmp/backpropd-test-%d.ckpt", (int)getpid());
	ck_assert_int_eq(bp_trainer_save(trainer, t->path, &err), BP_OK);
	bp_trainer_free(trainer);
	spec_model_done(&model);
	json_decref(names);
	json_decref(body);
}

static void trained_end(struct trained *t)
{
	unlink(t->path);
	json_decref(t->model);
	json_decref(t->spec);
	bp_net_free(t->net);
}

static struct infer *open_it(const struct trained *t)
{
	struct problems problems = {0};
	struct infer *in = infer_open(t->model, t->spec, t->path, &problems);
	problem_none(&problems);
	ck_assert_ptr_nonnull(in);
	return in;
}

/* The scores of all samples, from the trained net itself. */
static void scores(const struct trained *t, float *ret)
{
	struct bp_predictor *p = NULL;
	struct bp_error err;
	ck_assert_int_eq(bp_predictor_new(t->net, SAMPLES, 1, &p, &err), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &t->data, 0, SAMPLES, ret, &err), BP_OK);
	bp_predictor_free(p);
}

/* Samples [0, n) as a request: flat, or nested down to rows of 4, with the channel or without. */
enum form { FORM_FLAT, FORM_NESTED, FORM_GREY };
static json_t *instances(const struct trained *t, int n, enum form form)
{
	json_t *list = json_array();
	for (int i = 0; i < n; i++) {
		json_t *flat = json_array(), *rows = json_array();
		for (int r = 0; r < 4; r++) {
			json_t *row = json_array();
			for (int c = 0; c < 4; c++) {
				int at = i * PIXELS + r * 4 + c;
				json_t *v = t->data.dtype == BP_U8 ? json_integer(t->bytes[at])
								   : json_real((double)t->floats[at]);
				json_array_append(row, v);
				json_array_append_new(flat, v);
			}
			json_array_append_new(rows, row);
		}
		json_t *maps = json_pack("[O]", rows);
		json_array_append(list, form == FORM_FLAT ? flat : form == FORM_NESTED ? maps : rows);
		json_decref(flat);
		json_decref(rows);
		json_decref(maps);
	}
	return json_pack("{s:o}", "instances", list);
}

static void check_classes(const struct trained *t, const json_t *answer, int n)
{
	static const char *const names[] = {"cat", "dog", "bird"};
	float want[SAMPLES * CLASSES];
	scores(t, want);
	const json_t *predictions = json_object_get(answer, "predictions");
	ck_assert_uint_eq(json_array_size(predictions), (size_t)n);
	for (int i = 0; i < n; i++) {
		const json_t *one = json_array_get(predictions, (size_t)i);
		double sum = 0;
		int best = 0;
		for (int k = 0; k < CLASSES; k++) {
			sum += exp((double)want[i * CLASSES + k]);
			best = want[i * CLASSES + k] > want[i * CLASSES + best] ? k : best;
		}
		ck_assert_int_eq(json_integer_value(json_object_get(one, "class")), best);
		ck_assert_str_eq(json_string_value(json_object_get(one, "label")), names[best]);
		for (int k = 0; k < CLASSES; k++) {
			double p = json_real_value(json_array_get(json_object_get(one, "probabilities"), (size_t)k));
			ck_assert_double_eq_tol(p, exp((double)want[i * CLASSES + k]) / sum, 1e-6);
		}
	}
}

START_TEST(instances_of_every_form_give_the_probabilities_of_the_trained_net)
{
	struct trained t;
	for (int u8 = 0; u8 < 2; u8++) {
		trained_begin(&t, u8, true);
		struct infer *in = open_it(&t);
		for (enum form form = FORM_FLAT; form <= FORM_GREY; form++) {
			struct problems problems = {0};
			json_t *body = instances(&t, 5, form);
			json_t *answer = infer_predict(in, body, 10, &problems);
			problem_none(&problems);
			check_classes(&t, answer, 5);
			json_decref(answer);
			json_decref(body);
		}
		infer_close(in);
		trained_end(&t);
	}
}
END_TEST

START_TEST(a_regression_gives_its_outputs)
{
	struct trained t;
	struct problems problems = {0};
	float want[SAMPLES * CLASSES];
	trained_begin(&t, false, false);
	struct infer *in = open_it(&t);
	json_t *body = instances(&t, 2, FORM_FLAT);
	json_t *answer = infer_predict(in, body, 2, &problems);
	problem_none(&problems);
	scores(&t, want);
	const json_t *outputs = json_object_get(answer, "outputs");
	ck_assert_uint_eq(json_array_size(outputs), 2);
	ck_assert_float_eq((float)json_real_value(json_array_get(json_array_get(outputs, 1), 2)), want[CLASSES + 2]);
	json_decref(answer);
	struct bp_data two = t.data;
	two.index = (const uint32_t[]){3, 4};
	two.count = 2;
	answer = infer_predict_data(in, &two, 3, &problems);
	ck_assert_double_eq(json_real_value(json_array_get(json_array_get(json_object_get(answer, "targets"), 1), 0)),
		t.targets[4 * CLASSES]);
	json_decref(answer);
	json_decref(body);
	infer_close(in);
	trained_end(&t);
}
END_TEST

START_TEST(yes_and_no_are_given_as_probabilities)
{
	struct trained t;
	struct problems problems = {0};
	float want[SAMPLES * CLASSES];
	trained_begin(&t, false, false);
	json_object_set_new(json_object_get(t.spec, "training"), "loss", json_string("BCEWithLogitsLoss"));
	struct infer *in = open_it(&t);
	json_t *answer = infer_predict_data(in, &t.data, 0, &problems);
	problem_none(&problems);
	scores(&t, want);
	const json_t *second = json_array_get(json_object_get(answer, "outputs"), 1);
	for (size_t j = 0; j < CLASSES; j++)
		ck_assert_double_eq_tol(
			json_real_value(json_array_get(second, j)), 1 / (1 + exp(-(double)want[CLASSES + j])), 1e-6);
	json_decref(answer);
	infer_close(in);
	trained_end(&t);
}
END_TEST

START_TEST(samples_of_a_data_set_come_with_their_true_labels)
{
	struct trained t;
	struct problems problems = {0};
	const uint32_t index[] = {9, 4, 0};
	trained_begin(&t, true, true);
	struct infer *in = open_it(&t);
	json_t *answer = infer_predict_data(in, &t.data, 0, &problems);
	check_classes(&t, answer, SAMPLES);
	const json_t *one = json_array_get(json_object_get(answer, "predictions"), 5);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "index")), 5);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "true_class")), 2);
	ck_assert_str_eq(json_string_value(json_object_get(one, "true_label")), "bird");
	json_decref(answer);
	struct bp_data view = t.data;
	view.index = index;
	view.count = 3;
	answer = infer_predict_data(in, &view, 20, &problems);
	one = json_array_get(json_object_get(answer, "predictions"), 1);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "index")), 21);
	ck_assert_int_eq(json_integer_value(json_object_get(one, "true_class")), 1);
	json_decref(answer);
	view.shape.dim[2] = 5;
	ck_assert_ptr_null(infer_predict_data(in, &view, 0, &problems));
	problem_expect(&problems, ERR_INVALID_SHAPE, "/dataset", "another shape");
	infer_close(in);
	trained_end(&t);
}
END_TEST

START_TEST(wrong_instances_are_told_by_their_place)
{
	static const struct {
		const char *body;
		enum error_code code;
		const char *param;
	} cases[] = {
		{"[]", ERR_WRONG_TYPE, ""},
		{"{}", ERR_MISSING_FIELD, "/instances"},
		{"{'instances':{}}", ERR_WRONG_TYPE, "/instances"},
		{"{'instances':[]}", ERR_OUT_OF_RANGE, "/instances"},
		{"{'instances':[1,2,3,4]}", ERR_OUT_OF_RANGE, "/instances"},
		{"{'instance':[[]]}", ERR_UNKNOWN_FIELD, "/instance"},
		{"{'instances':[7]}", ERR_WRONG_TYPE, "/instances/0"},
		{"{'instances':[[]]}", ERR_INVALID_SHAPE, "/instances/0"},
		{"{'instances':[[1,2,3]]}", ERR_INVALID_SHAPE, "/instances/0"},
		{"{'instances':[[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,256]]}", ERR_OUT_OF_RANGE, "/instances/0/15"},
		{"{'instances':[[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0.5,0]]}", ERR_OUT_OF_RANGE, "/instances/0/14"},
		{"{'instances':[[0,'x',0,0,0,0,0,0,0,0,0,0,0,0,0,0]]}", ERR_WRONG_TYPE, "/instances/0/1"},
		{"{'instances':[[[0,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0]]]}", ERR_INVALID_SHAPE, "/instances/0/3"},
		{"{'instances':[[[0,0,0,0],[0,0,0,0],[0,0,0,0],4]]}", ERR_WRONG_TYPE, "/instances/0/3"},
		{"{'instances':[[[[0,0,0,0],[0,0,0,0],[0,0,0,[]],[0,0,0,0]]]]}", ERR_WRONG_TYPE, "/instances/0/0/2/3"},
		{"{'instances':[[[[0,0,0,0],[0,0,0,0],[0,0,0,0],[0,0,0,0]],1]]}", ERR_INVALID_SHAPE, "/instances/0"},
	};
	struct trained t;
	trained_begin(&t, true, true);
	struct infer *in = open_it(&t);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problems problems = {0};
		json_t *body = json_of(cases[i].body);
		ck_assert_ptr_null(infer_predict(in, body, 3, &problems));
		problem_expect(&problems, cases[i].code, cases[i].param, "");
		json_decref(body);
	}
	infer_close(in);
	trained_end(&t);
}
END_TEST

START_TEST(a_checkpoint_that_cannot_be_used_is_told_as_unavailable)
{
	struct trained t;
	struct problems problems = {0};
	trained_begin(&t, true, true);
	ck_assert_ptr_null(infer_open(t.model, t.spec, "/nonexistent", &problems));
	problem_expect(&problems, ERR_UNAVAILABLE, "", "cannot be read");
	problems = (struct problems){0};
	ck_assert_ptr_null(infer_open(NULL, t.spec, t.path, &problems));
	problem_expect(&problems, ERR_UNAVAILABLE, "", "stored definition");
	problems = (struct problems){0};
	json_t *wider = json_deep_copy(t.model);
	json_object_set_new(json_array_get(json_object_get(wider, "layers"), 4), "out_features", json_integer(4));
	ck_assert_ptr_null(infer_open(wider, t.spec, t.path, &problems));
	problem_expect(&problems, ERR_UNAVAILABLE, "", "another model");
	json_decref(wider);
	problems = (struct problems){0};
	FILE *f = fopen(t.path, "r+b");
	fseek(f, 200, SEEK_SET);
	fputc(0x5a, f);
	fputc(0xa5, f);
	fclose(f);
	ck_assert_ptr_null(infer_open(t.model, t.spec, t.path, &problems));
	problem_expect(&problems, ERR_UNAVAILABLE, "", "The checkpoint");
	infer_close(NULL);
	trained_end(&t);
}
END_TEST

/* Element count and values of tensor i, in PyTorch's order. */
static int64_t tensor_values(const struct bp_net *net, int i, struct bp_tensor_info *ret_info, float *ret)
{
	int64_t n = 1;
	bp_net_tensor_info(net, i, ret_info);
	for (int d = 0; d < ret_info->ndim; d++)
		n *= ret_info->dim[d];
	bp_net_tensor_get(net, i, ret);
	return n;
}

START_TEST(safetensors_hold_every_tensor_without_gaps)
{
	struct trained t;
	uint8_t *data = NULL;
	size_t size = 0, end = 0;
	const char *type = NULL;
	float want[256];
	trained_begin(&t, true, true);
	struct infer *in = open_it(&t);
	ck_assert(infer_export(in, "safetensors", (void **)&data, &size, &type));
	ck_assert_str_eq(type, "application/octet-stream");
	uint64_t header = 0;
	memcpy(&header, data, 8);
	ck_assert_uint_eq(header % 8, 0);
	json_t *json = json_loadb((char *)data + 8, header, 0, NULL);
	ck_assert_ptr_nonnull(json);
	ck_assert_str_eq(json_string_value(json_object_get(json_object_get(json, "__metadata__"), "format")), "pt");
	ck_assert_int_eq((int)json_object_size(json), bp_net_tensors(t.net) + 1);
	ck_assert_ptr_nonnull(json_object_get(json, "conv.weight"));
	ck_assert_ptr_nonnull(json_object_get(json, "bn.running_var"));
	for (int i = 0; i < bp_net_tensors(t.net); i++) {
		struct bp_tensor_info info;
		int64_t n = tensor_values(t.net, i, &info, want);
		const json_t *entry = json_object_get(json, info.name),
			     *offsets = json_object_get(entry, "data_offsets");
		size_t from = (size_t)json_integer_value(json_array_get(offsets, 0));
		size_t to = (size_t)json_integer_value(json_array_get(offsets, 1));
		ck_assert_uint_eq(from, end);
		end = to;
		bool counter = strstr(info.name, "num_batches_tracked") != NULL;
		ck_assert_str_eq(json_string_value(json_object_get(entry, "dtype")), counter ? "I64" : "F32");
		if (!counter) {
			ck_assert_uint_eq(to - from, (size_t)n * 4);
			ck_assert_mem_eq(data + 8 + header + from, want, (size_t)n * 4);
			ck_assert_int_eq((int)json_array_size(json_object_get(entry, "shape")), info.ndim);
		} else {
			int64_t count = 0;
			ck_assert_uint_eq(to - from, sizeof(count));
			memcpy(&count, data + 8 + header + from, sizeof(count));
			ck_assert_int_gt(count, 0);
			ck_assert_int_eq(count, (int64_t)want[0]);
			ck_assert_uint_eq(json_array_size(json_object_get(entry, "shape")), 0);
		}
	}
	ck_assert_uint_eq(8 + header + end, size);
	json_decref(json);
	free(data);
	infer_close(in);
	trained_end(&t);
}
END_TEST

static uint32_t read32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

START_TEST(an_npz_is_a_zip_of_stored_arrays)
{
	struct trained t;
	uint8_t *data = NULL;
	size_t size = 0;
	const char *type = NULL;
	float want[256];
	trained_begin(&t, true, true);
	struct infer *in = open_it(&t);
	ck_assert(infer_export(in, "npz", (void **)&data, &size, &type));
	ck_assert_str_eq(type, "application/zip");
	const uint8_t *end = data + size - 22;
	ck_assert_uint_eq(read32(end), 0x06054b50);
	ck_assert_int_eq(end[10] | end[11] << 8, bp_net_tensors(t.net));
	const uint8_t *central = data + read32(end + 16);
	for (int i = 0; i < bp_net_tensors(t.net); i++) {
		struct bp_tensor_info info;
		int64_t n = tensor_values(t.net, i, &info, want);
		int length = central[28] | central[29] << 8;
		ck_assert_uint_eq(read32(central), 0x02014b50);
		ck_assert_int_eq(strncmp((const char *)central + 46, info.name, strlen(info.name)), 0);
		const uint8_t *local = data + read32(central + 42);
		ck_assert_uint_eq(read32(local), 0x04034b50);
		ck_assert_mem_eq(local + 4, central + 6, 26);
		const uint8_t *npy = local + 30 + length;
		ck_assert_mem_eq(npy, "\x93NUMPY\x01\x00", 8);
		size_t header = 10 + (size_t)(npy[8] | npy[9] << 8);
		ck_assert_uint_eq(header % 64, 0);
		bool counter = strstr(info.name, "num_batches_tracked") != NULL;
		int64_t count = (int64_t)want[0];
		size_t bytes = counter ? sizeof(count) : (size_t)n * 4;
		ck_assert_ptr_nonnull(strstr((const char *)npy + 10,
			counter ? "{'descr': '<i8', 'fortran_order': False, 'shape': ()" : "{'descr': '<f4'"));
		ck_assert_uint_eq(read32(local + 18), header + bytes);
		ck_assert_mem_eq(npy + header, counter ? (const void *)&count : want, bytes);
		central += 46 + length;
	}
	ck_assert_ptr_eq(central, end);
	free(data);
	ck_assert(!infer_export(in, "pickle", (void **)&data, &size, &type));
	infer_close(in);
	trained_end(&t);
}
END_TEST

TEST_SUITE(infer, 30)
{
	tcase_add_test(tc, instances_of_every_form_give_the_probabilities_of_the_trained_net);
	tcase_add_test(tc, a_regression_gives_its_outputs);
	tcase_add_test(tc, yes_and_no_are_given_as_probabilities);
	tcase_add_test(tc, samples_of_a_data_set_come_with_their_true_labels);
	tcase_add_test(tc, wrong_instances_are_told_by_their_place);
	tcase_add_test(tc, a_checkpoint_that_cannot_be_used_is_told_as_unavailable);
	tcase_add_test(tc, safetensors_hold_every_tensor_without_gaps);
	tcase_add_test(tc, an_npz_is_a_zip_of_stored_arrays);
}
