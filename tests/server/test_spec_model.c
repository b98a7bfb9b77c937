/* test_spec_model.c - model definitions: what is understood, what is refused and where the pointer goes. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

#define INPUT "'input':{'shape':[1,28,28]}"

/* Parses a definition whose layers are given; "" + problems when it is refused. */
static bool parse(const char *layers, struct spec_model *ret, struct problems *problems)
{
	char text[4096];
	ck_assert_int_lt(snprintf(text, sizeof(text), "{" INPUT ",'layers':[%s]}", layers), (int)sizeof(text));
	json_t *json = json_of(text);
	*problems = (struct problems){0};
	bool ok = spec_model_parse(json, "/model", problems, ret);
	json_decref(json);
	return ok;
}

static void refused(const char *layers, enum error_code code, const char *param, const char *part)
{
	struct spec_model m;
	struct problems problems;
	ck_assert_msg(!parse(layers, &m, &problems), "%s", layers);
	ck_assert_ptr_null(m.layers);
	problem_expect(&problems, code, param, part);
	ck_assert_msg(problems.count == 1, "%d problems: %s %s", problems.count, problems.list[1].param,
		problems.list[1].detail);
}

START_TEST(a_definition_is_read_with_defaults_and_made_up_names)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse("{'type':'Conv2d','out_channels':8,'kernel_size':[3,5],'padding':'same'},{'type':'ReLU'},"
			"{'type':'Conv2d','out_channels':4,'kernel_size':3,'stride':2,'bias':false},"
			"{'type':'ReLU','name':'relu_3'},{'type':'ReLU'},{'type':'Flatten'},{'type':'Linear','out_"
			"features':10}",
		&m, &problems));
	static const char *const names[] = {
		"conv2d_1", "relu_1", "conv2d_2", "relu_3", "relu_2", "flatten_1", "linear_1"};
	ck_assert_int_eq(m.net.nlayers, 7);
	for (int i = 0; i < 7; i++) {
		ck_assert_str_eq(m.layers[i].name, names[i]);
		ck_assert_int_eq(m.layers[i].ninputs, 1);
		ck_assert_int_eq(m.layers[i].inputs[0], i - 1);
	}
	const struct bp_item *conv = &m.layers[0].item;
	ck_assert_double_eq(bp_item_arg(BP_LAYER, conv, "kernel_size")->v[1], 5);
	ck_assert_double_eq(bp_item_arg(BP_LAYER, conv, "padding")->v[0], BP_SAME);
	ck_assert_double_eq(bp_item_arg(BP_LAYER, conv, "groups")->v[0], 1);
	ck_assert_double_eq(bp_item_arg(BP_LAYER, conv, "bias")->v[0], 1);
	ck_assert_double_eq(bp_item_arg(BP_LAYER, &m.layers[2].item, "bias")->v[0], 0);
	ck_assert_double_eq(bp_item_arg(BP_LAYER, &m.layers[2].item, "stride")->v[1], 2);
	spec_model_done(&m);
}
END_TEST

START_TEST(a_made_up_name_never_takes_a_given_one)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse(
		"{'type':'ReLU'},{'type':'ReLU','name':'relu_1'},{'type':'ReLU','inputs':['relu_1']}", &m, &problems));
	ck_assert_str_eq(m.layers[0].name, "relu_2");
	ck_assert_str_eq(m.layers[1].name, "relu_1");
	ck_assert_str_eq(m.layers[2].name, "relu_3");
	spec_model_done(&m);
}
END_TEST

START_TEST(inputs_make_a_graph)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse("{'name':'a','type':'ReLU'},{'name':'b','type':'Tanh','inputs':['input']},"
			"{'type':'Add','inputs':['b','a']}",
		&m, &problems));
	ck_assert_int_eq(m.layers[1].inputs[0], BP_INPUT);
	ck_assert_int_eq(m.layers[2].ninputs, 2);
	ck_assert_int_eq(m.layers[2].inputs[0], 1);
	ck_assert_int_eq(m.layers[2].inputs[1], 0);
	spec_model_done(&m);
}
END_TEST

