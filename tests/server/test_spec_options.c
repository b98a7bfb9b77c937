/* test_spec_options.c - what a layer says beside its type's arguments, and trainings whose steps add up batches or
 * average weights: read, shown, refused. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

/* One Linear layer of 4 inputs, with more fields; its problems when it is refused. */
static bool parse(const char *fields, struct spec_model *ret, struct problems *problems)
{
	char text[1000];
	snprintf(text, sizeof(text),
		"{'input':{'shape':[4]},'layers':[{'name':'fc','type':'Linear','out_features':3%s}]}", fields);
	json_t *json = json_of(text);
	*problems = (struct problems){0};
	bool ok = spec_model_parse(json, "", problems, ret);
	json_decref(json);
	return ok;
}

static void refused(const char *fields, enum error_code code, const char *param, const char *part)
{
	struct spec_model m;
	struct problems problems;
	ck_assert_msg(!parse(fields, &m, &problems), "%s", fields);
	problem_expect(&problems, code, param, part);
	ck_assert_int_eq(problems.count, 1);
}

START_TEST(options_are_read_and_shown_as_they_were_given)
{
	struct spec_model m, again;
	struct problems problems;
	ck_assert(
		parse(",'frozen':true,'lr_scale':0.1,'weight_decay':0,'init':{'type':'kaiming_normal','mode':'fan_out',"
		      "'nonlinearity':'relu'},'bias_init':'zeros'",
			&m, &problems));
	const struct bp_layer_options *o = &m.layers[0].options;
	ck_assert(o->frozen && o->has_lr_scale && o->has_weight_decay && o->has_init && o->has_bias_init);
	ck_assert_double_eq(o->lr_scale, 0.1);
	ck_assert_double_eq(o->weight_decay, 0);
	ck_assert_double_eq(bp_item_arg(BP_INIT, &o->init, "mode")->v[0], 1);
	ck_assert_int_eq(o->bias_init.type, bp_item_find(BP_INIT, "zeros"));
	json_t *full = spec_model_to_json(&m);
	json_t *want = json_of("{'type':'kaiming_normal','mode':'fan_out','nonlinearity':'relu','a':0.0}");
	const json_t *layer = json_array_get(json_object_get(full, "layers"), 0);
	ck_assert(json_equal(json_object_get(layer, "init"), want));
	ck_assert(spec_model_parse(full, "", &problems, &again));
	ck_assert_mem_eq(m.layers, again.layers, sizeof(*m.layers));
	struct bp_net *net = spec_model_build(&m, "", &problems);
	json_t *summary = spec_model_summary(&m, net);
	ck_assert_int_eq(json_integer_value(json_object_get(summary, "parameters")), 15);
	ck_assert_int_eq(json_integer_value(json_object_get(summary, "trainable_parameters")), 0);
	ck_assert(json_is_true(json_object_get(json_array_get(json_object_get(summary, "layers"), 0), "frozen")));
	json_decref(summary);
	bp_net_free(net);
	json_decref(want);
	json_decref(full);
	spec_model_done(&again);
	spec_model_done(&m);
	/* What is not given is not shown. */
	ck_assert(parse("", &m, &problems));
	static const struct bp_layer_options none;
	ck_assert_mem_eq(&m.layers[0].options, &none, sizeof(none));
	full = spec_model_to_json(&m);
	layer = json_array_get(json_object_get(full, "layers"), 0);
	ck_assert_uint_eq(json_object_size(layer), 5); /* name, inputs, type, out_features, bias */
	json_decref(full);
	spec_model_done(&m);
}
END_TEST

START_TEST(options_are_refused_where_they_stand)
{
	refused(",'frozen':1", ERR_WRONG_TYPE, "/layers/0/frozen", "frozen");
	refused(",'lr_scale':'1'", ERR_WRONG_TYPE, "/layers/0/lr_scale", "lr_scale");
	refused(",'lr_scale':-1", ERR_OUT_OF_RANGE, "/layers/0/lr_scale", "not -1");
	refused(",'weight_decay':10001", ERR_OUT_OF_RANGE, "/layers/0/weight_decay", "10000");
	refused(",'init':'kaimng_normal'", ERR_UNKNOWN_NAME, "/layers/0/init", "kaiming_normal");
	refused(",'init':'constant'", ERR_MISSING_FIELD, "/layers/0/init", "constant needs \"val\"");
	refused(",'init':{'type':'normal','std':-1}", ERR_OUT_OF_RANGE, "/layers/0/init/std", "not -1");
	refused(",'init':{'type':'normal','sd':1}", ERR_UNKNOWN_FIELD, "/layers/0/init/sd", "std");
	refused(",'bias_init':{'type':'kaiming_normal','mode':'in'}", ERR_UNKNOWN_NAME, "/layers/0/bias_init/mode",
		"fan_in");
	refused(",'init':3", ERR_WRONG_TYPE, "/layers/0/init", "object");
	refused(",'frosen':true", ERR_UNKNOWN_FIELD, "/layers/0/frosen", "frozen");
}
END_TEST

