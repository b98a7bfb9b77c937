/* test_spec_blocks.c - Repeat and Residual: what they are written out to, and what is told when that cannot be. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

/* Parses a definition whose layers are given. */
static bool parse(const char *layers, struct spec_model *ret, struct problems *problems)
{
	char text[4096];
	ck_assert_int_lt(
		snprintf(text, sizeof(text), "{'input':{'shape':[4,8,8]},'layers':[%s]}", layers), (int)sizeof(text));
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
	ck_assert_ptr_null(m.places);
	problem_expect(&problems, code, param, part);
	ck_assert_msg(problems.count == 1, "%d problems: %s %s", problems.count, problems.list[1].param,
		problems.list[1].detail);
}

/* The layers as "name<input,input name<input"; the input of the net is "-". */
static void written_out(const char *layers, const char *want)
{
	struct spec_model m;
	struct problems problems;
	char got[1000] = "";
	size_t n = 0;
	bool ok = parse(layers, &m, &problems);
	problem_none(&problems);
	ck_assert(ok);
	for (int i = 0; i < m.net.nlayers; i++) {
		n += (size_t)snprintf(got + n, sizeof(got) - n, "%s%s", i ? " " : "", m.layers[i].name);
		for (int k = 0; k < m.layers[i].ninputs; k++) {
			int from = m.layers[i].inputs[k];
			n += (size_t)snprintf(
				got + n, sizeof(got) - n, "%c%s", k ? ',' : '<', from < 0 ? "-" : m.layers[from].name);
		}
	}
	ck_assert_str_eq(got, want);
	spec_model_done(&m);
}

#define CONV "'type':'Conv2d','out_channels':4,'kernel_size':3,'padding':1"

START_TEST(a_repeat_is_its_body_again_and_again)
{
	written_out("{'name':'block1','type':'Repeat','n':2,'body':[{'name':'conv1'," CONV "},{'type':'ReLU'}]},"
		    "{'name':'end','type':'Tanh'}",
		"block1.0.conv1<- block1.0.relu_1<block1.0.conv1 block1.1.conv1<block1.0.relu_1 "
		"block1.1.relu_1<block1.1.conv1 end<block1.1.relu_1");
}
END_TEST

START_TEST(a_residual_adds_its_input_or_its_shortcut)
{
	written_out("{'name':'a','type':'Tanh'},{'name':'res','type':'Residual','body':[{'name':'c'," CONV "}]}",
		"a<- res.c<a res<res.c,a");
	written_out("{'name':'res','type':'Residual','body':[{'name':'c'," CONV "}],"
		    "'shortcut':[{'name':'s'," CONV "},{'type':'Tanh'}]},{'type':'ReLU'}",
		"res.c<- res.shortcut.s<- res.shortcut.tanh_1<res.shortcut.s res<res.c,res.shortcut.tanh_1 relu_1<res");
}
END_TEST

START_TEST(blocks_nest_and_unnamed_ones_get_names)
{
	written_out("{'type':'Repeat','n':2,'body':[{'type':'Residual','body':[{'type':'Tanh'}]},{'type':'ReLU'}]},"
		    "{'type':'Residual','body':[{'type':'ReLU'}]}",
		"repeat_1.0.residual_1.tanh_1<- repeat_1.0.residual_1<repeat_1.0.residual_1.tanh_1,- "
		"repeat_1.0.relu_1<repeat_1.0.residual_1 repeat_1.1.residual_1.tanh_1<repeat_1.0.relu_1 "
		"repeat_1.1.residual_1<repeat_1.1.residual_1.tanh_1,repeat_1.0.relu_1 "
		"repeat_1.1.relu_1<repeat_1.1.residual_1 residual_1.relu_1<repeat_1.1.relu_1 "
		"residual_1<residual_1.relu_1,repeat_1.1.relu_1");
}
END_TEST