START_TEST(the_definition_in_full_reads_back_as_itself)
{
	struct spec_model m, again;
	struct problems problems;
	ck_assert(parse("{'type':'Conv2d','out_channels':8,'kernel_size':[3,5],'padding':'same'},{'type':'MaxPool2d',"
			"'kernel_size':2},{'type':'BatchNorm2d'},{'type':'LeakyReLU','negative_slope':0.2},"
			"{'type':'Dropout','p':0.25},{'type':'Flatten'},{'type':'Linear','out_features':10}",
		&m, &problems));
	json_t *full = spec_model_to_json(&m);
	ck_assert_ptr_nonnull(full);
	ck_assert(spec_model_parse(full, "", &problems, &again));
	json_t *twice = spec_model_to_json(&again);
	ck_assert(json_equal(full, twice));
	ck_assert_int_eq(m.net.nlayers, again.net.nlayers);
	ck_assert_mem_eq(m.layers, again.layers, (size_t)m.net.nlayers * sizeof(*m.layers));
	/* An argument that the layer derives itself is null, and there. */
	const json_t *pool = json_array_get(json_object_get(full, "layers"), 1);
	ck_assert(json_is_null(json_object_get(pool, "stride")));
	json_decref(full);
	json_decref(twice);
	spec_model_done(&m);
	spec_model_done(&again);
}
END_TEST

START_TEST(a_list_of_numbers_is_read_and_shown_as_an_array)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse("{'type':'Reshape','shape':[-1,4,7]},{'type':'ZeroPad2d','padding':2},{'type':'Flatten'}", &m,
		&problems));
	const struct bp_value *shape = bp_item_arg(BP_LAYER, &m.layers[0].item, "shape");
	ck_assert_int_eq(shape->n, 3);
	ck_assert_double_eq(shape->v[0], -1);
	ck_assert_double_eq(shape->v[2], 7);
	ck_assert_int_eq(bp_item_arg(BP_LAYER, &m.layers[1].item, "padding")->n, 1);
	json_t *full = spec_model_to_json(&m), *layers = json_object_get(full, "layers");
	json_t *wide = json_of("[-1,4,7]"), *one = json_of("[2]");
	ck_assert(json_equal(json_object_get(json_array_get(layers, 0), "shape"), wide));
	ck_assert(json_equal(json_object_get(json_array_get(layers, 1), "padding"), one));
	json_decref(full);
	json_decref(wide);
	json_decref(one);
	spec_model_done(&m);
}
END_TEST

START_TEST(types_and_fields_are_checked_with_a_hint)
{
	refused("{'type':'Conv2D','out_channels':8,'kernel_size':3}", ERR_UNKNOWN_NAME, "/model/layers/0/type",
		"did you mean \"Conv2d\"?");
	refused("{'type':'Zzzzzz'}", ERR_UNKNOWN_NAME, "/model/layers/0/type", "There is no layer \"Zzzzzz\"");
	refused("{'type':'Linear','out_feature':3,'out_features':3}", ERR_UNKNOWN_FIELD, "/model/layers/0/out_feature",
		"did you mean \"out_features\"?");
	refused("{'type':'ReLU','a/b~c':3}", ERR_UNKNOWN_FIELD, "/model/layers/0/a~1b~0c", "a/b~c");
	refused("{'type':'Linear'}", ERR_MISSING_FIELD, "/model/layers/0/out_features",
		"Linear needs \"out_features\"");
	refused("{'out_features':3}", ERR_MISSING_FIELD, "/model/layers/0/type", "name of a layer");
	refused("{'type':3}", ERR_WRONG_TYPE, "/model/layers/0/type", "not an integer");
	refused("{'type':'ReLU'},7", ERR_WRONG_TYPE, "/model/layers/1", "not an integer");
}
END_TEST