START_TEST(options_that_do_not_fit_the_layer_point_to_their_field)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse(",'bias':false,'bias_init':'zeros'", &m, &problems));
	ck_assert_ptr_null(spec_model_build(&m, "/model", &problems));
	problem_expect(&problems, ERR_INVALID_SHAPE, "/model/layers/0/bias_init", "has no bias");
	spec_model_done(&m);
}
END_TEST

/* A job of that training on the net of those fields. */
static void check(const char *fields, const char *training, struct problems *problems)
{
	static const struct spec_dataset ds = {.shape = {1, {4}}, .classes = 3, .train = 100, .nmean = 1, .std = {1}};
	static struct spec_job job;
	char text[600];
	struct spec_model m;
	struct bp_memory memory;
	ck_assert(parse(fields, &m, problems));
	snprintf(text, sizeof(text), "{'dataset':'d','model':{},'training':{%s}}", training);
	json_t *json = json_of(text);
	bool parsed = spec_job_parse(json, 1, problems, &job);
	json_decref(json);
	struct bp_net *net = spec_model_build(&m, "/model", problems);
	if (parsed)
		spec_job_check(&job, &(struct spec_job_context){&m, net, &ds, 0}, problems, &memory);
	bp_net_free(net);
	spec_model_done(&m);
}

START_TEST(a_training_that_cannot_be_points_to_the_reason)
{
	struct problems problems;
	check("", "'accumulate_steps':4,'ema_decay':0.99", &problems);
	problem_none(&problems);
	check("", "'ema_decay':null", &problems);
	problem_none(&problems);
	check(",'frozen':true", "", &problems);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/model/layers", "every layer is frozen");
	check("", "'accumulate_steps':0", &problems);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/accumulate_steps", "not 0");
	check("", "'accumulate_steps':1.5", &problems);
	problem_expect(&problems, ERR_WRONG_TYPE, "/training/accumulate_steps", "integer");
	check("", "'ema_decay':1", &problems);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/ema_decay", "not 1");
}
END_TEST

START_TEST(a_training_is_stored_with_them)
{
	static const struct spec_dataset ds = {.shape = {1, {4}}, .classes = 3, .train = 100, .nmean = 1, .std = {1}};
	static struct spec_job job, back;
	struct problems problems = {0};
	json_t *json = json_of("{'dataset':'d','model':{},'training':{'accumulate_steps':7,'ema_decay':0.995}}");
	ck_assert(spec_job_parse(json, 1, &problems, &job));
	json_t *stored = spec_job_to_json(&job, &ds);
	ck_assert(spec_job_from_json(stored, &back));
	ck_assert_int_eq(back.params.accumulate_steps, 7);
	ck_assert_double_eq(back.params.ema_decay, 0.995);
	json_decref(stored);
	json_decref(json);
}
END_TEST

START_TEST(the_catalogue_lists_them)
{
	static const char *const names[] = {"frozen", "lr_scale", "weight_decay", "init", "bias_init"};
	json_t *catalog = spec_catalog();
	const json_t *options = json_object_get(catalog, "layer_options");
	ck_assert_uint_eq(json_array_size(options), 5);
	for (size_t i = 0; i < 5; i++) {
		const json_t *o = json_array_get(options, i);
		ck_assert_str_eq(json_string_value(json_object_get(o, "name")), names[i]);
		ck_assert_uint_eq(json_object_size(o), 7);
	}
	ck_assert_uint_gt(strlen(spec_isa()), 0);
	json_decref(catalog);
}
END_TEST

TEST_SUITE(spec_options, 20)
{
	tcase_add_test(tc, options_are_read_and_shown_as_they_were_given);
	tcase_add_test(tc, options_are_refused_where_they_stand);
	tcase_add_test(tc, options_that_do_not_fit_the_layer_point_to_their_field);
	tcase_add_test(tc, a_training_that_cannot_be_points_to_the_reason);
	tcase_add_test(tc, a_training_is_stored_with_them);
	tcase_add_test(tc, the_catalogue_lists_them);
}
