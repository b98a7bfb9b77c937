/*
 * test_weights.c - means over samples whose classes have weights, yes and no as targets, and what is refused of both.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"
#include "training.h"

static const char net[] = "3 | Linear out_features=4", one[] = "3 | Linear out_features=1";
enum { CLASSES = 4 };

static void weigh(struct training *t, const char *loss, const double *weights, int n)
{
	training_item(BP_LOSS, loss, NULL, &t->params.loss);
	t->params.loss.args[0].n = n;
	t->params.loss.list = weights;
}

static struct bp_evaluation evaluate(const struct training *t, const struct bp_data *data, int max_batch)
{
	struct bp_predictor *p = NULL;
	struct bp_evaluation ret;
	struct bp_error err;
	ck_assert_int_eq(bp_predictor_new(t->net, max_batch, 1, &p, &err), BP_OK);
	enum bp_status st = bp_predictor_evaluate(p, data, &t->params.loss, &ret, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
	bp_predictor_free(p);
	return ret;
}

/* Sum of weight x loss over sum of weight, sample by sample. */
START_TEST(the_mean_over_batches_is_that_over_samples)
{
	static const double weights[CLASSES] = {0.5, 3, 0, 1.25};
	struct training t;
	double sum = 0, weight = 0;
	training_init(&t, net, 29);
	weigh(&t, "CrossEntropyLoss", weights, CLASSES);
	for (uint32_t i = 0; i < 29; i++) {
		struct bp_data sample = t.train;
		sample.index = &i;
		sample.count = 1;
		struct bp_evaluation e = evaluate(&t, &sample, 1);
		ck_assert_double_eq(e.weight, weights[t.train.labels[i]]);
		ck_assert(isnan(e.loss) == (e.weight == 0));
		sum += e.weight > 0 ? e.loss * e.weight : 0;
		weight += e.weight;
	}
	for (int batch = 3; batch <= 30; batch += 9) {
		struct bp_evaluation e = evaluate(&t, &t.train, batch);
		ck_assert_double_eq_tol(e.loss, sum / weight, 1e-6);
		ck_assert_double_eq_tol(e.weight, weight, 1e-12);
	}
	training_done(&t);
}
END_TEST

START_TEST(what_a_training_reports_is_weighted_too)
{
	static const double weights[CLASSES] = {0.5, 3, 0, 1.25};
	struct training t;
	struct report r = {0};
	training_init(&t, net, 29);
	weigh(&t, "CrossEntropyLoss", weights, CLASSES);
	training_item(BP_OPTIMIZER, "SGD", (struct training_arg[]){{"lr", 1e-12}, {0}}, &t.params.optimizer);
	training_start(&t);
	training_run(&t, &r, true);
	ck_assert_double_eq_tol(r.epoch[0].loss, evaluate(&t, &t.train, 29).loss, 1e-6);
	ck_assert_double_eq_tol(r.epoch[0].val_loss, evaluate(&t, &t.val, 29).loss, 1e-6);
	training_done(&t);
}
END_TEST

/* LogSoftmax and NLLLoss are CrossEntropyLoss in two parts. */
START_TEST(a_net_that_ends_with_log_softmax_learns_the_same_from_nll)
{
	static const double weights[CLASSES] = {0.5, 3, 0, 1.25};
	struct training whole, parts;
	double loss[2];
	bp_real gradient[2][12];
	training_init(&whole, net, 20);
	training_init(&parts, "3 | Linear out_features=4 | LogSoftmax", 20);
	weigh(&whole, "CrossEntropyLoss", weights, CLASSES);
	weigh(&parts, "NLLLoss", weights, CLASSES);
	whole.params.keep_gradients = parts.params.keep_gradients = true;
	training_start(&whole);
	training_start(&parts);
	ck_assert_int_eq(bp_trainer_step(whole.trainer, 2, 7, &loss[0], NULL), BP_OK);
	ck_assert_int_eq(bp_trainer_step(parts.trainer, 2, 7, &loss[1], NULL), BP_OK);
	bp_trainer_gradient_get(whole.trainer, 0, gradient[0]);
	bp_trainer_gradient_get(parts.trainer, 0, gradient[1]);
	ck_assert_double_eq_tol(loss[0], loss[1], 1e-6);
	for (int i = 0; i < 12; i++)
		ck_assert_double_eq_tol((double)gradient[0][i], (double)gradient[1][i], 1e-6);
	training_done(&whole);
	training_done(&parts);
}
END_TEST

