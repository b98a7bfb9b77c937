/* test_spec_life.c - the options of a training's life: defaults, bounds, the way to stored text and back, what they
 * need of the data; merge patches; and what may change of a job that runs. */
#include "runner.h"

#include <stdio.h>

#include "problems.h"
#include "spec/spec.h"

static bool parse(const char *training, struct spec_job *ret, struct problems *problems)
{
	char text[1024];
	snprintf(text, sizeof(text), "{'dataset':'d','model':'m','training':{%s}}", training);
	json_t *json = json_of(text);
	*problems = (struct problems){0};
	bool ok = spec_job_parse(json, 2, problems, ret);
	json_decref(json);
	return ok;
}

START_TEST(defaults_are_those_of_the_documentation)
{
	struct spec_job job;
	struct problems problems;
	ck_assert(parse("'early_stopping':{},'target':null,'checkpoint':null,'on_nonfinite':null", &job, &problems));
	const struct spec_life *l = &job.life;
	ck_assert(l->early_stopping && l->restore_best_weights && !l->target && !l->rollback);
	ck_assert_int_eq(l->monitor, SPEC_VAL_LOSS);
	ck_assert_int_eq(l->mode, SPEC_MODE_MIN);
	ck_assert_int_eq(l->patience, 3);
	ck_assert_double_eq(l->min_delta, 0);
	ck_assert_double_eq(l->max_runtime_seconds, 0);
	ck_assert_int_eq(l->every_epochs, 1);
	ck_assert_double_eq(l->every_seconds, 600);
	ck_assert_int_eq(l->keep_last, 0);
	ck_assert_int_eq(l->keep_best, 1);
	ck_assert_double_eq(l->lr_factor, 0.5);
	ck_assert_int_eq(l->max_rollbacks, 3);
	ck_assert(parse("'validation':{'split':0}", &job, &problems));
	ck_assert_int_eq(job.life.monitor, SPEC_LOSS);
	ck_assert(parse("'early_stopping':{'monitor':'accuracy'}", &job, &problems));
	ck_assert_int_eq(job.life.mode, SPEC_MODE_MAX);
	ck_assert(parse("'early_stopping':{'monitor':'accuracy','mode':'min'}", &job, &problems));
	ck_assert_int_eq(job.life.mode, SPEC_MODE_MIN);
}
END_TEST

START_TEST(stored_options_come_back_as_they_were)
{
	static const char *const texts[] = {"",
		"'early_stopping':{'monitor':'val_accuracy','mode':'max','patience':7,'min_delta':0.001,"
		"'restore_best_weights':false},'target':{'metric':'loss','value':0.25},'max_runtime_seconds':60.5,"
		"'checkpoint':{'every_epochs':4,'every_seconds':null,'keep_last':9,'keep_best':2},"
		"'on_nonfinite':{'action':'rollback','lr_factor':0.125,'max_rollbacks':9}",
		"'validation':{'split':0},'checkpoint':{'every_seconds':2.5}"};
	static struct spec_dataset ds = {.shape = {1, {4}}, .classes = 2, .train = 100, .nmean = 1};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct spec_job job, back;
		struct problems problems;
		ck_assert(parse(texts[i], &job, &problems));
		json_t *stored = spec_job_to_json(&job, &ds);
		ck_assert(spec_job_from_json(stored, &back));
		json_t *again = spec_job_to_json(&back, &ds);
		ck_assert_msg(json_equal(json_object_get(stored, "training"), json_object_get(again, "training")), "%s",
			texts[i]);
		ck_assert_int_eq(back.life.monitor, job.life.monitor);
		json_decref(stored);
		json_decref(again);
	}
}
END_TEST