START_TEST(values_are_checked_against_kind_and_bounds)
{
	static const struct {
		const char *field;
		enum error_code code;
		const char *param, *part;
	} cases[] = {
		{"'kernel_size':'3'", ERR_WRONG_TYPE, "", "an integer or two integers, not a string"},
		{"'kernel_size':3.0", ERR_WRONG_TYPE, "", "not a number with a fraction"},
		{"'kernel_size':null", ERR_WRONG_TYPE, "", "not null"},
		{"'kernel_size':[3]", ERR_WRONG_TYPE, "", "array of 1"},
		{"'kernel_size':[3,3,3]", ERR_WRONG_TYPE, "", "array of 3"},
		{"'kernel_size':[3,'3']", ERR_WRONG_TYPE, "/1", "not a string"},
		{"'kernel_size':0", ERR_OUT_OF_RANGE, "", "must be from 1 to"},
		{"'kernel_size':[3,-1]", ERR_OUT_OF_RANGE, "/1", "not -1"},
		{"'kernel_size':9223372036854775807", ERR_OUT_OF_RANGE, "", "must be from 1 to"},
		{"'kernel_size':true", ERR_WRONG_TYPE, "", "true or false"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char layer[200], param[200];
		snprintf(layer, sizeof(layer), "{'type':'ReLU'},{'type':'Conv2d','out_channels':8,%s}", cases[i].field);
		snprintf(param, sizeof(param), "/model/layers/1/kernel_size%s", cases[i].param);
		refused(layer, cases[i].code, param, cases[i].part);
	}
	refused("{'type':'Conv2d','out_channels':8,'kernel_size':3,'padding':'some'}", ERR_UNKNOWN_NAME,
		"/model/layers/0/padding", "\"same\" or \"valid\"");
	refused("{'type':'Conv2d','out_channels':8,'kernel_size':3,'padding':-1}", ERR_OUT_OF_RANGE,
		"/model/layers/0/padding", "not -1");
	refused("{'type':'Conv2d','out_channels':8,'kernel_size':3,'bias':1}", ERR_WRONG_TYPE, "/model/layers/0/bias",
		"must be true or false");
	refused("{'type':'Reshape','shape':[]}", ERR_OUT_OF_RANGE, "/model/layers/0/shape",
		"1 to 8 integers, not of 0");
	refused("{'type':'Reshape','shape':[1,1,1,1,1,1,1,1,1]}", ERR_OUT_OF_RANGE, "/model/layers/0/shape",
		"not of 9");
	refused("{'type':'Reshape','shape':[4,1.5]}", ERR_WRONG_TYPE, "/model/layers/0/shape/1", "array of 1 to 8");
	refused("{'type':'Reshape','shape':'4'}", ERR_WRONG_TYPE, "/model/layers/0/shape", "array of 1 to 8 integers");
	refused("{'type':'Reshape','shape':[4,-2]}", ERR_OUT_OF_RANGE, "/model/layers/0/shape/1", "not -2");
	refused("{'type':'Reshape','shape':null}", ERR_WRONG_TYPE, "/model/layers/0/shape", "not null");
	refused("{'type':'Dropout','p':1.5}", ERR_OUT_OF_RANGE, "/model/layers/0/p", "must be from 0 to 1, not 1.5");
	refused("{'type':'Dropout','p':'a'}", ERR_WRONG_TYPE, "/model/layers/0/p", "must be a number");
}
END_TEST

START_TEST(names_of_layers_are_checked)
{
	refused("{'type':'ReLU','name':'a'},{'type':'ReLU','name':'a'}", ERR_DUPLICATE_NAME, "/model/layers/1/name",
		"Another layer is already called \"a\"");
	refused("{'type':'ReLU','name':'a b'}", ERR_INVALID_NAME, "/model/layers/0/name", "");
	refused("{'type':'ReLU','name':''}", ERR_INVALID_NAME, "/model/layers/0/name", "1 to 63");
	refused("{'type':'ReLU','name':'input'}", ERR_INVALID_NAME, "/model/layers/0/name", "input of the net");
	refused("{'type':'ReLU','name':7}", ERR_WRONG_TYPE, "/model/layers/0/name", "must be a string");
	refused("{'type':'ReLU','name':'0123456789012345678901234567890123456789012345678901234567890123'}",
		ERR_INVALID_NAME, "/model/layers/0/name", "1 to 63");
}
END_TEST

START_TEST(a_graph_that_is_none_is_refused)
{
	refused("{'name':'first','type':'ReLU'},{'type':'ReLU','inputs':['frist']}", ERR_UNKNOWN_NAME,
		"/model/layers/1/inputs/0", "did you mean \"first\"?");
	refused("{'name':'a','type':'ReLU','inputs':['inptu']}", ERR_UNKNOWN_NAME, "/model/layers/0/inputs/0",
		"did you mean \"input\"?");
	refused("{'name':'a','type':'ReLU','inputs':['a']}", ERR_INVALID_GRAPH, "/model/layers/0/inputs/0",
		"this layer itself: that would be a cycle");
	refused("{'name':'a','type':'Add','inputs':['input','b']},{'name':'b','type':'ReLU'}", ERR_INVALID_GRAPH,
		"/model/layers/0/inputs/1", "below this one: that would be a cycle");
	refused("{'type':'ReLU','inputs':['input','input']}", ERR_INVALID_GRAPH, "/model/layers/0/inputs",
		"ReLU takes 1 input, not 2");
	refused("{'type':'ReLU'},{'type':'Add'}", ERR_MISSING_FIELD, "/model/layers/1/inputs",
		"name them in \"inputs\"");
	refused("{'type':'ReLU','inputs':[]}", ERR_OUT_OF_RANGE, "/model/layers/0/inputs", "1 to 8 inputs, not 0");
	refused("{'type':'ReLU','inputs':'input'}", ERR_WRONG_TYPE, "/model/layers/0/inputs", "array of names");
	refused("{'type':'ReLU','inputs':[0]}", ERR_WRONG_TYPE, "/model/layers/0/inputs/0", "name of a layer");
	refused("{'name':'a','type':'ReLU'},{'name':'lost','type':'ReLU'},{'type':'ReLU','inputs':['a']}",
		ERR_INVALID_GRAPH, "/model/layers/1", "No layer uses the output of \"lost\"");
	refused("", ERR_OUT_OF_RANGE, "/model/layers", "1 to 4096 layers, not 0");
}
END_TEST

START_TEST(all_problems_are_told_at_once)
{
	struct spec_model m;
	struct problems problems = {0};
	json_t *json = json_of(
		"{'input':{'shape':[1,0,'x'],'dtype':'u8'},'layer':[],"
		"'layers':[{'type':'Conv','out_channels':8},{'type':'Linear','out_features':0,'inputs':['zz']}]}");
	ck_assert(!spec_model_parse(json, "", &problems, &m));
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/input/shape/1", "from 1 to 65536, not 0");
	problem_expect(&problems, ERR_WRONG_TYPE, "/input/shape/2", "integer");
	problem_expect(&problems, ERR_UNKNOWN_FIELD, "/input/dtype", "");
	problem_expect(&problems, ERR_UNKNOWN_FIELD, "/layer", "did you mean \"layers\"?");
	problem_expect(&problems, ERR_UNKNOWN_NAME, "/layers/0/type", "Conv");
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/layers/1/out_features", "");
	problem_expect(&problems, ERR_UNKNOWN_NAME, "/layers/1/inputs/0", "zz");
	ck_assert_int_eq(problems.count, 7);
	json_decref(json);
}
END_TEST

START_TEST(the_input_and_the_frame_are_checked)
{
	static const struct {
		const char *text;
		enum error_code code;
		const char *param;
	} cases[] = {
		{"[]", ERR_WRONG_TYPE, ""},
		{"null", ERR_WRONG_TYPE, ""},
		{"{'layers':[{'type':'ReLU'}]}", ERR_MISSING_FIELD, "/input"},
		{"{'input':[1,2,3],'layers':[{'type':'ReLU'}]}", ERR_WRONG_TYPE, "/input"},
		{"{'input':{},'layers':[{'type':'ReLU'}]}", ERR_MISSING_FIELD, "/input/shape"},
		{"{'input':{'shape':[1,2,3,4]},'layers':[{'type':'ReLU'}]}", ERR_INVALID_SHAPE, "/input/shape"},
		{"{'input':{'shape':[65536,65536,65536]},'layers':[{'type':'ReLU'}]}", ERR_OUT_OF_RANGE,
			"/input/shape"},
		{"{'input':{'shape':[65537]},'layers':[{'type':'ReLU'}]}", ERR_OUT_OF_RANGE, "/input/shape/0"},
		{"{'input':{'shape':[3]}}", ERR_MISSING_FIELD, "/layers"},
		{"{'input':{'shape':[3]},'layers':{}}", ERR_WRONG_TYPE, "/layers"},
		{"{'name':'','input':{'shape':[3]},'layers':[{'type':'ReLU'}]}", ERR_INVALID_NAME, "/name"},
		{"{'name':'a\\nb','input':{'shape':[3]},'layers':[{'type':'ReLU'}]}", ERR_INVALID_NAME, "/name"},
		{"{'name':3,'input':{'shape':[3]},'layers':[{'type':'ReLU'}]}", ERR_WRONG_TYPE, "/name"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec_model m;
		struct problems problems = {0};
		json_t *json = json_of(cases[i].text);
		ck_assert_msg(!spec_model_parse(json, "", &problems, &m), "%s", cases[i].text);
		problem_expect(&problems, cases[i].code, cases[i].param, "");
		json_decref(json);
	}
}
END_TEST

START_TEST(more_layers_than_the_limit_are_refused)
{
	struct problems problems = {0};
	struct spec_model m;
	json_t *layers = json_array();
	for (int i = 0; i <= BP_MAX_LAYERS; i++)
		json_array_append_new(layers, json_pack("{s:s}", "type", "ReLU"));
	json_t *json = json_pack("{s:{s:[i]}, s:O}", "input", "shape", 4, "layers", layers);
	ck_assert(!spec_model_parse(json, "", &problems, &m));
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/layers", "not 4097");
	json_array_remove(layers, 0);
	problems = (struct problems){0};
	ck_assert(spec_model_parse(json, "", &problems, &m));
	ck_assert_str_eq(m.layers[BP_MAX_LAYERS - 1].name, "relu_4096");
	spec_model_done(&m);
	json_decref(json);
	json_decref(layers);
}
END_TEST

/* Builds; on a refusal by the core checks where it points. */
static void build_refused(const char *layers, const char *param)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse(layers, &m, &problems));
	struct bp_net *net = spec_model_build(&m, "/model", &problems);
	ck_assert_ptr_null(net);
	ck_assert_int_eq(problems.count, 1);
	ck_assert_int_eq(error_info(problems.list[0].code)->status, 400);
	ck_assert_msg(strncmp(problems.list[0].param, param, strlen(param)) == 0, "%s: %s", problems.list[0].param,
		problems.list[0].detail);
	spec_model_done(&m);
}

