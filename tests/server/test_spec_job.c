/* test_spec_job.c - jobs: defaults, bounds, the stored spec, and the check against model and data set. */
#include "runner.h"

#include <stdio.h>
#include <string.h>

#include "problems.h"
#include "spec/spec.h"

static bool parse(const char *text, struct spec_job *ret, struct problems *problems)
{
	json_t *json = json_of(text);
	*problems = (struct problems){0};
	bool ok = spec_job_parse(json, 4, problems, ret);
	ck_assert_int_eq(ok, problems->count == 0);
	json_decref(json);
	return ok;
}

static const struct spec_dataset *digits(void)
{
	static struct spec_dataset ds;
	ds = (struct spec_dataset){.shape = {3, {1, 8, 8}},
		.classes = 10,
		.train = 1000,
		.test = 100,
		.mean = {0.25f},
		.std = {0.5f},
		.nmean = 1,
		.u8 = true};
	return &ds;
}

START_TEST(a_short_job_gets_the_documented_defaults)
{
	struct spec_job job;
	struct problems problems;
	ck_assert(parse("{'dataset':'digits','model':'mdl_1'}", &job, &problems));
	ck_assert_str_eq(job.dataset, "digits");
	ck_assert_str_eq(job.name, "");
	ck_assert(!job.model_inline);
	ck_assert_int_eq(job.params.epochs, 10);
	ck_assert_int_eq(job.params.batch_size, 64);
	ck_assert(job.params.shuffle);
	ck_assert_str_eq(bp_item_info(BP_OPTIMIZER, job.params.optimizer.type)->name, "Adam");
	ck_assert_double_eq(bp_item_arg(BP_OPTIMIZER, &job.params.optimizer, "lr")->v[0], 1e-3);
	ck_assert(!job.loss_given);
	ck_assert_double_eq(job.validation_split, 0.1);
	ck_assert(job.normalize);
	ck_assert_int_eq(job.life.every_epochs, 1);
	ck_assert(job.threads_auto);
	ck_assert_int_eq(job.threads, 4);
	ck_assert_int_eq(job.params.threads, 4);
	ck_assert_int_eq(job.priority, 50);
	ck_assert_int_eq(spec_job_validation_samples(&job, 1000), 100);
}
END_TEST

static const char *const full_job =
	"{'name':'n','dataset':'ds_1','model':{},'training':{'epochs':3,'batch_size':7,'seed':9223372036854775807,"
	"'shuffle':false,'loss':'MSELoss','optimizer':{'type':'AdamW','lr':0.25,'betas':[0.5,0.75]},"
	"'scheduler':{'type':'CosineAnnealingLR','warmup_epochs':1.5},'clip_grad_norm':5,'clip_grad_value':0.5,"
	"'validation':{'split':'test'},'normalize':false,'checkpoint':{'every_epochs':2}},'resources':{'threads':3},'"
	"priority':0}";

START_TEST(every_field_is_taken)
{
	struct spec_job job;
	struct problems problems;
	ck_assert(parse(full_job, &job, &problems));
	ck_assert_str_eq(job.name, "n");
	ck_assert(job.model_inline);
	ck_assert_int_eq(job.params.epochs, 3);
	ck_assert_int_eq(job.params.batch_size, 7);
	ck_assert_uint_eq(job.params.seed, INT64_MAX);
	ck_assert(!job.params.shuffle);
	ck_assert(job.loss_given);
	ck_assert(!spec_loss_of_classes(&job.params.loss));
	ck_assert_double_eq(bp_item_arg(BP_OPTIMIZER, &job.params.optimizer, "betas")->v[1], 0.75);
	ck_assert_double_eq(job.params.warmup_epochs, 1.5);
	ck_assert_double_eq(job.params.clip_grad_norm, 5);
	ck_assert_double_eq(job.params.clip_grad_value, 0.5);
	ck_assert(job.validation_on_test);
	ck_assert_int_eq(spec_job_validation_samples(&job, 1000), 0);
	ck_assert(!job.normalize);
	ck_assert_int_eq(job.life.every_epochs, 2);
	ck_assert_int_eq(job.params.max_threads, 3);
	ck_assert_int_eq(job.priority, 0);
}
END_TEST