START_TEST(inputs_are_looked_for_from_the_inside_out)
{
	/* "input" is the block's, "a" the inner one, "stem" from outside; a block's name stands for its output. */
	written_out("{'name':'stem','type':'Tanh'},{'name':'a','type':'Sigmoid'},"
		    "{'name':'r','type':'Repeat','n':1,'inputs':['a'],'body':[{'name':'a','type':'ReLU'},"
		    "{'name':'b','type':'Concat','inputs':['a','input','stem']}]},"
		    "{'name':'z','type':'Concat','inputs':['r','r.0.a']}",
		"stem<- a<stem r.0.a<a r.0.b<r.0.a,a,stem z<r.0.b,r.0.a");
	refused("{'name':'r','type':'Repeat','n':3,'body':[{'name':'aa','type':'ReLU'},{'name':'b','type':'Tanh',"
		"'inputs':['ab']}]}",
		ERR_UNKNOWN_NAME, "/model/layers/0/body/1/inputs/0", "did you mean \"aa\"?");
	refused("{'name':'r','type':'Repeat','n':1,'body':[{'name':'b','type':'Tanh','inputs':['r']}]}",
		ERR_INVALID_GRAPH, "/model/layers/0/body/0/inputs/0", "below this one");
	refused("{'name':'r','type':'Repeat','n':2,'body':[{'name':'b','type':'Tanh','inputs':['b']}]}",
		ERR_INVALID_GRAPH, "/model/layers/0/body/0/inputs/0", "this layer itself");
	refused("{'name':'a','type':'Tanh'},{'type':'Residual','body':[{'type':'ReLU'}],'inputs':['a','a']}",
		ERR_INVALID_GRAPH, "/model/layers/1/inputs", "Residual takes 1 input, not 2");
}
END_TEST

START_TEST(what_is_wrong_in_a_block_is_told_once_and_where_it_is_written)
{
	refused("{'type':'Repeat','n':5,'body':[{'type':'ReLU'},{'type':'Linear','out_features':0}]}", ERR_OUT_OF_RANGE,
		"/model/layers/0/body/1/out_features", "");
	refused("{'type':'Repeat','n':5,'body':[{'type':'Residual','body':[{'type':'Relu'}]}]}", ERR_UNKNOWN_NAME,
		"/model/layers/0/body/0/body/0/type", "ReLU");
	refused("{'type':'Residual','body':[{'type':'ReLU'}],'shortcut':[{'type':'Conv2d','kernel_size':1}]}",
		ERR_MISSING_FIELD, "/model/layers/0/shortcut/0/out_channels", "");
	refused("{'type':'Repeat','n':4,'body':[{'type':'ReLU','name':'a'},{'type':'ReLU','inputs':['input']}]}",
		ERR_INVALID_GRAPH, "/model/layers/0/body/0", "No layer uses");
	refused("{'type':'Repeat','n':0,'body':[{'type':'ReLU'}]}", ERR_OUT_OF_RANGE, "/model/layers/0/n",
		"from 1 to 4096");
	refused("{'type':'Repeat','body':[{'type':'ReLU'}]}", ERR_MISSING_FIELD, "/model/layers/0/n", "");
	refused("{'type':'Repeat','n':2}", ERR_MISSING_FIELD, "/model/layers/0/body", "array of layers");
	refused("{'type':'Repeat','n':2,'body':{}}", ERR_WRONG_TYPE, "/model/layers/0/body", "not an object");
	refused("{'type':'Residual','body':[]}", ERR_OUT_OF_RANGE, "/model/layers/0/body", "must have a layer");
	refused("{'type':'Residual','body':[{'type':'ReLU'}],'shortcut':[]}", ERR_OUT_OF_RANGE,
		"/model/layers/0/shortcut", "must have a layer");
	refused("{'type':'Repeat','n':2,'bodi':1,'body':[{'type':'ReLU'}]}", ERR_UNKNOWN_FIELD, "/model/layers/0/bodi",
		"did you mean \"body\"?");
	refused("{'type':'Repeat','n':2,'body':[7]}", ERR_WRONG_TYPE, "/model/layers/0/body/0", "not an integer");
	refused("{'type':'Residul','body':[{'type':'ReLU'}]}", ERR_UNKNOWN_NAME, "/model/layers/0/type",
		"did you mean \"Residual\"?");
}
END_TEST