START_TEST(values_out_of_bounds_are_refused_with_their_pointer)
{
	static const struct {
		const char *training;
		enum error_code code;
		const char *param;
	} cases[] = {
		{"'early_stopping':1", ERR_WRONG_TYPE, "/training/early_stopping"},
		{"'early_stopping':{'monitor':'val_los'}", ERR_UNKNOWN_NAME, "/training/early_stopping/monitor"},
		{"'early_stopping':{'mode':'up'}", ERR_UNKNOWN_NAME, "/training/early_stopping/mode"},
		{"'early_stopping':{'patience':-1}", ERR_OUT_OF_RANGE, "/training/early_stopping/patience"},
		{"'early_stopping':{'patient':1}", ERR_UNKNOWN_FIELD, "/training/early_stopping/patient"},
		{"'target':{'value':1}", ERR_MISSING_FIELD, "/training/target/metric"},
		{"'target':{'metric':'loss'}", ERR_MISSING_FIELD, "/training/target/value"},
		{"'max_runtime_seconds':0", ERR_OUT_OF_RANGE, "/training/max_runtime_seconds"},
		{"'checkpoint':{'keep_best':0}", ERR_OUT_OF_RANGE, "/training/checkpoint/keep_best"},
		{"'checkpoint':{'every_seconds':0}", ERR_OUT_OF_RANGE, "/training/checkpoint/every_seconds"},
		{"'on_nonfinite':{'action':'ignore'}", ERR_UNKNOWN_NAME, "/training/on_nonfinite/action"},
		{"'on_nonfinite':{'lr_factor':2}", ERR_OUT_OF_RANGE, "/training/on_nonfinite/lr_factor"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct spec_job job;
		struct problems problems;
		ck_assert_msg(!parse(cases[i].training, &job, &problems), "%s", cases[i].training);
		problem_expect(&problems, cases[i].code, cases[i].param, "");
	}
}
END_TEST

/* The examples of RFC 7396, appendix A. */
START_TEST(a_merge_patch_does_what_the_rfc_says)
{
	static const char *const cases[][3] = {
		{"{'a':'b'}", "{'a':'c'}", "{'a':'c'}"},
		{"{'a':'b'}", "{'b':'c'}", "{'a':'b','b':'c'}"},
		{"{'a':'b'}", "{'a':null}", "{}"},
		{"{'a':'b','b':'c'}", "{'a':null}", "{'b':'c'}"},
		{"{'a':['b']}", "{'a':'c'}", "{'a':'c'}"},
		{"{'a':'c'}", "{'a':['b']}", "{'a':['b']}"},
		{"{'a':{'b':'c'}}", "{'a':{'b':'d','c':null}}", "{'a':{'b':'d'}}"},
		{"{'a':[{'b':'c'}]}", "{'a':[1]}", "{'a':[1]}"},
		{"['a','b']", "['c','d']", "['c','d']"},
		{"{'a':'b'}", "['c']", "['c']"},
		{"{'e':null}", "{'a':1}", "{'e':null,'a':1}"},
		{"[1,2]", "{'a':'b','c':null}", "{'a':'b'}"},
		{"{}", "{'a':{'bb':{'ccc':null}}}", "{'a':{'bb':{}}}"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *target = json_of(cases[i][0]), *patch = json_of(cases[i][1]), *want = json_of(cases[i][2]);
		json_t *before = json_deep_copy(target), *got = spec_merge(target, patch);
		ck_assert_msg(json_equal(got, want), "%s with %s", cases[i][0], cases[i][1]);
		ck_assert(json_equal(target, before));
		json_decref(got);
		json_decref(before);
		json_decref(target);
		json_decref(patch);
		json_decref(want);
	}
}
END_TEST

START_TEST(the_rate_and_the_epochs_may_change_and_nothing_else)
{
	static const struct {
		const char *training;
		int epoch;
		double lr; /* -1: refused */
		int epochs;
		enum error_code code;
		const char *param;
	} cases[] = {
		{"{'optimizer':{'lr':0.5}}", 0, 0.5, 0, 0, ""},
		{"{'epochs':6}", 5, 0, 6, 0, ""},
		{"{'epochs':6,'optimizer':{'lr':1e-9}}", 0, 1e-9, 6, 0, ""},
		{"{}", 9, 0, 0, 0, ""},
		{"{'epochs':5}", 5, -1, 0, ERR_OUT_OF_RANGE, "/training/epochs"},
		{"{'epochs':1}", 0, -1, 0, ERR_OUT_OF_RANGE, "/training/epochs"}, /* the warm-up takes two */
		{"{'optimizer':{'lr':0}}", 0, -1, 0, ERR_OUT_OF_RANGE, "/training/optimizer/lr"},
		{"{'optimizer':{'lr':'x'}}", 0, -1, 0, ERR_WRONG_TYPE, "/training/optimizer/lr"},
		{"{'optimizer':{}}", 0, -1, 0, ERR_MISSING_FIELD, "/training/optimizer/lr"},
		{"{'optimizer':{'lr':1,'type':'SGD'}}", 0, -1, 0, ERR_UNKNOWN_FIELD, "/training/optimizer/type"},
		{"{'seed':1}", 0, -1, 0, ERR_UNKNOWN_FIELD, "/training/seed"},
		{"{'augment':[]}", 0, -1, 0, ERR_UNKNOWN_FIELD, "/training/augment"},
		{"[]", 0, -1, 0, ERR_WRONG_TYPE, "/training"},
	};
	json_t *spec = json_of("{'dataset':'d','training':{'scheduler':{'type':'Constant','warmup_epochs':1.5}}}");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problems problems = {0};
		struct spec_retune got;
		json_t *training = json_of(cases[i].training);
		bool ok = spec_retune_parse(training, spec, cases[i].epoch, &problems, &got);
		ck_assert_msg(ok == (cases[i].lr >= 0), "%s", cases[i].training);
		if (ok) {
			ck_assert_double_eq(got.lr, cases[i].lr);
			ck_assert_int_eq(got.epochs, cases[i].epochs);
		} else {
			problem_expect(&problems, cases[i].code, cases[i].param, "");
		}
		json_decref(training);
	}
	json_decref(spec);
}
END_TEST

TEST_SUITE(spec_life, 10)
{
	tcase_add_test(tc, defaults_are_those_of_the_documentation);
	tcase_add_test(tc, stored_options_come_back_as_they_were);
	tcase_add_test(tc, values_out_of_bounds_are_refused_with_their_pointer);
	tcase_add_test(tc, a_merge_patch_does_what_the_rfc_says);
	tcase_add_test(tc, the_rate_and_the_epochs_may_change_and_nothing_else);
}