START_TEST(the_stored_spec_reads_back_as_itself_and_can_be_sent_again)
{
	static const char *const jobs[] = {"{'dataset':'digits','model':'mdl_1'}", NULL};
	for (int i = 0; i < 2; i++) {
		struct spec_job job, again;
		struct problems problems;
		ck_assert(parse(jobs[i] ? jobs[i] : full_job, &job, &problems));
		json_t *stored = spec_job_to_json(&job, digits());
		ck_assert_ptr_nonnull(stored);
		ck_assert(spec_job_from_json(stored, &again));
		json_t *twice = spec_job_to_json(&again, digits());
		ck_assert(json_equal(stored, twice));
		ck_assert_int_eq(again.params.seed == job.params.seed, 1);
		ck_assert_mem_eq(&again.params.optimizer, &job.params.optimizer, sizeof(job.params.optimizer));
		ck_assert_mem_eq(&again.params.scheduler, &job.params.scheduler, sizeof(job.params.scheduler));
		json_t *body = json_pack("{s:O, s:s, s:O, s:O}", "dataset", json_object_get(stored, "dataset"), "model",
			"mdl_1", "training", json_object_get(stored, "training"), "resources",
			json_object_get(stored, "resources"));
		ck_assert(spec_job_parse(body, 4, &problems, &again));
		json_decref(body);
		json_decref(stored);
		json_decref(twice);
	}
}
END_TEST

START_TEST(the_stored_spec_holds_what_predictions_need)
{
	struct spec_job job;
	struct problems problems;
	struct spec_dataset ds = *digits();
	ck_assert(parse("{'dataset':'digits','model':'mdl_1'}", &job, &problems));
	json_t *stored = spec_job_to_json(&job, &ds);
	json_t *want = json_of("{'u8':true,'mean':[0.25],'std':[0.5]}");
	ck_assert(json_equal(json_object_get(stored, "normalization"), want));
	ck_assert(json_is_null(json_object_get(stored, "classes")));
	json_decref(want);
	json_decref(stored);
	json_t *names = json_of("['a','b']");
	ds.class_names = names;
	job.normalize = false;
	stored = spec_job_to_json(&job, &ds);
	want = json_of("{'u8':true,'mean':null,'std':null}");
	ck_assert(json_equal(json_object_get(stored, "normalization"), want));
	ck_assert(json_equal(json_object_get(stored, "classes"), names));
	json_decref(want);
	json_decref(stored);
	json_decref(names);
}
END_TEST

START_TEST(a_spec_of_a_newer_version_does_not_parse)
{
	struct spec_job job;
	json_t *json = json_of("{'dataset':'d','training':{'epochs':1,'quantum':true}}");
	ck_assert(!spec_job_from_json(json, &job));
	json_decref(json);
	ck_assert(!spec_job_from_json(NULL, &job));
}
END_TEST

static void refused(const char *text, enum error_code code, const char *param, const char *part)
{
	struct spec_job job;
	struct problems problems;
	ck_assert_msg(!parse(text, &job, &problems), "%s", text);
	problem_expect(&problems, code, param, part);
}

/* A job with one field in its training. */
static void training_refused(const char *field, enum error_code code, const char *param, const char *part)
{
	char text[500], at[100];
	snprintf(text, sizeof(text), "{'dataset':'d','model':'m','training':{%s}}", field);
	snprintf(at, sizeof(at), "/training%s", param);
	refused(text, code, at, part);
}