START_TEST(names_in_blocks_are_checked_in_full)
{
	refused("{'name':'a.0.x','type':'ReLU'},{'name':'a','type':'Repeat','n':2,'body':[{'name':'x','type':'ReLU'}]}",
		ERR_DUPLICATE_NAME, "/model/layers/1/body/0/name", "already called \"a.0.x\"");
	refused("{'name':'a','type':'Repeat','n':2,'body':[{'name':'x','type':'ReLU'},{'name':'x','type':'Tanh'}]}",
		ERR_DUPLICATE_NAME, "/model/layers/0/body/1/name", "already called \"a.0.x\"");
	/* Too long from the tenth time on. */
	refused("{'name':'n2345678901234567890123456789','type':'Repeat','n':200,'body':["
		"{'name':'x2345678901234567890123456789abc','type':'ReLU'}]}",
		ERR_INVALID_NAME, "/model/layers/0/body/0/name", "at most 63");
	/* A made-up name gives way to a given one. */
	written_out("{'type':'Repeat','n':1,'body':[{'type':'ReLU'}]},{'name':'repeat_1','type':'ReLU'}",
		"repeat_2.0.relu_1<- repeat_1<repeat_2.0.relu_1");
}
END_TEST

START_TEST(blocks_are_counted_before_they_are_written_out)
{
	struct spec_model m;
	struct problems problems;
	refused("{'type':'Repeat','n':4096,'body':[{'type':'ReLU'},{'type':'ReLU'}]}", ERR_OUT_OF_RANGE,
		"/model/layers/0/n", "more than 4096 layers");
	refused("{'type':'Repeat','n':4096,'body':[{'type':'Repeat','n':4096,'body':[{'type':'Repeat','n':4096,"
		"'body':[{'type':'ReLU'}]}]}]}",
		ERR_OUT_OF_RANGE, "/model/layers/0/body/0/n", "more than 4096 layers");
	refused("{'type':'Repeat','n':4096,'body':[{'type':'ReLU'}]},{'type':'ReLU'}", ERR_OUT_OF_RANGE,
		"/model/layers", "not 4097");
	ck_assert(parse("{'type':'Repeat','n':4096,'body':[{'type':'ReLU'}]}", &m, &problems));
	ck_assert_int_eq(m.net.nlayers, BP_MAX_LAYERS);
	ck_assert_str_eq(m.layers[4095].name, "repeat_1.4095.relu_1");
	ck_assert_str_eq(m.places[4095].at, "/layers/0/body/0");
	spec_model_done(&m);
}
END_TEST

/* Residuals in each other, the innermost with one layer. */
static json_t *nest(int depth)
{
	json_t *layer = json_pack("{s:s}", "type", "Tanh");
	for (int i = 0; i < depth; i++)
		layer = json_pack("{s:s, s:s, s:[o]}", "type", "Residual", "name", "r", "body", layer);
	return json_pack("{s:{s:[i]}, s:[o]}", "input", "shape", 4, "layers", layer);
}

START_TEST(blocks_nest_eight_deep)
{
	struct spec_model m;
	struct problems problems = {0};
	json_t *deep = nest(8), *deeper = nest(9);
	ck_assert(spec_model_parse(deep, "", &problems, &m));
	ck_assert_int_eq(m.net.nlayers, 9);
	spec_model_done(&m);
	ck_assert(!spec_model_parse(deeper, "", &problems, &m));
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/layers/0/body/0/body/0/body/0/body/0/body/0/body/0/body/0/body/0",
		"8 deep");
	ck_assert_int_eq(problems.count, 1);
	json_decref(deep);
	json_decref(deeper);
}
END_TEST

START_TEST(shapes_that_do_not_fit_point_into_the_block)
{
	static const struct {
		const char *layers, *param;
	} cases[] = {
		{"{'type':'Repeat','n':3,'body':[{'type':'ReLU'},{'type':'MaxPool2d','kernel_size':3}]}",
			"/model/layers/0/body/1/kernel_size"},
		{"{'type':'ReLU'},{'type':'Residual','body':[{'type':'MaxPool2d','kernel_size':2}]}",
			"/model/layers/1"},
	};
	for (int i = 0; i < 2; i++) {
		struct spec_model m;
		struct problems problems;
		ck_assert(parse(cases[i].layers, &m, &problems));
		ck_assert_ptr_null(spec_model_build(&m, "/model", &problems));
		ck_assert_int_eq(problems.count, 1);
		ck_assert_str_eq(problems.list[0].param, cases[i].param);
		spec_model_done(&m);
	}
}
END_TEST

