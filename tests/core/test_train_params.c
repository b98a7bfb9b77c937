/* test_train_params.c - trainings that make no sense, and data that does not fit: refused by status, field and words,
 * before anything is allocated. */
#include <check.h>
#include <math.h>
#include <stddef.h>
#include <string.h>

#include "allocation.h"
#include "runner.h"
#include "training.h"

static const char net[] = "2x3x3 | Conv2d out_channels=3 kernel_size=3 | Flatten | Linear out_features=4";
static const char flat[] = "3 | Linear out_features=4";

/* The trainer is refused, bp_net_memory too when it looks at the same, and nothing is left allocated. */
static void refused(struct training *t, enum bp_status status, const char *field, const char *piece, bool memory)
{
	struct bp_error err = {.status = BP_OK};
	struct bp_memory m;
	struct bp_trainer *tr = NULL;
	struct allocation before = allocation_now();
	enum bp_status st = bp_trainer_new(t->net, &t->params, &t->train, &t->val, &tr, &err);
	ck_assert_int_eq(allocation_now().block_bytes, before.block_bytes);
	ck_assert_msg(st == status && err.status == status, "%s (%s): status %d, not %d", field, piece, st, status);
	ck_assert_ptr_null(tr);
	ck_assert_msg(strcmp(err.field, field) == 0, "the field is \"%s\", not \"%s\"", err.field, field);
	ck_assert_msg(strstr(err.message, piece), "\"%s\" does not say \"%s\"", err.message, piece);
	ck_assert_int_eq(bp_trainer_new(t->net, &t->params, &t->train, &t->val, &tr, NULL), status);
	if (memory)
		ck_assert_int_eq(bp_net_memory(t->net, &t->params, &m, &err), status);
}

#define INT(f) offsetof(struct bp_train_params, f), true
#define REAL(f) offsetof(struct bp_train_params, f), false

START_TEST(a_number_out_of_range_is_refused_by_name)
{
	static const struct {
		size_t at;
		bool is_int;
		double v;
		enum bp_status status;
		const char *field, *piece;
	} bad[] = {
		{INT(epochs), 0, BP_EINVAL, "epochs", "at least 1, not 0"},
		{INT(epochs), -7, BP_EINVAL, "epochs", "not -7"},
		{INT(epochs), BP_MAX_EPOCHS + 1, BP_ELIMIT, "epochs", "at most 1000000"},
		{INT(batch_size), 0, BP_EINVAL, "batch_size", "at least 1"},
		{INT(batch_size), -INT32_MAX, BP_EINVAL, "batch_size", "at least 1"},
		{INT(batch_size), BP_MAX_BATCH + 1, BP_ELIMIT, "batch_size", "at most 65536"},
		{INT(accumulate_steps), 0, BP_EINVAL, "accumulate_steps", "at least 1"},
		{INT(accumulate_steps), BP_MAX_ACCUMULATE + 1, BP_ELIMIT, "accumulate_steps", "at most 65536"},
		{REAL(ema_decay), -0.1, BP_EINVAL, "ema_decay", "not -0.1"},
		{REAL(ema_decay), 1, BP_EINVAL, "ema_decay", "below 1"},
		{REAL(ema_decay), NAN, BP_EINVAL, "ema_decay", "nan"},
		{INT(threads), 0, BP_EINVAL, "threads", "at least 1"},
		{INT(threads), 2, BP_ELIMIT, "threads", "at most 1"}, /* max_threads is 1 */
		{INT(max_threads), 0, BP_EINVAL, "max_threads", "at least 1"},
		{INT(max_threads), BP_MAX_THREADS + 1, BP_ELIMIT, "max_threads", "at most 256"},
		{REAL(warmup_epochs), -0.5, BP_EINVAL, "warmup_epochs", "between 0 and 1"},
		{REAL(warmup_epochs), 1.5, BP_EINVAL, "warmup_epochs", "not 1.5"}, /* of 1 epoch */
		{REAL(warmup_epochs), NAN, BP_EINVAL, "warmup_epochs", "nan"},
		{REAL(clip_grad_norm), -1, BP_EINVAL, "clip_grad_norm", "not -1"},
		{REAL(clip_grad_norm), INFINITY, BP_EINVAL, "clip_grad_norm", "inf"},
		{REAL(clip_grad_norm), NAN, BP_EINVAL, "clip_grad_norm", "nan"},
		{REAL(clip_grad_value), -1e-9, BP_EINVAL, "clip_grad_value", "not -1e-09"},
		{REAL(clip_grad_value), NAN, BP_EINVAL, "clip_grad_value", "nan"},
	};
	struct training t;
	training_init(&t, net, 20);
	struct bp_train_params good = t.params;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char *at = (char *)&t.params + bad[i].at;
		t.params = good;
		if (bad[i].is_int)
			*(int *)at = (int)bad[i].v;
		else
			*(double *)at = bad[i].v;
		refused(&t, bad[i].status, bad[i].field, bad[i].piece, true);
	}
	t.params = good;
	training_start(&t); /* and the parameters as they were are not */
	training_done(&t);
}
END_TEST

