/* test_spec_augment.c - a job's list of augmentations: read, stored, refused, warned of. */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

static struct spec_job job;

/* A job whose "augment" is that. */
static bool parse(const char *augment, struct problems *problems)
{
	char text[3000];
	snprintf(text, sizeof(text), "{'dataset':'d','model':'mdl_1','training':{'augment':%s}}", augment);
	json_t *json = json_of(text);
	*problems = (struct problems){0};
	bool ok = spec_job_parse(json, 4, problems, &job);
	ck_assert_int_eq(ok, problems->count == 0);
	json_decref(json);
	return ok;
}

static void refused(const char *augment, enum error_code code, const char *param, const char *part)
{
	struct problems problems;
	ck_assert_msg(!parse(augment, &problems), "%s", augment);
	problem_expect(&problems, code, param, part);
	ck_assert_int_eq(problems.count, 1);
}

START_TEST(a_list_is_read_and_stored_with_its_defaults)
{
	static struct spec_job again;
	const struct spec_dataset ds = {.nmean = 1, .std = {1}};
	struct problems problems;
	ck_assert(parse(
		"[{'type':'RandomCrop','padding':4},'RandomHorizontalFlip',{'type':'RandomErasing','scale':[0.1,0.2]}]",
		&problems));
	ck_assert_int_eq(job.params.naugment, 3);
	ck_assert_ptr_eq(job.params.augment, job.augment);
	ck_assert_str_eq(bp_item_info(BP_AUGMENT, job.augment[1].type)->name, "RandomHorizontalFlip");
	json_t *stored = spec_job_to_json(&job, &ds);
	json_t *want =
		json_of("[{'type':'RandomCrop','size':null,'padding':[4],'fill':0.0,'padding_mode':'constant'},"
			"{'type':'RandomHorizontalFlip','p':0.5},{'type':'RandomErasing','p':0.5,'scale':[0.1,0.2],"
			"'ratio':[0.3,3.3],'value':0.0}]");
	ck_assert(json_equal(json_object_get(json_object_get(stored, "training"), "augment"), want));
	ck_assert(spec_job_from_json(stored, &again));
	ck_assert_ptr_eq(again.params.augment, again.augment);
	ck_assert_int_eq(again.params.naugment, 3);
	ck_assert_mem_eq(again.augment, job.augment, sizeof(job.augment));
	json_decref(stored);
	json_decref(want);
}
END_TEST

START_TEST(none_is_an_empty_list_or_null_or_nothing)
{
	struct problems problems;
	ck_assert(parse("[]", &problems) && job.params.naugment == 0);
	ck_assert(parse("null", &problems) && job.params.naugment == 0);
	json_t *older = json_of("{'dataset':'d','training':{'epochs':1}}"); /* stored before there were any */
	ck_assert(spec_job_from_json(older, &job) && job.params.naugment == 0);
	json_decref(older);
}
END_TEST