START_TEST(a_model_with_blocks_in_full_reads_back_without_them)
{
	struct spec_model m, again;
	struct problems problems;
	ck_assert(parse("{'type':'Repeat','n':2,'body':[{'type':'Residual','body':[{" CONV "}]},{'type':'ReLU'}]}", &m,
		&problems));
	json_t *full = spec_model_to_json(&m);
	ck_assert(spec_model_parse(full, "", &problems, &again));
	ck_assert_int_eq(again.net.nlayers, 6);
	ck_assert_mem_eq(m.layers, again.layers, 6 * sizeof(*m.layers));
	json_decref(full);
	spec_model_done(&m);
	spec_model_done(&again);
}
END_TEST

#define CONV3(channels) "'type':'Conv2d','out_channels':" #channels ",'kernel_size':3,'padding':1,'bias':false"
#define HALF(channels, stride)                                                                                         \
	"{" CONV3(channels) stride                                                                                     \
		"},{'type':'BatchNorm2d'},{'type':'ReLU'},{" CONV3(channels) "},"                                      \
									     "{'type':'BatchNorm2d'}"
#define STAY(channels, n)                                                                                              \
	"{'type':'Repeat','n':" #n ",'body':[{'type':'Residual','body':[" HALF(channels, "") "]},{'type':'ReLU'}]}"
#define SHRINK(channels)                                                                                               \
	"{'type':'Residual','body':[" HALF(channels,                                                                   \
		",'stride':2") "],'shortcut':[{'type':'Conv2d','out_channels':" #channels                              \
			       ",'kernel_size':1,'stride':2,'bias':false},{'type':'BatchNorm2d'}]},{'type':'ReLU'}"

START_TEST(resnet_20_in_blocks_is_the_one_written_in_full)
{
	struct problems problems = {0};
	struct spec_model brief, full;
	json_t *sugar = json_of("{'input':{'shape':[3,32,32]},'layers':[{" CONV3(
		16) "},{'type':'BatchNorm2d'},"
		    "{'type':'ReLU'}," STAY(16, 3) "," SHRINK(32) "," STAY(32, 2) "," SHRINK(64) "," STAY(
			    64, 2) ",{'type':'AdaptiveAvgPool2d','output_size':1},{'type':'Flatten'},{'type':'Linear','"
				   "out_features':10}]}");
	json_t *written = json_load_file("tests/bench/models/w4.json", 0, NULL);
	ck_assert(spec_model_parse(sugar, "", &problems, &brief));
	ck_assert(spec_model_parse(written, "", &problems, &full));
	ck_assert_int_eq(brief.net.nlayers, full.net.nlayers);
	for (int i = 0; i < full.net.nlayers; i++) {
		ck_assert_mem_eq(&brief.layers[i].item, &full.layers[i].item, sizeof(full.layers[i].item));
		ck_assert_int_eq(brief.layers[i].ninputs, full.layers[i].ninputs);
		ck_assert_mem_eq(brief.layers[i].inputs, full.layers[i].inputs, sizeof(full.layers[i].inputs));
	}
	spec_model_done(&brief);
	spec_model_done(&full);
	json_decref(sugar);
	json_decref(written);
}
END_TEST

TEST_SUITE(spec_blocks, 60)
{
	tcase_add_test(tc, a_repeat_is_its_body_again_and_again);
	tcase_add_test(tc, a_residual_adds_its_input_or_its_shortcut);
	tcase_add_test(tc, blocks_nest_and_unnamed_ones_get_names);
	tcase_add_test(tc, inputs_are_looked_for_from_the_inside_out);
	tcase_add_test(tc, what_is_wrong_in_a_block_is_told_once_and_where_it_is_written);
	tcase_add_test(tc, names_in_blocks_are_checked_in_full);
	tcase_add_test(tc, blocks_are_counted_before_they_are_written_out);
	tcase_add_test(tc, blocks_nest_eight_deep);
	tcase_add_test(tc, shapes_that_do_not_fit_point_into_the_block);
	tcase_add_test(tc, a_model_with_blocks_in_full_reads_back_without_them);
	tcase_add_test(tc, resnet_20_in_blocks_is_the_one_written_in_full);
}
