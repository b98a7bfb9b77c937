/* test_spec_recipe.c - losses with weights and schedules, as jobs ask for them: read, stored, checked against model and
 * data set. */
#include "runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

static struct spec_job job;
static struct problems problems;

/* A job whose training is that; false with problems. */
static bool parse(const char *training)
{
	char text[2000];
	snprintf(text, sizeof(text), "{'dataset':'d','model':{},'training':{%s}}", training);
	json_t *json = json_of(text);
	problems = (struct problems){0};
	bool ok = spec_job_parse(json, 1, &problems, &job);
	json_decref(json);
	return ok;
}

static void refused(const char *training, enum error_code code, const char *param, const char *part)
{
	ck_assert_msg(!parse(training), "%s", training);
	problem_expect(&problems, code, param, part);
}

/* An item of the training as it is stored, which reads back as itself. */
static void item_stored_as(const char *name, const char *training, const char *want)
{
	static const struct spec_dataset ds = {.shape = {1, {4}}, .classes = 3, .train = 10, .nmean = 1, .std = {1}};
	static struct spec_job back;
	ck_assert(parse(training));
	json_t *json = spec_job_to_json(&job, &ds), *expected = json_of(want);
	const json_t *stored = json_object_get(json_object_get(json, "training"), name);
	char *shown = json_dumps(stored, JSON_COMPACT);
	ck_assert_msg(json_equal(stored, expected), "%s", shown);
	ck_assert(spec_job_from_json(json, &back));
	json_t *again = spec_job_to_json(&back, &ds);
	ck_assert(json_equal(json, again));
	free(shown);
	json_decref(again);
	json_decref(json);
	json_decref(expected);
}

static void stored_as(const char *training, const char *want)
{
	item_stored_as("loss", training, want);
}

START_TEST(weights_are_a_list_a_number_or_a_word)
{
	stored_as("'loss':{'type':'CrossEntropyLoss','weight':[1,0.5,2],'label_smoothing':0.1}",
		"{'type':'CrossEntropyLoss','weight':[1.0,0.5,2.0],'label_smoothing':0.1}");
	ck_assert_int_eq(job.params.loss.args[0].n, 3);
	ck_assert_double_eq(job.params.loss.list[1], 0.5);
	ck_assert(!spec_job_balanced(&job));
	stored_as("'loss':{'type':'NLLLoss','weight':'balanced'}", "{'type':'NLLLoss','weight':'balanced'}");
	ck_assert(spec_job_balanced(&job));
	ck_assert_ptr_null(job.params.loss.list);
	stored_as("'loss':{'type':'BCEWithLogitsLoss','pos_weight':3}",
		"{'type':'BCEWithLogitsLoss','pos_weight':[3.0]}");
	stored_as("'loss':{'type':'BCEWithLogitsLoss','pos_weight':null}",
		"{'type':'BCEWithLogitsLoss','pos_weight':null}");
	stored_as("'loss':'CrossEntropyLoss'", "{'type':'CrossEntropyLoss','weight':null,'label_smoothing':0.0}");
}
END_TEST

START_TEST(balanced_weights_come_from_the_training_samples_and_stay_a_word)
{
	static const int32_t labels[] = {0, 0, 0, 1};
	struct bp_data train = {.labels = labels, .count = 4};
	stored_as("'loss':{'type':'CrossEntropyLoss','weight':'balanced'}",
		"{'type':'CrossEntropyLoss','weight':'balanced','label_smoothing':0.0}");
	spec_job_balance(&job, &train, 2);
	ck_assert_double_eq_tol(job.params.loss.list[0], 4.0 / 6, 1e-15);
	ck_assert_double_eq_tol(job.params.loss.list[1], 2, 1e-15);
	ck_assert_int_eq(job.params.loss.args[0].n, 2);
	ck_assert(spec_job_balanced(&job));
}
END_TEST