START_TEST(wrong_jobs_are_refused_with_their_pointer)
{
	refused("[]", ERR_WRONG_TYPE, "", "object");
	refused("{}", ERR_MISSING_FIELD, "/dataset", "required");
	refused("{}", ERR_MISSING_FIELD, "/model", "required");
	refused("{'dataset':'a/b','model':'m'}", ERR_INVALID_NAME, "/dataset", "1 to 64");
	refused("{'dataset':7,'model':'m'}", ERR_WRONG_TYPE, "/dataset", "string");
	refused("{'dataset':'d','model':7}", ERR_WRONG_TYPE, "/model", "definition or a model's id");
	refused("{'dataset':'d','model':'m','trainig':{}}", ERR_UNKNOWN_FIELD, "/trainig",
		"did you mean \"training\"?");
	refused("{'dataset':'d','model':'m','priority':101}", ERR_OUT_OF_RANGE, "/priority", "from 0 to 100");
	refused("{'dataset':'d','model':'m','training':[]}", ERR_WRONG_TYPE, "/training", "object");
	refused("{'dataset':'d','model':'m','resources':{'threads':5}}", ERR_OUT_OF_RANGE, "/resources/threads",
		"1 to 4");
	refused("{'dataset':'d','model':'m','resources':{'threads':'all'}}", ERR_UNKNOWN_NAME, "/resources/threads",
		"auto");
	refused("{'dataset':'d','model':'m','resources':{'thread':1}}", ERR_UNKNOWN_FIELD, "/resources/thread",
		"threads");
	training_refused("'epochs':0", ERR_OUT_OF_RANGE, "/epochs", "not 0");
	training_refused("'epochs':1.5", ERR_WRONG_TYPE, "/epochs", "integer");
	training_refused("'batch_size':65537", ERR_OUT_OF_RANGE, "/batch_size", "65536");
	training_refused("'seed':-1", ERR_OUT_OF_RANGE, "/seed", "not -1");
	training_refused("'shuffle':'yes'", ERR_WRONG_TYPE, "/shuffle", "true or false");
	training_refused("'loss':'CrossEntropy'", ERR_UNKNOWN_NAME, "/loss", "There is no loss");
	training_refused("'loss':{'type':'MSELos'}", ERR_UNKNOWN_NAME, "/loss/type", "did you mean \"MSELoss\"?");
	training_refused("'loss':3", ERR_WRONG_TYPE, "/loss", "object");
	training_refused("'optimizer':'adam'", ERR_UNKNOWN_NAME, "/optimizer", "did you mean \"Adam\"?");
	training_refused("'optimizer':{'type':'Adam','lr':-1}", ERR_OUT_OF_RANGE, "/optimizer/lr", "not -1");
	training_refused(
		"'optimizer':{'type':'Adam','betas':[0.9]}", ERR_WRONG_TYPE, "/optimizer/betas", "two numbers");
	training_refused("'optimizer':{'type':'Adam','betas':0.9}", ERR_WRONG_TYPE, "/optimizer/betas", "two numbers");
	training_refused(
		"'optimizer':{'type':'Adam','betas':[0.9,2]}", ERR_OUT_OF_RANGE, "/optimizer/betas/1", "not 2");
	training_refused(
		"'optimizer':{'type':'SGD','momentun':0.9}", ERR_UNKNOWN_FIELD, "/optimizer/momentun", "momentum");
	training_refused("'scheduler':'StepLR'", ERR_MISSING_FIELD, "/scheduler", "StepLR needs \"step_size\"");
	training_refused("'scheduler':{'type':'StepLR'}", ERR_MISSING_FIELD, "/scheduler/step_size", "step_size");
	training_refused("'epochs':2,'scheduler':{'type':'Constant','warmup_epochs':3}", ERR_OUT_OF_RANGE,
		"/scheduler/warmup_epochs", "longer than the training of 2");
	training_refused("'clip_grad_norm':-1", ERR_OUT_OF_RANGE, "/clip_grad_norm", "not -1");
	training_refused("'validation':{'split':0.95}", ERR_OUT_OF_RANGE, "/validation/split", "0.9");
	training_refused("'validation':{'split':'train'}", ERR_UNKNOWN_NAME, "/validation/split", "\"test\"");
	training_refused("'validation':{}", ERR_MISSING_FIELD, "/validation/split", "required");
	training_refused("'checkpoint':{'every_epochs':0}", ERR_OUT_OF_RANGE, "/checkpoint/every_epochs", "not 0");
	training_refused("'early_stoping':{}", ERR_UNKNOWN_FIELD, "/early_stoping", "no field");
}
END_TEST

/* A job against a model and a data set of 1x8x8 and 10 classes. */
struct check {
	const char *training, *input, *layers;
	int64_t limit;
	struct spec_dataset ds;
};

static void run_check(const struct check *c, struct problems *ret_problems, struct spec_job *ret_job)
{
	char text[2000];
	struct spec_model model;
	struct bp_memory memory;
	snprintf(text, sizeof(text), "{'dataset':'d','model':{},'training':{%s}}", c->training);
	ck_assert(parse(text, ret_job, ret_problems));
	snprintf(text, sizeof(text), "{'input':{'shape':%s},'layers':[%s]}", c->input, c->layers);
	json_t *json = json_of(text);
	ck_assert(spec_model_parse(json, "/model", ret_problems, &model));
	struct bp_net *net = spec_model_build(&model, "/model", ret_problems);
	problem_none(ret_problems);
	bool ok = spec_job_check(
		ret_job, &(struct spec_job_context){&model, net, &c->ds, c->limit}, ret_problems, &memory);
	ck_assert_int_eq(ok, ret_problems->count == 0);
	ck_assert(!ok || memory.total > 0);
	bp_net_free(net);
	spec_model_done(&model);
	json_decref(json);
}