START_TEST(shapes_that_do_not_fit_point_to_their_layer)
{
	build_refused("{'type':'ReLU'},{'type':'Conv2d','out_channels':8,'kernel_size':40}", "/model/layers/1");
	build_refused("{'type':'Conv2d','out_channels':8,'kernel_size':3,'groups':3}", "/model/layers/0/groups");
	build_refused("{'type':'Flatten'},{'type':'Conv2d','out_channels':8,'kernel_size':3}", "/model/layers/1");
	build_refused("{'type':'Conv1d','out_channels':8,'kernel_size':3}", "/model/layers/0");
	build_refused("{'name':'a','type':'ReLU'},{'name':'b','type':'MaxPool2d','kernel_size':2},"
		      "{'type':'Add','inputs':['a','b']}",
		"/model/layers/2");
}
END_TEST

START_TEST(the_summary_tells_shapes_parameters_and_work)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse("{'type':'Conv2d','out_channels':8,'kernel_size':3},{'type':'ReLU'},{'type':'Flatten'},"
			"{'name':'fc','type':'Linear','out_features':10}",
		&m, &problems));
	struct bp_net *net = spec_model_build(&m, "", &problems);
	problem_none(&problems);
	json_t *summary = spec_model_summary(&m, net), *layers = json_object_get(summary, "layers");
	json_t *shape = json_of("[8,26,26]"), *out = json_of("[10]");
	ck_assert(json_equal(json_object_get(json_array_get(layers, 0), "output_shape"), shape));
	ck_assert(json_equal(json_object_get(summary, "output_shape"), out));
	ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(layers, 0), "parameters")), 80);
	ck_assert_int_eq(json_integer_value(json_object_get(summary, "parameters")), 80 + 5408 * 10 + 10);
	ck_assert_int_gt(json_integer_value(json_object_get(summary, "flops")), 2 * 676 * 72);
	ck_assert_uint_eq(json_array_size(json_object_get(summary, "warnings")), 0);
	json_decref(summary);
	json_decref(shape);
	json_decref(out);
	bp_net_free(net);
	spec_model_done(&m);
}
END_TEST