START_TEST(what_is_wrong_is_told_where_it_stands)
{
	char many[700] = "['GaussianNoise'";
	struct problems problems;
	refused("{'type':'RandomCrop'}", ERR_WRONG_TYPE, "/training/augment", "must be an array, not an object");
	refused("[3]", ERR_WRONG_TYPE, "/training/augment/0", "object");
	refused("['RandomFlip']", ERR_UNKNOWN_NAME, "/training/augment/0", "no augmentation \"RandomFlip\"");
	refused("['RandomHorizontalFlipp']", ERR_UNKNOWN_NAME, "/training/augment/0",
		"did you mean \"RandomHorizontalFlip\"");
	refused("['GaussianNoise',{'type':'RandomCrop','pading':4}]", ERR_UNKNOWN_FIELD, "/training/augment/1/pading",
		"did you mean \"padding\"");
	refused("[{'padding':4}]", ERR_MISSING_FIELD, "/training/augment/0/type", "name of a");
	refused("[{'type':'RandomVerticalFlip','p':1.5}]", ERR_OUT_OF_RANGE, "/training/augment/0/p", "from 0 to 1");
	refused("['RandomRotation']", ERR_MISSING_FIELD, "/training/augment/0", "degrees");
	refused("[{'type':'RandomCrop','padding_mode':'wrap'}]", ERR_UNKNOWN_NAME, "/training/augment/0/padding_mode",
		"constant|edge|reflect|symmetric");
	ck_assert(!parse("[{'type':'RandomCrop','padding':-1},{'type':'GaussianNoise','sigma':'x'}]", &problems));
	ck_assert_int_eq(problems.count, 2);
	problem_expect(&problems, ERR_OUT_OF_RANGE, "/training/augment/0/padding", "from 0");
	problem_expect(&problems, ERR_WRONG_TYPE, "/training/augment/1/sigma", "a number");
	for (int i = 1; i < BP_MAX_AUGMENTS; i++)
		strcat(many, ",'GaussianNoise'");
	strcat(many, "]");
	ck_assert(parse(many, &problems) && job.params.naugment == BP_MAX_AUGMENTS);
	many[strlen(many) - 1] = '\0';
	strcat(many, ",'GaussianNoise']");
	refused(many, ERR_OUT_OF_RANGE, "/training/augment", "at most 16 augmentations, not 17");
}
END_TEST

/* Checks a job with that list against a model and a data set of that input. */
static void check(const char *augment, const char *shape, const struct spec_dataset *ds, struct problems *problems)
{
	char text[500];
	struct spec_model model;
	struct bp_memory memory;
	ck_assert_msg(parse(augment, problems), "%s", augment);
	snprintf(text, sizeof(text),
		"{'input':{'shape':%s},'layers':[{'type':'Flatten'},{'type':'Linear','out_features':10}]}", shape);
	json_t *json = json_of(text);
	ck_assert(spec_model_parse(json, "", problems, &model));
	struct bp_net *net = spec_model_build(&model, "", problems);
	bool ok = spec_job_check(&job, &(struct spec_job_context){&model, net, ds, 0}, problems, &memory);
	ck_assert_int_eq(ok, problems->count == 0);
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(json);
}