START_TEST(balanced_weights_count_the_view)
{
	static const int32_t labels[] = {0, 1, 1, 1, 2, 2, 9};
	static const uint32_t index[] = {6, 5, 4, 3, 2, 1, 1};
	struct bp_data data = {.labels = labels, .count = 6};
	double w[4];
	bp_balanced_weights(&data, 4, w);
	ck_assert_double_eq_tol(w[0], 6.0 / 4, 1e-15);
	ck_assert_double_eq_tol(w[1], 6.0 / (4 * 3), 1e-15);
	ck_assert_double_eq_tol(w[2], 6.0 / (4 * 2), 1e-15);
	ck_assert_double_eq(w[3], 1);
	data.index = index;
	data.count = 7;
	bp_balanced_weights(&data, 4, w);
	ck_assert_double_eq(w[0], 1);
	ck_assert_double_eq_tol(w[1], 7.0 / (4 * 4), 1e-15);
	ck_assert_double_eq_tol(w[2], 7.0 / (4 * 2), 1e-15);
}
END_TEST

static void refused(struct training *t, const char *field, const char *piece)
{
	struct bp_error err;
	ck_assert_int_eq(bp_trainer_new(t->net, &t->params, &t->train, NULL, &t->trainer, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, field);
	ck_assert_msg(strstr(err.message, piece), "\"%s\": \"%s\"", err.message, piece);
}

START_TEST(weights_that_make_no_sense_are_refused)
{
	double weights[CLASSES] = {1, 1, 1, 1};
	struct training t;
	training_init(&t, net, 20);
	weigh(&t, "NLLLoss", weights, 3);
	refused(&t, "weight", "3 numbers, and the net has 4 outputs");
	weigh(&t, "CrossEntropyLoss", NULL, CLASSES);
	refused(&t, "weight", "not there");
	weigh(&t, "CrossEntropyLoss", weights, -1);
	refused(&t, "weight", "not there");
	weigh(&t, "CrossEntropyLoss", weights, CLASSES);
	weights[2] = -0.5;
	refused(&t, "weight", "number 2 is -0.5");
	weights[2] = NAN;
	refused(&t, "weight", "number 2 is");
	memset(weights, 0, sizeof(weights));
	refused(&t, "weight", "no class that counts");
	weights[3] = 1;
	for (int i = 0; i < 20; i++)
		((int32_t *)t.train.labels)[i] %= 3;
	refused(&t, "weight", "no sample is of a class");
	weigh(&t, "CrossEntropyLoss", NULL, 0);
	t.params.loss.args[0].v[0] = 0;
	refused(&t, "weight", "counted first");
	t.params.loss.args[0].v[0] = 1;
	refused(&t, "weight", "between 0 and 0");
	weigh(&t, "BCEWithLogitsLoss", weights, 2);
	refused(&t, "pos_weight", "2 numbers, and the net has 4 outputs");
	training_done(&t);
}
END_TEST

START_TEST(a_checkpoint_of_other_weights_is_refused)
{
	static const double weights[2][CLASSES] = {{1, 2, 3, 4}, {1, 2, 3, 5}};
	char path[] = "/tmp/weights-XXXXXX";
	struct training t;
	struct bp_error err;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	training_init(&t, net, 20);
	weigh(&t, "CrossEntropyLoss", weights[0], CLASSES);
	training_start(&t);
	ck_assert_int_eq(bp_trainer_save(t.trainer, path, NULL), BP_OK);
	bp_trainer_free(t.trainer);
	weigh(&t, "CrossEntropyLoss", weights[1], CLASSES);
	training_start(&t);
	enum bp_status other = bp_trainer_restore(t.trainer, path, &err);
	bp_trainer_free(t.trainer);
	weigh(&t, "CrossEntropyLoss", weights[0], CLASSES);
	training_start(&t);
	enum bp_status same = bp_trainer_restore(t.trainer, path, &err);
	unlink(path);
	ck_assert_int_eq(other, BP_EMISMATCH);
	ck_assert_int_eq(same, BP_OK);
	training_done(&t);
}
END_TEST

/* A net of one output, whose samples are labelled no and yes. */
static void yes_or_no(struct training *t, bool targets)
{
	training_init(t, one, 20);
	training_item(BP_LOSS, "BCEWithLogitsLoss", NULL, &t->params.loss);
	for (int i = 0; i < 20; i++) {
		int32_t label = ((int32_t *)t->train.labels)[i] %= 2;
		((float *)t->train.targets)[i] = (float)label;
	}
	if (!targets) {
		free((void *)t->train.targets);
		t->train.targets = NULL;
	}
	t->val.count = 0;
}

START_TEST(labels_stand_for_the_targets_of_one_output)
{
	struct training labelled, valued;
	yes_or_no(&labelled, false);
	yes_or_no(&valued, true);
	struct bp_evaluation a = evaluate(&labelled, &labelled.train, 7), b = evaluate(&valued, &valued.train, 7);
	ck_assert_double_eq(a.loss, b.loss);
	ck_assert_double_eq(a.accuracy, b.accuracy);
	ck_assert(a.accuracy > 0 && a.accuracy < 1);
	((int32_t *)labelled.train.labels)[3] = 2;
	refused(&labelled, "labels", "sample 3 has label 2, and labels go from 0 to 1");
	((float *)valued.train.targets)[3] = 1.5f;
	refused(&valued, "targets", "sample 3 has the target 1.5");
	((float *)valued.train.targets)[3] = -0.25f;
	refused(&valued, "targets", "needs targets between 0 and 1");
	training_done(&labelled);
	training_done(&valued);
}
END_TEST

/* A sample is right when all of its outputs are. */
START_TEST(several_yes_and_no_are_right_together)
{
	static const float samples[] = {1, -1, 2, 3, -2, -1}, targets[] = {1, 0, 1, 1, 1, 0};
	struct bp_data data = {
		.shape = {1, {2}}, .dtype = BP_F32, .samples = samples, .targets = targets, .ntargets = 2, .count = 3};
	struct training t;
	training_init(&t, "2 | LeakyReLU", 20);
	training_item(BP_LOSS, "BCEWithLogitsLoss", NULL, &t.params.loss);
	ck_assert_double_eq_tol(evaluate(&t, &data, 2).accuracy, 2.0 / 3, 1e-12);
	training_item(BP_LOSS, "MSELoss", NULL, &t.params.loss);
	ck_assert(isnan(evaluate(&t, &data, 2).accuracy));
	training_done(&t);
}
END_TEST

TEST_SUITE(weights, 30)
{
	tcase_add_test(tc, the_mean_over_batches_is_that_over_samples);
	tcase_add_test(tc, what_a_training_reports_is_weighted_too);
	tcase_add_test(tc, a_net_that_ends_with_log_softmax_learns_the_same_from_nll);
	tcase_add_test(tc, balanced_weights_count_the_view);
	tcase_add_test(tc, weights_that_make_no_sense_are_refused);
	tcase_add_test(tc, a_checkpoint_of_other_weights_is_refused);
	tcase_add_test(tc, labels_stand_for_the_targets_of_one_output);
	tcase_add_test(tc, several_yes_and_no_are_right_together);
}