static void warned(const char *layers, const char *layer, const char *part)
{
	struct spec_model m;
	struct problems problems;
	ck_assert(parse(layers, &m, &problems));
	struct bp_net *net = spec_model_build(&m, "", &problems);
	problem_none(&problems);
	json_t *summary = spec_model_summary(&m, net);
	const json_t *warnings = json_object_get(summary, "warnings"), *first = json_array_get(warnings, 0);
	ck_assert_uint_eq(json_array_size(warnings), part ? 1 : 0);
	if (part) {
		ck_assert_str_eq(json_string_value(json_object_get(first, "layer")), layer);
		ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(first, "detail")), part));
	}
	json_decref(summary);
	bp_net_free(net);
	spec_model_done(&m);
}

START_TEST(what_is_seldom_meant_gives_a_warning)
{
	warned("{'type':'Flatten'},{'type':'Linear','out_features':4},{'name':'end','type':'Sigmoid'}", "end",
		"raw scores");
	warned("{'type':'Flatten'},{'type':'Linear','out_features':4},{'name':'end','type':'ReLU'}", "end",
		"below zero");
	warned("{'name':'c','type':'Conv2d','out_channels':4,'kernel_size':3},{'type':'BatchNorm2d'},{'type':'ReLU'},"
	       "{'type':'Flatten'},{'type':'Linear','out_features':4}",
		"c", "\"bias\": false");
	warned("{'type':'Flatten'},{'type':'Linear','out_features':4},{'type':'Dropout'},{'name':'b','type':'Linear',"
	       "'out_features':4}",
		"b", "no activation between \"linear_1\" and \"b\"");
	warned("{'type':'Conv2d','out_channels':4,'kernel_size':3,'bias':false},{'type':'BatchNorm2d'},{'type':'ReLU'},"
	       "{'type':'Conv2d','out_channels':4,'kernel_size':3,'groups':4},{'type':'Conv2d','out_channels':4,"
	       "'kernel_size':1},{'type':'ReLU'},{'type':'Flatten'},{'type':'Linear','out_features':4}",
		NULL, NULL);
}
END_TEST

