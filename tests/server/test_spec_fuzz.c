/*
 * test_spec_fuzz.c - whatever JSON arrives, parsing answers: with a net, or with problems that a client can use.
 *
 * Valid definitions and jobs are changed at random places, from a fixed seed.
 */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include "json_mutate.h"
#include "problems.h"
#include "spec/spec.h"

/* The long run is make fuzz's; here every kind of change has its turn. */
enum { ROUNDS = 20000 };

static const char *const model_texts[] = {
	"{'name':'m','input':{'shape':[3,16,16]},'layers':["
	"{'name':'conv1','type':'Conv2d','out_channels':4,'kernel_size':[3,3],'padding':'same','bias':false},"
	"{'type':'BatchNorm2d','eps':0.001},{'name':'r1','type':'ReLU'},"
	"{'name':'conv2','type':'Conv2d','out_channels':4,'kernel_size':3,'padding':1,'groups':2,'dilation':1},"
	"{'name':'add','type':'Add','inputs':['conv2','r1']},{'name':'l','type':'LeakyReLU','negative_slope':0.1},"
	"{'name':'rep','type':'Repeat','n':2,'body':[{'type':'Residual','body':[{'type':'Tanh'},{'type':'ReLU',"
	"'inputs':['tanh_1']}],'shortcut':[{'name':'s','type':'Sigmoid','inputs':['input']}]}],'inputs':['l']},"
	"{'type':'MaxPool2d','kernel_size':2,'stride':null},{'type':'AdaptiveAvgPool2d','output_size':[2,2]},"
	"{'type':'Flatten'},{'type':'Dropout','p':0.5},{'name':'fc','type':'Linear','out_features':10}]}",
	"{'name':'sequence','input':{'shape':[4,32]},'layers':["
	"{'type':'Conv1d','out_channels':6,'kernel_size':5,'stride':2,'padding':2,'dilation':1,'groups':2},"
	"{'type':'LayerNorm','normalized_shape':[16],'eps':0.001},{'type':'MaxPool1d','kernel_size':3,'stride':2,'"
	"padding':1},"
	"{'type':'Upsample','scale_factor':1.5,'mode':'linear','align_corners':true},{'type':'AvgPool1d','kernel_size':"
	"2},"
	"{'type':'BatchNorm1d'},{'type':'AdaptiveAvgPool1d','output_size':3},{'type':'Flatten'},"
	"{'type':'Linear','out_features':10}]}",
	"{'name':'maps','input':{'shape':[2,8,8]},'layers':["
	"{'type':'ConvTranspose2d','out_channels':4,'kernel_size':[3,2],'stride':2,'padding':1,'output_padding':[1,0],"
	"'groups':2,'dilation':1,'bias':false},{'type':'GroupNorm','num_groups':2,'affine':false},{'type':'ReLU'},"
	"{'type':'Upsample','size':[9,11],'mode':'bilinear'},{'type':'LayerNorm','normalized_shape':[9,11],'bias':"
	"false},"
	"{'type':'AdaptiveMaxPool2d','output_size':[2,3]},{'type':'Flatten'},{'type':'Linear','out_features':10}]}"};
enum { MODELS = sizeof(model_texts) / sizeof(model_texts[0]) };

static const char *const job_text =
	"{'name':'j','dataset':'d','model':'mdl_1','training':{'epochs':3,'batch_size':7,'seed':1,'shuffle':true,"
	"'loss':{'type':'CrossEntropyLoss','weight':[1,2,0.5],'label_smoothing':0.1},"
	"'optimizer':{'type':'SGD','lr':0.1,'momentum':0.9,'nesterov':true},"
	"'scheduler':{'type':'MultiStepLR','milestones':[2,4],'warmup_epochs':1},'clip_grad_norm':null,'clip_grad_"
	"value':1,"
	"'validation':{'split':0.2},'normalize':true,'checkpoint':{'every_epochs':1}},'resources':{'threads':'auto'},'"
	"priority':"
	"5}";

/* What is told can be put into JSON: UTF-8, with an end. */
static void check_problems(const struct problems *p)
{
	for (int i = 0; i < p->count; i++) {
		json_t *param = json_string(p->list[i].param), *detail = json_string(p->list[i].detail);
		ck_assert_msg(param && detail, "%s %s", p->list[i].param, p->list[i].detail);
		ck_assert_int_ne(p->list[i].detail[0], 0);
		ck_assert(p->list[i].param[0] == 0 || p->list[i].param[0] == '/');
		json_decref(param);
		json_decref(detail);
	}
}

