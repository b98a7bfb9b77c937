/*
 * test_spec_limits.c - every number that a model's or a job's items may hold, taken from the core's tables: 0, -1,
 * 2^31 - 1 and what lies at and beyond its bounds is legal, or is refused with the item's place and that field. A new
 * item needs no line here, unless it is a layer and no input of `shapes` suits it with its required arguments at one of
 * `choices`.
 */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

static const char *const shapes[] = {"[12]", "[4,12]", "[4,12,12]", "[1,8192,8192]"};
enum { SHAPES = sizeof(shapes) / sizeof(shapes[0]) };
static const int choices[] = {2, 1, 12, -1, 4};
enum { CHOICES = sizeof(choices) / sizeof(choices[0]) };

/* What a layer wants beside its required arguments. */
static const struct {
	const char *type, *name;
	int value;
} wants[] = {{"Upsample", "size", 3}};

/* Arguments that only together are wrong, and which of them is named. */
static const struct {
	const char *arg, *told;
} together[] = {{"dilation", "kernel_size"}, {"min_val", "max_val"}};

/* A definition or a job with one item, whose numbers are tried. */
struct trial {
	json_t *(*item)(const json_t *whole); /* the item in it, borrowed */
	const char *at;                       /* its place */
	bool (*is_legal)(const json_t *whole, struct problems *problems);
	const json_t *base; /* a legal one */
};

static bool is_whole(const struct bp_arg *arg)
{
	return arg->kind == BP_ARG_INT || arg->kind == BP_ARG_PAIR || arg->kind == BP_ARG_PADDING ||
	       arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST;
}

static bool is_real(const struct bp_arg *arg)
{
	return arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR || arg->kind == BP_ARG_WEIGHTS;
}

/* An item with every required number at `choice`. */
static json_t *item_with(const struct bp_item_info *info, int choice)
{
	json_t *item = json_pack("{s:s}", "type", info->name);
	for (int i = 0; i < info->nargs; i++)
		if (info->args[i].required)
			json_object_set_new(item, info->args[i].name, json_integer(choice));
	return item;
}

/* A definition of one layer, and one after it that learns, so that a training can be planned. */
static json_t *definition(const struct bp_item_info *info, const char *shape, int choice)
{
	json_t *layer = item_with(info, choice);
	for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++)
		if (strcmp(wants[i].type, info->name) == 0)
			json_object_set_new(layer, wants[i].name, json_integer(wants[i].value));
	if (info->min_inputs > 1)
		json_object_set_new(layer, "inputs", json_pack("[s,s]", "input", "input"));
	return json_pack("{s:{s:o}, s:[o, {s:s}]}", "input", "shape", json_of(shape), "layers", layer, "type", "PReLU");
}

static json_t *only_layer(const json_t *definition)
{
	return json_array_get(json_object_get(definition, "layers"), 0);
}

/* Parses, builds, plans a training and describes it. False with problems. */
static bool model_is_legal(const json_t *definition, struct problems *problems)
{
	struct spec_model m;
	struct bp_train_params params;
	struct bp_memory memory;
	*problems = (struct problems){0};
	if (!spec_model_parse(definition, "/model", problems, &m))
		return false;
	struct bp_net *net = spec_model_build(&m, "/model", problems);
	if (net) {
		bp_train_params_defaults(&params);
		bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, "MSELoss"), &params.loss);
		params.batch_size = BP_MAX_BATCH;
		struct bp_shape out = bp_net_output_shape(net);
		ck_assert_int_gt(bp_shape_size(&out), 0);
		ck_assert_int_ge(bp_net_flops(net), 0);
		ck_assert_int_ge(bp_net_training_flops(net), 0);
		enum bp_status st = bp_net_memory(net, &params, &memory, NULL);
		ck_assert(st == BP_ELIMIT || (st == BP_OK && memory.total > 0));
		json_t *summary = spec_model_summary(&m, net);
		ck_assert_ptr_nonnull(summary);
		json_decref(summary);
	}
	bp_net_free(net);
	spec_model_done(&m);
	return net != NULL;
}

/* Whether a problem's place is the argument, or a number of it, or what stands for it. */
static bool is_told(const struct problem *p, const char *at, const char *name)
{
	size_t length = strlen(at);
	if (strncmp(p->param, at, length) != 0 || p->param[length] != '/')
		return false;
	const char *field = p->param + length + 1;
	size_t n = strcspn(field, "/");
	if (strncmp(field, name, n) == 0 && name[n] == '\0')
		return true;
	for (size_t i = 0; i < sizeof(together) / sizeof(together[0]); i++)
		if (strcmp(together[i].arg, name) == 0 && strcmp(field, together[i].told) == 0)
			return true;
	return false;
}

/* The item with one argument at value, which is taken over. */
static void try(const struct trial *t, const struct bp_arg *arg, json_t *value)
{
	struct problems problems;
	json_t *whole = json_deep_copy(t->base);
	json_object_set_new(t->item(whole), arg->name, value);
	if (!t->is_legal(whole, &problems)) {
		char *text = json_dumps(t->item(whole), JSON_COMPACT);
		ck_assert_int_ge(problems.count, 1);
		for (int i = 0; i < problems.count; i++)
			ck_assert_msg(is_told(&problems.list[i], t->at, arg->name), "%s: %s: %s", text,
				problems.list[i].param, problems.list[i].detail);
		free(text);
	}
	json_decref(whole);
}