#define MLP "{'type':'Flatten'},{'type':'Linear','out_features':10}"

static struct check good(void)
{
	return (struct check){"", "[1,8,8]", MLP, 1 << 30, *digits()};
}

static void check_refused(const struct check *c, enum error_code code, const char *param, const char *part)
{
	struct problems problems;
	struct spec_job job;
	run_check(c, &problems, &job);
	problem_expect(&problems, code, param, part);
}

START_TEST(a_job_that_fits_passes_and_gets_the_loss_of_its_data)
{
	struct problems problems;
	struct spec_job job;
	struct check c = good();
	run_check(&c, &problems, &job);
	problem_none(&problems);
	ck_assert(spec_loss_of_classes(&job.params.loss));
	c.ds.classes = 0;
	c.ds.ntargets = 10;
	run_check(&c, &problems, &job);
	problem_none(&problems);
	ck_assert_str_eq(bp_item_info(BP_LOSS, job.params.loss.type)->name, "MSELoss");
}
END_TEST

START_TEST(shapes_of_model_and_data_set_must_agree)
{
	struct check c = good();
	c.input = "[64]";
	check_refused(&c, ERR_INVALID_SHAPE, "/model/input/shape", "begin with a Flatten layer");
	c.input = "[3,8,8]";
	check_refused(&c, ERR_INVALID_SHAPE, "/model/input/shape", "[3,8,8]");
	c.input = "[4,16]";
	check_refused(&c, ERR_INVALID_SHAPE, "/model/input/shape", "upload the data set again with ?shape=");
	c = good();
	c.layers = "{'type':'Flatten'},{'name':'fc','type':'Linear','out_features':9}";
	check_refused(&c, ERR_INVALID_SHAPE, "/model/layers/1", "\"fc\" gives [9], but the data set has 10 classes");
	c.layers = "{'type':'Conv2d','out_channels':10,'kernel_size':3}";
	check_refused(&c, ERR_INVALID_SHAPE, "/model/layers/0", "End with Flatten and Linear");
}
END_TEST

START_TEST(samples_of_an_embedding_must_be_indices_below_its_number)
{
	static const struct {
		double min, max;
		bool whole;
		const char *part; /* of the refusal; NULL when it fits */
	} cases[] = {{0, 4, true, NULL}, {0, 5, true, "from 0 to 4, but the data set holds numbers from 0 to 5"},
		{-1, 4, true, "numbers from -1 to 4"}, {0, 3.5, false, "fractions from 0 to 3.5"}};
	struct problems problems;
	struct spec_job job;
	struct check c = good();
	c.ds.shape = (struct bp_shape){1, {6}};
	c.input = "[6]";
	c.layers = "{'type':'Repeat','n':1,'body':[{'type':'Embedding','num_embeddings':5,'embedding_dim':3}]},"
		   "{'type':'Flatten'},{'type':'Linear','out_features':10}";
	run_check(&c, &problems, &job); /* a data set that tells no range is checked when the training starts */
	problem_none(&problems);
	c.ds.has_range = true;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		c.ds.min = cases[i].min;
		c.ds.max = cases[i].max;
		c.ds.whole = cases[i].whole;
		if (cases[i].part) {
			check_refused(&c, ERR_INVALID_DATA, "/model/layers/0/body/0/num_embeddings", cases[i].part);
			continue;
		}
		run_check(&c, &problems, &job);
		problem_none(&problems);
	}
}
END_TEST

START_TEST(the_loss_must_fit_the_answers_of_the_data_set)
{
	struct check c = good();
	c.training = "'loss':'MSELoss'";
	check_refused(&c, ERR_INVALID_DATA, "/training/loss", "MSELoss needs a data set with target values");
	c.training = "'loss':'CrossEntropyLoss'";
	c.ds.classes = 0;
	c.ds.ntargets = 10;
	check_refused(&c, ERR_INVALID_DATA, "/training/loss", "CrossEntropyLoss needs a data set with class labels");
}
END_TEST