START_TEST(wrong_weights_are_refused_with_their_pointer)
{
	refused("'loss':{'type':'CrossEntropyLoss','weight':'balance'}", ERR_UNKNOWN_NAME, "/training/loss/weight",
		"balanced");
	refused("'loss':{'type':'CrossEntropyLoss','weight':[]}", ERR_OUT_OF_RANGE, "/training/loss/weight",
		"1 to 4096 numbers");
	refused("'loss':{'type':'CrossEntropyLoss','weight':[1,-1]}", ERR_OUT_OF_RANGE, "/training/loss/weight/1",
		"not -1");
	refused("'loss':{'type':'CrossEntropyLoss','weight':[1,'x']}", ERR_WRONG_TYPE, "/training/loss/weight/1",
		"an array of numbers");
	refused("'loss':{'type':'CrossEntropyLoss','weight':true}", ERR_WRONG_TYPE, "/training/loss/weight", "true");
	refused("'loss':{'type':'BCEWithLogitsLoss','pos_weight':'balanced'}", ERR_WRONG_TYPE,
		"/training/loss/pos_weight", "a number or an array");
	refused("'loss':{'type':'CrossEntropyLoss','label_smoothing':1.5}", ERR_OUT_OF_RANGE,
		"/training/loss/label_smoothing", "from 0 to 1");
	refused("'loss':{'type':'MSELoss','weight':[1]}", ERR_UNKNOWN_FIELD, "/training/loss/weight", "no field");
}
END_TEST

/* The job against a linear net of so many outputs and a data set of classes or target values. */
static void check(const char *training, int outputs, int classes, int ntargets)
{
	struct spec_dataset ds = {
		.shape = {1, {4}}, .classes = classes, .ntargets = ntargets, .train = 100, .nmean = 1, .std = {1}};
	struct spec_model model;
	struct bp_memory memory;
	char text[200];
	ck_assert_msg(parse(training), "%s", training);
	snprintf(text, sizeof(text), "{'input':{'shape':[4]},'layers':[{'type':'Linear','out_features':%d}]}", outputs);
	json_t *json = json_of(text);
	ck_assert(spec_model_parse(json, "/model", &problems, &model));
	struct bp_net *net = spec_model_build(&model, "/model", &problems);
	spec_job_check(&job, &(struct spec_job_context){&model, net, &ds, 0}, &problems, &memory);
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(json);
}

START_TEST(weights_are_as_many_as_classes_or_outputs)
{
	check("'loss':{'type':'CrossEntropyLoss','weight':[1,2,3]}", 3, 3, 0);
	problem_none(&problems);
	check("'loss':{'type':'CrossEntropyLoss','weight':'balanced'}", 3, 3, 0);
	problem_none(&problems);
	check("'loss':{'type':'CrossEntropyLoss','weight':[1,2]}", 3, 3, 0);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/loss/weight", "has 2 numbers; it needs 3, one a class");
	check("'loss':{'type':'CrossEntropyLoss','weight':7}", 3, 3, 0);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/loss/weight", "has 1 numbers; it needs 3");
	check("'loss':{'type':'CrossEntropyLoss','weight':'balanced'}", 5000, 5000, 0);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/loss/weight", "At most 4096 classes");
	check("'loss':{'type':'BCEWithLogitsLoss','pos_weight':7}", 3, 0, 3);
	problem_none(&problems);
	check("'loss':{'type':'BCEWithLogitsLoss','pos_weight':[7,1]}", 3, 0, 3);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/loss/pos_weight", "one an output, or one for all");
}
END_TEST

START_TEST(yes_and_no_are_target_values_or_two_classes_of_one_output)
{
	check("'loss':'BCEWithLogitsLoss'", 1, 2, 0);
	problem_none(&problems);
	check("'loss':'BCEWithLogitsLoss'", 4, 0, 4);
	problem_none(&problems);
	check("'loss':'BCEWithLogitsLoss'", 2, 2, 0);
	problem_expect(&problems, ERR_INVALID_SHAPE, "/model/layers/0",
		"the data set has 2 classes, a yes or no: BCEWithLogitsLoss needs exactly [1]");
	check("'loss':'BCEWithLogitsLoss'", 3, 3, 0);
	problem_expect(&problems, ERR_INVALID_DATA, "/training/loss", "needs a data set with target values");
	check("'loss':'NLLLoss'", 3, 3, 0);
	problem_none(&problems);
	check("'loss':'HuberLoss'", 3, 3, 0);
	problem_expect(&problems, ERR_INVALID_DATA, "/training/loss", "needs a data set with target values");
}
END_TEST