static void try_whole(const struct trial *t, const struct bp_arg *arg)
{
	const json_int_t values[] = {0, 1, -1, INT32_MAX, INT32_MIN, (json_int_t)INT32_MAX + 1,
		(json_int_t)UINT32_MAX + 1, INT64_MAX, INT64_MIN, 65535, 65536, (json_int_t)arg->min,
		(json_int_t)arg->max, (json_int_t)arg->min - 1, (json_int_t)arg->max + 1, (json_int_t)arg->max / 2};
	bool is_list = arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST;
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		try(t, arg, json_integer(values[i]));
		if (arg->kind == BP_ARG_INT)
			continue;
		try(t, arg, json_pack("[I,I]", (json_int_t)1, values[i]));
		try(t, arg, json_pack("[I,I]", values[i], (json_int_t)1));
		for (int n = 3; n <= BP_MAX_VALUES + 1 && is_list; n++) {
			json_t *list = json_array();
			while (json_array_size(list) < (size_t)n)
				json_array_append_new(list, json_integer(values[i]));
			try(t, arg, list);
		}
	}
	try(t, arg, json_real(1e19)); /* what an integer beyond 64 bits reads as */
	try(t, arg, json_real(1.5));
}

static void try_real(const struct trial *t, const struct bp_arg *arg)
{
	const double values[] = {0, -1, INT32_MAX, -1e308, 1e308, 5e-324, arg->min, arg->max};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		try(t, arg, json_real(values[i]));
		try(t, arg, json_pack("[f,f]", values[i], 0.5));
		try(t, arg, json_pack("[f,f]", 0.5, values[i]));
	}
	try(t, arg, json_integer(INT64_MAX));
}

static void try_all(const struct trial *t, const struct bp_item_info *info)
{
	for (int a = 0; a < info->nargs; a++)
		if (is_whole(&info->args[a]))
			try_whole(t, &info->args[a]);
		else if (is_real(&info->args[a]))
			try_real(t, &info->args[a]);
}

/* On every input that suits the layer. */
START_TEST(every_number_of_a_layer_is_legal_or_refused_at_its_place)
{
	const struct bp_item_info *info = bp_item_info(BP_LAYER, _i);
	struct problems problems;
	bool suited = false;
	for (int s = 0; s < SHAPES; s++)
		for (int c = 0; c < CHOICES; c++) {
			json_t *base = definition(info, shapes[s], choices[c]);
			if (model_is_legal(base, &problems)) {
				suited = true;
				try_all(&(struct trial){only_layer, "/model/layers/0", model_is_legal, base}, info);
			}
			json_decref(base);
		}
	ck_assert_msg(suited, "no input suits %s: %s: %s", info->name, problems.list[0].param, problems.list[0].detail);
}
END_TEST

/* The kinds of items of a training, and where they stand in a job. */
static const struct {
	enum bp_item_kind kind;
	const char *at;
} parts[] = {{BP_LOSS, "/training/loss"}, {BP_OPTIMIZER, "/training/optimizer"}, {BP_SCHEDULER, "/training/scheduler"},
	{BP_AUGMENT, "/training/augment/0"}};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static json_t *only_item(const json_t *job)
{
	json_t *item = json_object_iter_value(json_object_iter(json_object_get(job, "training")));
	return json_is_array(item) ? json_array_get(item, 0) : item;
}

/* Parses the job and checks it against a model and a data set that suit its loss, then plans its memory. */
static bool job_is_legal(const json_t *json, struct problems *problems)
{
	static struct spec_job job;
	struct spec_dataset ds = {.shape = {3, {3, 12, 12}}, .train = 100, .nmean = 1, .std = {1}, .u8 = true};
	struct spec_model model;
	struct bp_memory memory;
	*problems = (struct problems){0};
	if (!spec_job_parse(json, 1, problems, &job))
		return false;
	ds.classes = spec_loss_of_classes(&job.params.loss) ? 4 : 0;
	ds.ntargets = ds.classes ? 0 : 4;
	json_t *layers = json_of(
		"{'input':{'shape':[3,12,12]},'layers':[{'type':'Flatten'},{'type':'Linear','out_features':4}]}");
	ck_assert(spec_model_parse(layers, "/model", problems, &model));
	struct bp_net *net = spec_model_build(&model, "/model", problems);
	ck_assert_ptr_nonnull(net);
	bool ok = spec_job_check(&job, &(struct spec_job_context){&model, net, &ds, 0}, problems, &memory);
	json_t *stored = ok ? spec_job_to_json(&job, &ds) : NULL;
	ck_assert(!ok || (memory.total > 0 && stored && spec_job_from_json(stored, &job)));
	json_decref(stored);
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(layers);
	return ok;
}

START_TEST(every_number_of_a_training_is_legal_or_refused_at_its_place)
{
	struct problems problems;
	for (int type = 0; type < bp_item_count(parts[_i].kind); type++) {
		const struct bp_item_info *info = bp_item_info(parts[_i].kind, type);
		const char *name = parts[_i].at + strlen("/training/");
		json_t *item = item_with(info, 1), *training = json_object();
		if (parts[_i].kind == BP_AUGMENT)
			json_object_set_new(training, "augment", json_pack("[o]", item));
		else
			json_object_set_new(training, name, item);
		json_t *base = json_pack("{s:s, s:s, s:o}", "dataset", "d", "model", "mdl_1", "training", training);
		ck_assert_msg(job_is_legal(base, &problems), "%s: %s: %s", info->name, problems.list[0].param,
			problems.list[0].detail);
		try_all(&(struct trial){only_item, parts[_i].at, job_is_legal, base}, info);
		json_decref(base);
	}
}
END_TEST

TEST_SUITE(spec_limits, 60)
{
	tcase_add_loop_test(tc, every_number_of_a_layer_is_legal_or_refused_at_its_place, 0, bp_item_count(BP_LAYER));
	tcase_add_loop_test(tc, every_number_of_a_training_is_legal_or_refused_at_its_place, 0, PARTS);
}