START_TEST(the_catalogue_lists_every_item_with_its_arguments)
{
	static const char *const kinds[] = {
		"layers", "losses", "optimizers", "schedulers", "initialisations", "augmentations"};
	json_t *catalog = spec_catalog();
	ck_assert_uint_eq(json_array_size(json_object_get(catalog, "blocks")), 2);
	for (int kind = BP_LAYER; kind <= BP_AUGMENT; kind++) {
		const json_t *items = json_object_get(catalog, kinds[kind]);
		ck_assert_int_eq((int)json_array_size(items), bp_item_count((enum bp_item_kind)kind));
		for (size_t i = 0; i < json_array_size(items); i++) {
			const json_t *item = json_array_get(items, i), *args = json_object_get(item, "arguments");
			const struct bp_item_info *info = bp_item_info((enum bp_item_kind)kind, (int)i);
			ck_assert_str_eq(json_string_value(json_object_get(item, "name")), info->name);
			ck_assert_int_eq((int)json_array_size(args), info->nargs);
			for (int a = 0; a < info->nargs; a++)
				ck_assert_uint_ge(json_object_size(json_array_get(args, (size_t)a)), 7);
		}
	}
	json_decref(catalog);
}
END_TEST

TEST_SUITE(spec_model, 20)
{
	tcase_add_test(tc, a_definition_is_read_with_defaults_and_made_up_names);
	tcase_add_test(tc, a_made_up_name_never_takes_a_given_one);
	tcase_add_test(tc, inputs_make_a_graph);
	tcase_add_test(tc, the_definition_in_full_reads_back_as_itself);
	tcase_add_test(tc, a_list_of_numbers_is_read_and_shown_as_an_array);
	tcase_add_test(tc, types_and_fields_are_checked_with_a_hint);
	tcase_add_test(tc, values_are_checked_against_kind_and_bounds);
	tcase_add_test(tc, names_of_layers_are_checked);
	tcase_add_test(tc, a_graph_that_is_none_is_refused);
	tcase_add_test(tc, all_problems_are_told_at_once);
	tcase_add_test(tc, the_input_and_the_frame_are_checked);
	tcase_add_test(tc, more_layers_than_the_limit_are_refused);
	tcase_add_test(tc, shapes_that_do_not_fit_point_to_their_layer);
	tcase_add_test(tc, the_summary_tells_shapes_parameters_and_work);
	tcase_add_test(tc, what_is_seldom_meant_gives_a_warning);
	tcase_add_test(tc, the_catalogue_lists_every_item_with_its_arguments);
}