START_TEST(schedules_are_read_and_stored_with_their_defaults)
{
	item_stored_as("scheduler", "'scheduler':{'type':'MultiStepLR','milestones':[3,6],'warmup_epochs':1}",
		"{'type':'MultiStepLR','milestones':[3,6],'gamma':0.1,'warmup_epochs':1.0}");
	item_stored_as("scheduler", "'scheduler':{'type':'MultiStepLR','milestones':4}",
		"{'type':'MultiStepLR','milestones':[4],'gamma':0.1,'warmup_epochs':0.0}");
	item_stored_as("scheduler", "'scheduler':'ReduceLROnPlateau'",
		"{'type':'ReduceLROnPlateau','factor':0.1,'patience':10,'threshold':0.0001,'threshold_mode':'rel',"
		"'cooldown':0,'min_lr':0.0,'eps':1e-08,'monitor':'val_loss','warmup_epochs':0.0}");
	item_stored_as("scheduler", "'scheduler':{'type':'OneCycleLR','anneal_strategy':'linear'}",
		"{'type':'OneCycleLR','max_lr':null,'pct_start':0.3,'anneal_strategy':'linear','div_factor':25.0,"
		"'final_div_factor':10000.0,'three_phase':false,'warmup_epochs':0.0}");
	refused("'scheduler':'MultiStepLR'", ERR_MISSING_FIELD, "/training/scheduler", "milestones");
	refused("'scheduler':{'type':'MultiStepLR','milestones':[3,0]}", ERR_OUT_OF_RANGE,
		"/training/scheduler/milestones/1", "not 0");
	refused("'scheduler':{'type':'ReduceLROnPlateau','monitor':'accuracy'}", ERR_UNKNOWN_NAME,
		"/training/scheduler/monitor", "val_loss|loss");
	refused("'scheduler':{'type':'ReduceLROnPlateau','factor':1}", ERR_OUT_OF_RANGE, "/training/scheduler/factor",
		"not 1");
}
END_TEST

/* MultiStepLR with that many milestones: 1, 2, ... */
static const char *milestones(char *text, size_t size, int n)
{
	size_t at = (size_t)snprintf(text, size, "{'type':'MultiStepLR','milestones':[");
	for (int i = 1; i <= n; i++)
		at += (size_t)snprintf(text + at, size - at, i < n ? "%d," : "%d],'gamma':0.9,'warmup_epochs':0.0}", i);
	return text;
}

START_TEST(milestones_may_be_many_and_are_the_jobs_own)
{
	char text[1500], field[1600];
	snprintf(field, sizeof(field), "'scheduler':%s", milestones(text, sizeof(text), BP_MAX_LIST));
	item_stored_as("scheduler", field, text);
	ck_assert_int_eq(job.params.scheduler.args[0].n, BP_MAX_LIST);
	ck_assert_ptr_eq(job.params.scheduler.list, job.milestones);
	ck_assert_double_eq(job.params.scheduler.list[BP_MAX_LIST - 1], BP_MAX_LIST);
	snprintf(field, sizeof(field), "'scheduler':%s", milestones(text, sizeof(text), BP_MAX_LIST + 1));
	refused(field, ERR_OUT_OF_RANGE, "/training/scheduler/milestones", "an array of 1 to 256 integers, not of 257");
	ck_assert_ptr_null(job.params.scheduler.list);
	refused("'scheduler':{'type':'MultiStepLR','milestones':[]}", ERR_OUT_OF_RANGE,
		"/training/scheduler/milestones", "not of 0");
	refused("'scheduler':{'type':'MultiStepLR','milestones':[1,2,3,4,5,6,7,8,9,1.5]}", ERR_WRONG_TYPE,
		"/training/scheduler/milestones/9", "an array of 1 to 256 integers");
	refused("'scheduler':{'type':'MultiStepLR','milestones':'all'}", ERR_WRONG_TYPE,
		"/training/scheduler/milestones", "an array of 1 to 256 integers");
	refused("'scheduler':{'type':'MultiStepLR','milestones':null}", ERR_WRONG_TYPE,
		"/training/scheduler/milestones", "an array of 1 to 256 integers");
}
END_TEST

TEST_SUITE(spec_recipe, 20)
{
	tcase_add_test(tc, milestones_may_be_many_and_are_the_jobs_own);
	tcase_add_test(tc, schedules_are_read_and_stored_with_their_defaults);
	tcase_add_test(tc, weights_are_a_list_a_number_or_a_word);
	tcase_add_test(tc, balanced_weights_come_from_the_training_samples_and_stay_a_word);
	tcase_add_test(tc, wrong_weights_are_refused_with_their_pointer);
	tcase_add_test(tc, weights_are_as_many_as_classes_or_outputs);
	tcase_add_test(tc, yes_and_no_are_target_values_or_two_classes_of_one_output);
}