START_TEST(no_changed_definition_breaks_parsing_or_building)
{
	json_t *good = json_of(model_texts[_i]);
	const int rounds = _i == 0 ? ROUNDS : ROUNDS / 4;
	uint32_t state = (uint32_t)_i + 1;
	int parsed = 0, built = 0;
	for (int round = 0; round < rounds; round++) {
		json_t *json = json_deep_copy(good);
		struct problems problems = {0};
		struct spec_model m;
		for (uint32_t k = json_mutate_draw(&state, 3) + 1; k > 0; k--)
			json_mutate(json, &state, 0);
		if (spec_model_parse(json, "/model", &problems, &m)) {
			parsed++;
			struct bp_net *net = round % 2 == 0 ? spec_model_build(&m, "/model", &problems) : NULL;
			built += net != NULL;
			ck_assert_int_eq(round % 2 == 0 && !net, problems.count > 0);
			bp_net_free(net);
			spec_model_done(&m);
		} else {
			ck_assert_int_gt(problems.count, 0);
		}
		check_problems(&problems);
		json_decref(json);
	}
	ck_assert_int_gt(parsed, rounds / 100);
	ck_assert_int_gt(built, 100);
	json_decref(good);
}
END_TEST

START_TEST(no_changed_job_breaks_parsing)
{
	json_t *good = json_of(job_text);
	uint32_t state = 2;
	int parsed = 0;
	for (int round = 0; round < ROUNDS; round++) {
		json_t *json = json_deep_copy(good);
		struct problems problems = {0};
		struct spec_job job, again;
		struct spec_dataset ds = {.nmean = 1, .std = {1}};
		for (uint32_t k = json_mutate_draw(&state, 3) + 1; k > 0; k--)
			json_mutate(json, &state, 0);
		bool ok = spec_job_parse(json, 2, &problems, &job);
		ck_assert_int_eq(ok, problems.count == 0);
		check_problems(&problems);
		if (ok && round % 8 == 0) {
			json_t *stored = spec_job_to_json(&job, &ds);
			ck_assert(spec_job_from_json(stored, &again));
			json_decref(stored);
		}
		parsed += ok;
		json_decref(json);
	}
	ck_assert_int_gt(parsed, ROUNDS / 100);
	json_decref(good);
}
END_TEST

START_TEST(hostile_frames_are_answered)
{
	static const char *const frames[] = {"null", "0", "''", "[]", "{}", "true", "[[[[[[[[]]]]]]]]",
		"{'input':{'shape':[1]},'layers':[[],{},null,'x',{'type':[]},{'type':'ReLU','inputs':[[],{},null]}]}"};
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		json_t *json = json_of(frames[i]);
		struct problems problems = {0};
		struct spec_model m;
		struct spec_job job;
		struct spec_dataset ds;
		ck_assert(!spec_model_parse(json, "", &problems, &m));
		check_problems(&problems);
		problems = (struct problems){0};
		ck_assert(!spec_job_parse(json, 2, &problems, &job));
		check_problems(&problems);
		ck_assert(!spec_dataset_parse(json, &ds));
		json_decref(json);
	}
}
END_TEST

START_TEST(long_names_are_cut_between_characters)
{
	for (size_t pad = 0; pad < 8; pad++) {
		char key[400] = "";
		struct problems problems = {0};
		struct spec_model m;
		memset(key, 'a', pad);
		for (size_t n = pad; n + 8 < sizeof(key); n += 4)
			memcpy(key + n, n % 8 < 4 ? "\xe2\x82\xac/" : "\xf0\x9f\x98\x80", 5);
		json_t *json = json_object();
		ck_assert_int_eq(json_object_set_new(json, key, json_true()), 0);
		ck_assert(!spec_model_parse(json, "/model", &problems, &m));
		check_problems(&problems);
		json_decref(json);
	}
}
END_TEST

START_TEST(many_bad_names_cost_little)
{
	json_t *layers = json_array();
	for (int i = 0; i < BP_MAX_LAYERS; i++)
		json_array_append_new(
			layers, json_pack("{s:s, s:[s,s,s,s,s,s,s,s]}", "type", "Add", "inputs",
					"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", "aaaaaaaaaaaaaaaaaaaaaaaaaaa2",
					"a3", "a4", "a5", "a6", "a7", "a8"));
	json_t *json = json_pack("{s:{s:[i]}, s:o}", "input", "shape", 4, "layers", layers);
	struct problems problems = {0};
	struct spec_model m;
	ck_assert(!spec_model_parse(json, "", &problems, &m));
	ck_assert_int_eq(problems.count, PROBLEMS_MAX);
	ck_assert(problems.more);
	json_decref(json);
}
END_TEST

TEST_SUITE(spec_fuzz, 120)
{
	tcase_add_loop_test(tc, no_changed_definition_breaks_parsing_or_building, 0, MODELS);
	tcase_add_test(tc, no_changed_job_breaks_parsing);
	tcase_add_test(tc, hostile_frames_are_answered);
	tcase_add_test(tc, long_names_are_cut_between_characters);
	tcase_add_test(tc, many_bad_names_cost_little);
}