START_TEST(an_argument_of_an_optimizer_or_a_schedule_is_refused_by_name)
{
	static const struct {
		enum bp_item_kind kind;
		const char *type, *arg;
		double v;
		const char *piece;
	} bad[] = {
		{BP_OPTIMIZER, "SGD", "lr", 0, "lr must be between"},
		{BP_OPTIMIZER, "SGD", "lr", -0.1, "not -0.1"},
		{BP_OPTIMIZER, "SGD", "lr", INFINITY, "finite"},
		{BP_OPTIMIZER, "SGD", "momentum", 1.5, "between 0 and 1"},
		{BP_OPTIMIZER, "SGD", "weight_decay", -1, "weight_decay"},
		{BP_OPTIMIZER, "SGD", "nesterov", 1, "needs a momentum"},
		{BP_OPTIMIZER, "SGD", "nesterov", 2, "between 0 and 1"},
		{BP_OPTIMIZER, "Adam", "betas", 1, "betas must be between"},
		{BP_OPTIMIZER, "Adam", "eps", NAN, "finite"},
		{BP_OPTIMIZER, "AdamW", "weight_decay", 1e9, "weight_decay"},
		{BP_SCHEDULER, "StepLR", "step_size", 0, "step_size must be between"},
		{BP_SCHEDULER, "StepLR", "step_size", 1.5, "whole"},
		{BP_SCHEDULER, "StepLR", "step_size", -INFINITY, "whole"},
	};
	struct training t;
	training_init(&t, flat, 20);
	struct bp_train_params good = t.params;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		t.params = good;
		training_item(bad[i].kind, bad[i].type, (struct training_arg[]){{bad[i].arg, bad[i].v}, {0}},
			bad[i].kind == BP_OPTIMIZER ? &t.params.optimizer : &t.params.scheduler);
		refused(&t, BP_EINVAL, bad[i].arg, bad[i].piece, true);
	}
	struct bp_item *const items[] = {&t.params.loss, &t.params.optimizer, &t.params.scheduler};
	for (int i = 0; i < 6; i++) {
		t.params = good;
		items[i / 2]->type = i % 2 ? -1 : 1000;
		refused(&t, BP_EINVAL, "type", "there is no item of type", true);
	}
	training_done(&t);
}
END_TEST

START_TEST(a_net_without_parameters_or_with_a_map_for_classes_is_refused)
{
	struct training t;
	training_init(&t, "4 | Tanh", 20);
	refused(&t, BP_EINVAL, "layers", "nothing to train", true);
	training_done(&t);
	training_init(&t, "4 | Linear out_features=4 @frozen", 20);
	refused(&t, BP_EINVAL, "layers", "every layer is frozen", true);
	training_done(&t);
	training_init(&t, "2x3x3 | Conv2d out_channels=4 kernel_size=2", 20);
	refused(&t, BP_EINVAL, "loss", "the net's output is 4x2x2", true);
	training_done(&t);
}
END_TEST

static void other_shape(struct bp_data *d)
{
	d->shape.dim[1] = 4;
}
static void fewer_dims(struct bp_data *d)
{
	d->shape = (struct bp_shape){1, {18}};
}
static void other_dtype(struct bp_data *d)
{
	d->dtype = (enum bp_dtype)7;
}
static void no_samples(struct bp_data *d)
{
	d->count = 0;
}
static void negative_count(struct bp_data *d)
{
	d->count = -1;
}
static void too_many(struct bp_data *d)
{
	d->count = (int64_t)UINT32_MAX + 1;
}
static void null_samples(struct bp_data *d)
{
	d->samples = NULL;
}
static void no_labels(struct bp_data *d)
{
	d->labels = NULL;
}
static void high_label(struct bp_data *d)
{
	static int32_t labels[32];
	labels[3] = 4;
	d->labels = labels;
}
static void low_label(struct bp_data *d)
{
	static int32_t labels[32];
	labels[2] = -1;
	d->labels = labels;
}
static void nan_mean(struct bp_data *d)
{
	static const float mean[] = {0, NAN};
	d->mean = mean;
}
static void zero_std(struct bp_data *d)
{
	static const float std[] = {1, 0};
	d->std = std;
}
static void infinite_std(struct bp_data *d)
{
	static const float std[] = {INFINITY, 1};
	d->std = std;
}
static void no_targets(struct bp_data *d)
{
	d->targets = NULL;
}
static void other_targets(struct bp_data *d)
{
	d->ntargets = 3;
}
static void nan_target(struct bp_data *d)
{
	((float *)d->targets)[5] = NAN;
}