START_TEST(it_must_fit_the_models_input)
{
	static const struct {
		const char *augment, *shape;
		enum error_code code;
		const char *param, *part;
	} cases[] = {
		{"[{'type':'RandomCrop','padding':8,'size':[8,9]},'RandomHorizontalFlip','ColorJitter']", "[3,8,9]", 0,
			NULL, NULL},
		{"['GaussianNoise']", "[7]", 0, NULL, NULL},
		{"['GaussianNoise']", "[2,7]", 0, NULL, NULL},
		{"[{'type':'RandomCrop','size':28}]", "[1,32,32]", ERR_OUT_OF_RANGE, "/training/augment/0/size",
			"32 x 32, not 28 x 28"},
		{"['RandomHorizontalFlip',{'type':'RandomCrop','padding':[1,9]}]", "[1,8,10]", ERR_OUT_OF_RANGE,
			"/training/augment/1/padding", "top must be at most 8"},
		{"['RandomHorizontalFlip']", "[192]", ERR_INVALID_SHAPE, "/training/augment/0/type", "needs images"},
		{"['RandomErasing']", "[3,64]", ERR_INVALID_SHAPE, "/training/augment/0/type", "needs images"},
		{"['ColorJitter']", "[2,8,8]", ERR_INVALID_SHAPE, "/training/augment/0/type", "1 or 3 channels"},
		{"[{'type':'RandomErasing','ratio':[2,1]}]", "[1,8,8]", ERR_OUT_OF_RANGE, "/training/augment/0/ratio",
			"2 is above 1"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct problems problems;
		struct spec_dataset ds = {
			.classes = 10, .train = 1000, .mean = {0}, .std = {1}, .nmean = 1, .u8 = true};
		json_t *shape = json_of(cases[i].shape);
		ds.shape.ndim = (int)json_array_size(shape);
		for (size_t k = 0; k < json_array_size(shape); k++)
			ds.shape.dim[k] = json_integer_value(json_array_get(shape, k));
		check(cases[i].augment, cases[i].shape, &ds, &problems);
		json_decref(shape);
		if (!cases[i].param) {
			problem_none(&problems);
			continue;
		}
		ck_assert_int_eq(problems.count, 1);
		problem_expect(&problems, cases[i].code, cases[i].param, cases[i].part);
	}
}
END_TEST

START_TEST(what_is_kept_between_0_and_1_must_lie_there)
{
	struct problems problems;
	struct spec_dataset ds = {.shape = {3, {1, 8, 8}},
		.classes = 10,
		.train = 1000,
		.std = {1},
		.nmean = 1,
		.has_range = true,
		.min = -2,
		.max = 3.5};
	check("[{'type':'GaussianNoise','clip':false},'RandomErasing']", "[1,8,8]", &ds, &problems);
	problem_none(&problems);
	check("['RandomErasing','GaussianNoise','ColorJitter']", "[1,8,8]", &ds, &problems);
	ck_assert_int_eq(problems.count, 2);
	problem_expect(&problems, ERR_INVALID_DATA, "/training/augment/1/clip", "from -2 to 3.5. Set \"clip\": false.");
	problem_expect(&problems, ERR_INVALID_DATA, "/training/augment/2", "ColorJitter keeps values between 0 and 1");
	ds.min = 0;
	ds.max = 1;
	check("['GaussianNoise','ColorJitter']", "[1,8,8]", &ds, &problems);
	problem_none(&problems);
}
END_TEST

START_TEST(what_does_nothing_gives_a_warning)
{
	static const char *const idle[] = {"'RandomCrop'", "{'type':'RandomCrop','padding':[0,0]}",
		"{'type':'RandomHorizontalFlip','p':0}", "{'type':'RandomErasing','p':0}", "'ColorJitter'",
		"{'type':'RandomRotation','degrees':0}", "{'type':'GaussianNoise','sigma':0}"};
	struct problems problems;
	ck_assert(parse("[{'type':'RandomCrop','padding':[0,1]},'RandomHorizontalFlip','RandomErasing',"
			"{'type':'ColorJitter','contrast':0.1},{'type':'RandomRotation','degrees':1},'GaussianNoise',"
			"{'type':'GaussianNoise','sigma':0,'mean':0.5}]",
		&problems));
	json_t *warnings = spec_job_warnings(&job);
	ck_assert_uint_eq(json_array_size(warnings), 0);
	json_decref(warnings);
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++) {
		char list[200];
		snprintf(list, sizeof(list), "['RandomVerticalFlip',%s]", idle[i]);
		ck_assert(parse(list, &problems));
		warnings = spec_job_warnings(&job);
		ck_assert_msg(json_array_size(warnings) == 1, "%s", list);
		const json_t *w = json_array_get(warnings, 0);
		ck_assert_str_eq(json_string_value(json_object_get(w, "code")), "augmentation_does_nothing");
		ck_assert_str_eq(json_string_value(json_object_get(w, "param")), "/training/augment/1");
		ck_assert(strstr(json_string_value(json_object_get(w, "detail")), " changes no sample. "));
		ck_assert(json_string_length(json_object_get(w, "suggestion")) > 10);
		json_decref(warnings);
	}
}
END_TEST

TEST_SUITE(spec_augment, 10)
{
	tcase_add_test(tc, a_list_is_read_and_stored_with_its_defaults);
	tcase_add_test(tc, none_is_an_empty_list_or_null_or_nothing);
	tcase_add_test(tc, what_is_wrong_is_told_where_it_stands);
	tcase_add_test(tc, it_must_fit_the_models_input);
	tcase_add_test(tc, what_is_kept_between_0_and_1_must_lie_there);
	tcase_add_test(tc, what_does_nothing_gives_a_warning);
}