START_TEST(samples_must_suffice_for_batches_and_validation)
{
	struct check c = good();
	c.training = "'batch_size':901";
	check_refused(&c, ERR_OUT_OF_RANGE, "/training/batch_size", "more than the 900 samples");
	c = good();
	c.ds.train = 4;
	c.training = "'batch_size':1";
	check_refused(&c, ERR_OUT_OF_RANGE, "/training/validation/split", "leaves 0 of 4");
	c = good();
	c.ds.test = 0;
	c.training = "'validation':{'split':'test'}";
	check_refused(&c, ERR_INVALID_DATA, "/training/validation/split", "no test samples");
}
END_TEST

START_TEST(a_batch_norm_over_one_value_is_refused)
{
	struct problems problems;
	struct spec_job job;
	struct check c = good();
	c.layers = "{'type':'Flatten'},{'type':'Linear','out_features':10},{'name':'bn','type':'BatchNorm1d'}";
	c.training = "'batch_size':1";
	check_refused(&c, ERR_OUT_OF_RANGE, "/training/batch_size", "no variance for \"bn\"");
	c.training = "'batch_size':29"; /* 900 = 31 * 29 + 1: only the last batch has one */
	run_check(&c, &problems, &job);
	problem_none(&problems);
	c.layers = "{'type':'BatchNorm2d'},{'type':'Flatten'},{'type':'Linear','out_features':10}";
	c.training = "'batch_size':1";
	run_check(&c, &problems, &job);
	problem_none(&problems);
}
END_TEST

START_TEST(a_net_over_the_memory_limit_is_refused_with_both_numbers)
{
	struct check c = good();
	c.layers = "{'type':'Flatten'},{'type':'Linear','out_features':4096},{'type':'Linear','out_features':4096},"
		   "{'type':'Linear','out_features':10}";
	c.limit = 10 << 20;
	check_refused(&c, ERR_MODEL_TOO_LARGE, "/model", "more than the 10.0 MiB");
}
END_TEST

START_TEST(data_set_infos_that_are_not_are_refused)
{
	static const char *const bad[] = {"null", "{}", "{'shape':[1,8],'dtype':'u8'}",
		"{'shape':[4],'dtype':'f32','train':1,'test':0,'classes':2,'targets':0,'mean':[0],'std':[]}",
		"{'shape':[4],'dtype':'f32','train':1,'test':0,'classes':2,'targets':0,'mean':[0,1],'std':[1,1]}",
		"{'shape':[4],'dtype':'f32','train':-1,'test':0,'classes':2,'targets':0,'mean':[0],'std':[1]}",
		"{'shape':[-4],'dtype':'f32','train':1,'test':0,'classes':2,'targets':0,'mean':[0],'std':[1]}"};
	struct spec_dataset ds;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		json_t *json = json_of(bad[i]);
		ck_assert_msg(!spec_dataset_parse(json, &ds), "%s", bad[i]);
		json_decref(json);
	}
	json_t *json =
		json_of("{'shape':[4],'dtype':'f32','train':1,'test':0,'classes':2,'targets':0,'mean':[0],'std':[1]}");
	ck_assert(spec_dataset_parse(json, &ds));
	json_decref(json);
}
END_TEST

TEST_SUITE(spec_job, 20)
{
	tcase_add_test(tc, a_short_job_gets_the_documented_defaults);
	tcase_add_test(tc, every_field_is_taken);
	tcase_add_test(tc, the_stored_spec_reads_back_as_itself_and_can_be_sent_again);
	tcase_add_test(tc, the_stored_spec_holds_what_predictions_need);
	tcase_add_test(tc, a_spec_of_a_newer_version_does_not_parse);
	tcase_add_test(tc, wrong_jobs_are_refused_with_their_pointer);
	tcase_add_test(tc, a_job_that_fits_passes_and_gets_the_loss_of_its_data);
	tcase_add_test(tc, shapes_of_model_and_data_set_must_agree);
	tcase_add_test(tc, samples_of_an_embedding_must_be_indices_below_its_number);
	tcase_add_test(tc, the_loss_must_fit_the_answers_of_the_data_set);
	tcase_add_test(tc, samples_must_suffice_for_batches_and_validation);
	tcase_add_test(tc, a_batch_norm_over_one_value_is_refused);
	tcase_add_test(tc, a_net_over_the_memory_limit_is_refused_with_both_numbers);
	tcase_add_test(tc, data_set_infos_that_are_not_are_refused);
}