static const struct {
	void (*change)(struct bp_data *d);
	const char *loss;
	enum bp_status status;
	const char *field, *piece;
} bad_data[] = {
	{other_shape, "CrossEntropyLoss", BP_EINVAL, "shape", "samples are 2x4x3, and the net's input is 2x3x3"},
	{fewer_dims, "CrossEntropyLoss", BP_EINVAL, "shape", "samples are 18"},
	{other_dtype, "CrossEntropyLoss", BP_EINVAL, "dtype", "not known"},
	{no_samples, "CrossEntropyLoss", BP_EINVAL, "count", "no samples"},
	{negative_count, "CrossEntropyLoss", BP_EINVAL, "count", "no samples"},
	{too_many, "CrossEntropyLoss", BP_ELIMIT, "count", "4294967295"},
	{null_samples, "CrossEntropyLoss", BP_EINVAL, "count", "no samples"},
	{no_labels, "CrossEntropyLoss", BP_EINVAL, "labels", "needs a label"},
	{high_label, "CrossEntropyLoss", BP_EINVAL, "labels", "sample 3 has label 4, and labels go from 0 to 3"},
	{low_label, "CrossEntropyLoss", BP_EINVAL, "labels", "sample 2 has label -1"},
	{nan_mean, "CrossEntropyLoss", BP_EINVAL, "mean", "channel 1"},
	{zero_std, "CrossEntropyLoss", BP_EINVAL, "std", "channel 1"},
	{infinite_std, "CrossEntropyLoss", BP_EINVAL, "std", "channel 0"},
	{no_targets, "MSELoss", BP_EINVAL, "targets", "needs target values"},
	{other_targets, "MSELoss", BP_EINVAL, "targets", "has 3 target values, and the net has 4 outputs"},
	{nan_target, "MSELoss", BP_EINVAL, "targets", "sample 1 has a target that is not finite"},
};

/* _i: training data or validation data. */
START_TEST(data_that_does_not_fit_is_refused)
{
	for (size_t i = 0; i < sizeof(bad_data) / sizeof(bad_data[0]); i++) {
		struct training t;
		training_init(&t, net, 20);
		training_item(BP_LOSS, bad_data[i].loss, NULL, &t.params.loss);
		struct bp_data *d = _i ? &t.val : &t.train, good = *d;
		bad_data[i].change(d);
		refused(&t, bad_data[i].status, bad_data[i].field, bad_data[i].piece, false);
		*d = good;
		training_done(&t);
	}
}
END_TEST

START_TEST(a_view_is_checked_where_it_points)
{
	static const uint32_t index[] = {19, 4, 0, 4};
	struct training t;
	training_init(&t, net, 20);
	t.train.index = index;
	t.train.count = 4;
	((int32_t *)t.train.labels)[5] = 99; /* no entry points there */
	training_start(&t);
	bp_trainer_free(t.trainer);
	t.trainer = NULL;
	((int32_t *)t.train.labels)[4] = 99;
	refused(&t, BP_EINVAL, "labels", "sample 4 has label 99", false);
	training_done(&t);
}
END_TEST

START_TEST(a_step_outside_the_samples_is_refused)
{
	static const struct {
		int64_t first;
		int n;
		const char *field, *piece;
	} bad[] = {
		{0, 0, "n", "1 to 8 samples, not 0"},
		{0, -1, "n", "not -1"},
		{0, 9, "n", "not 9"},
		{-1, 1, "first", "from -1 on"},
		{13, 8, "first", "8 samples from 13 on were asked for, and there are 20"},
		{INT64_MAX, 8, "first", "there are 20"},
	};
	struct training t;
	struct bp_error err;
	double loss = 0.25;
	training_init(&t, flat, 20);
	training_start(&t);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(bp_trainer_step(t.trainer, bad[i].first, bad[i].n, &loss, &err), BP_EINVAL);
		ck_assert_str_eq(err.field, bad[i].field);
		ck_assert_msg(strstr(err.message, bad[i].piece), "\"%s\": \"%s\"", err.message, bad[i].piece);
	}
	ck_assert_double_eq(loss, 0.25);
	ck_assert_int_eq(bp_trainer_step(t.trainer, 12, 8, NULL, NULL), BP_OK);
	training_done(&t);
}
END_TEST

TEST_SUITE(train_params, 30)
{
	tcase_add_test(tc, a_number_out_of_range_is_refused_by_name);
	tcase_add_test(tc, an_argument_of_an_optimizer_or_a_schedule_is_refused_by_name);
	tcase_add_test(tc, a_net_without_parameters_or_with_a_map_for_classes_is_refused);
	tcase_add_loop_test(tc, data_that_does_not_fit_is_refused, 0, 2);
	tcase_add_test(tc, a_view_is_checked_where_it_points);
	tcase_add_test(tc, a_step_outside_the_samples_is_refused);
}
