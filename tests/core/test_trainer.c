/*
 * test_trainer.c - a training as its caller sees it: memory that is planned to the byte and never grows, short batches,
 * numbers that are not finite, the caller's floating-point mode, and predictions in the order asked for.
 */
#include <check.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "allocation.h"
#include "base/fpu.h"
#include "net/net.h"
#include "runner.h"
#include "training.h"

static const char cnn[] = "3x8x8 | Conv2d out_channels=8 kernel_size=3 padding=1 bias=false | BatchNorm2d | ReLU"
			  " | MaxPool2d kernel_size=2 | Dropout p=0.2 | Conv2d out_channels=6 kernel_size=3 groups=2"
			  " | Flatten | Linear out_features=4";
static const char mlp[] = "5 | Linear out_features=7 | Tanh | Linear out_features=4";

static const char *const augments[] = {
	"GaussianNoise clip=false", /* for the mlp; then what keeps an image aside, and what does not */
	"RandomHorizontalFlip | RandomErasing | RandomCrop padding=[1]", "RandomCrop padding=[2] | RandomVerticalFlip"};

static void threads_set(struct training *t, int threads, int max)
{
	t->params.threads = threads;
	t->params.max_threads = max;
}

/* ---- memory ---- */

START_TEST(the_memory_said_is_the_memory_taken)
{
	static const char *const optimizers[] = {"SGD", "Adam"};
	for (int i = 0; i < 16; i++) {
		struct training t;
		struct bp_memory m;
		training_init(&t, i & 1 ? cnn : mlp, 50);
		training_item(BP_OPTIMIZER, optimizers[i >> 1 & 1], NULL, &t.params.optimizer);
		t.params.batch_size = 8 + i;
		t.params.shuffle = i & 4;
		threads_set(&t, 1, 1 + i % 3);
		if (i & 8)
			training_augment(&t, augments[i & 1 ? 1 + (i >> 1 & 1) : 0]);
		if (i & 4)
			training_item(BP_LOSS, "MSELoss", NULL, &t.params.loss);
		ck_assert_int_eq(bp_net_memory(t.net, &t.params, &m, NULL), BP_OK);
		ck_assert_int_eq(m.total, m.parameters + m.gradients + m.optimizer_state + m.activations + m.workspace);
		ck_assert_int_ge(m.parameters, bp_net_parameters(t.net) * (int64_t)sizeof(bp_real));
		ck_assert_int_eq(m.gradients, t.net->nweights * (int64_t)sizeof(bp_real));
		ck_assert_int_eq(m.optimizer_state, (i >> 1 & 1) * 2 * m.gradients);
		struct allocation before = allocation_now();
		training_start(&t);
		int64_t taken = allocation_now().block_bytes - before.block_bytes,
			order = t.params.shuffle ? 50 * 4 : 0;
		ck_assert_msg(taken == m.total - m.parameters + order, "case %d: %lld bytes taken, %lld said", i,
			(long long)taken, (long long)(m.total - m.parameters + order));
		/* What is no block, the descriptions of layers, stays small. */
		ck_assert_int_lt(allocation_now().record_bytes - before.record_bytes, 64 << 10);
		training_done(&t);
	}
}
END_TEST

static enum bp_answer count_and_change_threads(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	*(int *)user += ev->kind == BP_EVENT_BATCH;
	bp_trainer_set_threads(tr, 1 + (int)(ev->step % 3));
	return BP_CONTINUE;
}

/* The first batch included: bp_trainer_new took all. Check's own assertions allocate, so they come after the counting.
 */
START_TEST(no_step_epoch_or_prediction_allocates)
{
	struct training t;
	int batches = 0;
	struct bp_predictor *p;
	bp_real out[44 * 4];
	struct bp_evaluation of_all;
	training_init(&t, _i ? cnn : mlp, 44);
	training_augment(&t, augments[_i]);
	t.params.epochs = 3;
	t.params.clip_grad_norm = 1;
	threads_set(&t, 2, 3);
	training_start(&t);
	struct allocation before = allocation_now();
	enum bp_status ran = bp_trainer_run(t.trainer, count_and_change_threads, &batches, NULL, NULL);
	enum bp_status stepped = bp_trainer_step(t.trainer, 3, 5, NULL, NULL);
	int64_t calls = allocation_now().calls - before.calls;
	ck_assert_int_eq(ran, BP_OK);
	ck_assert_int_eq(stepped, BP_OK);
	ck_assert_int_eq(batches, 18);
	ck_assert_int_eq(calls, 0);

	ck_assert_int_eq(bp_predictor_new(t.net, 7, 2, &p, NULL), BP_OK);
	before = allocation_now();
	ran = bp_predictor_run(p, &t.train, 0, 44, out, NULL);
	stepped = bp_predictor_evaluate(p, &t.train, &t.params.loss, &of_all, NULL);
	calls = allocation_now().calls - before.calls;
	ck_assert_int_eq(ran, BP_OK);
	ck_assert_int_eq(stepped, BP_OK);
	ck_assert_int_eq(calls, 0);
	bp_predictor_free(p);
	training_done(&t);
}
END_TEST

/* ---- batches ---- */

enum { GRADIENTS = 512 };

/* Gradients of all trainable tensors by one step on [first, first + n), whose loss is returned. */
static double step_gradients(struct training *t, int64_t first, int n, bp_real *ret)
{
	double loss;
	ck_assert_int_eq(bp_trainer_step(t->trainer, first, n, &loss, NULL), BP_OK);
	for (int i = 0, at = 0; i < bp_net_tensors(t->net); i++) {
		ck_assert_int_le(at + t->net->params[i].size, GRADIENTS);
		if (t->net->params[i].trainable)
			bp_trainer_gradient_get(t->trainer, i, ret + at);
		at += (int)t->net->params[i].size;
	}
	return loss;
}

static void start_unmoving(struct training *t, const char *net, const char *loss, int batch)
{
	training_init(t, net, 20);
	t->params.batch_size = batch;
	t->params.keep_gradients = true;
	training_item(BP_LOSS, loss, NULL, &t->params.loss);
	training_item(BP_OPTIMIZER, "SGD", (struct training_arg[]){{"lr", 1e-20}, {0}}, &t->params.optimizer);
	training_start(t);
}

/* The mean over 12 samples is made of the means over 8 and over 4, by their sizes: PyTorch's reduction "mean". */
START_TEST(a_short_batch_is_a_mean_over_its_own_samples)
{
	static const char net[] =
		"2x4x4 | Conv2d out_channels=3 kernel_size=3 | Tanh | Flatten | Linear out_features=4";
	const char *loss = _i ? "MSELoss" : "CrossEntropyLoss";
	struct training t, whole, exact;
	static bp_real of8[GRADIENTS], of4[GRADIENTS], of12[GRADIENTS], alone[GRADIENTS];
	start_unmoving(&t, net, loss, 8);
	start_unmoving(&whole, net, loss, 12);
	start_unmoving(&exact, net, loss, 4);
	double loss8 = step_gradients(&t, 0, 8, of8), loss4 = step_gradients(&t, 8, 4, of4);
	double loss12 = step_gradients(&whole, 0, 12, of12);
	double eps = sizeof(bp_real) == 8 ? 1e-14 : 1e-6;
	ck_assert_double_eq_tol(loss12, (8 * loss8 + 4 * loss4) / 12, eps);
	for (int i = 0; i < GRADIENTS; i++)
		ck_assert_double_eq_tol(of12[i], (8 * (double)of8[i] + 4 * (double)of4[i]) / 12, eps);
	/* And room for more samples changes no bit. */
	ck_assert_double_eq(step_gradients(&exact, 8, 4, alone), loss4);
	ck_assert_mem_eq(alone, of4, sizeof(of4));
	training_done(&t);
	training_done(&whole);
	training_done(&exact);
}
END_TEST

START_TEST(an_epoch_ends_with_a_short_batch_that_counts_by_its_size)
{
	struct training t, by_hand;
	struct report r = {0};
	double sum = 0, loss;
	training_init(&t, cnn, 20);
	training_init(&by_hand, cnn, 20);
	t.params.shuffle = by_hand.params.shuffle = false;
	training_start(&t);
	training_start(&by_hand);
	training_run(&t, &r, true);
	ck_assert_int_eq(r.batches, 3);
	for (int first = 0; first < 20; first += 8) {
		int n = first + 8 <= 20 ? 8 : 20 - first;
		ck_assert_int_eq(bp_trainer_step(by_hand.trainer, first, n, &loss, NULL), BP_OK);
		sum += loss * n;
	}
	nets_equal(t.net, by_hand.net, "by hand");
	ck_assert_double_eq_tol(r.epoch[0].loss, sum / 20, 1e-12);
	ck_assert_double_eq(r.batch_loss, loss);
	training_done(&t);
	training_done(&by_hand);
}
END_TEST

enum { MOVED_CASES = 6, WAYS = 3 };
#define WIDE_NET "301 | Linear out_features=203 | ReLU | Linear out_features=205 | ReLU | Linear out_features=4"

/* The linear layers are large enough that weights move in backward, unless gradients are kept, or clipped: a norm that
 * none reaches clips nothing, but has to be known before any weight moves. A layer's dx needs its old weights. A batch
 * is summed in one sweep or two; a convolution whose maps are pixels is summed as Linear is, but its weights lie row by
 * row, and these may be too wide to be kept anywhere but in memory. */
START_TEST(weights_that_move_in_backward_are_those_that_move_after_it)
{
	static const struct {
		const char *net, *optimizer;
		int batch;
	} cases[MOVED_CASES] = {
		{WIDE_NET, "SGD", 128},
		{WIDE_NET, "Adam", 128},
		{WIDE_NET, "RMSprop", 280},
		{"20 | Linear out_features=65 | ReLU | Linear out_features=23000", "SGD", 16},
		{"20 | Linear out_features=65 | Reshape shape=[65,1,1] | Conv2d out_channels=23000 kernel_size=1 | "
		 "Flatten",
			"SGD", 16},
		{"20 | Linear out_features=65 | Reshape shape=[65,1,1] | Conv2d out_channels=1500 kernel_size=1 | "
		 "Flatten",
			"Adam", 16},
	};
	struct training t[WAYS];
	struct report r[WAYS] = {{0}};
	for (int i = 0; i < WAYS; i++) {
		training_init(&t[i], cases[_i].net, 300);
		training_item(BP_OPTIMIZER, cases[_i].optimizer, NULL, &t[i].params.optimizer);
		t[i].params.batch_size = cases[_i].batch; /* and what is left */
		t[i].params.epochs = 2;
		t[i].params.keep_gradients = i == 1;
		t[i].params.clip_grad_norm = i == 2 ? 1e30 : 0;
		threads_set(&t[i], 1 + (i > 0), 2);
		training_start(&t[i]);
		training_run(&t[i], &r[i], true);
	}
	for (int i = 1; i < WAYS; i++) {
		nets_equal(t[0].net, t[i].net, cases[_i].optimizer);
		for (int e = 0; e < 2; e++) {
			ck_assert_double_eq_tol(
				r[0].epoch[e].grad_norm, r[i].epoch[e].grad_norm, 1e-6 * r[0].epoch[e].grad_norm);
			for (int l = 0; l < TRAINING_LAYERS; l++)
				ck_assert(r[0].layers[e][l].update_ratio == r[i].layers[e][l].update_ratio &&
					  r[0].layers[e][l].weight_norm == r[i].layers[e][l].weight_norm);
		}
	}
	for (int i = 0; i < WAYS; i++)
		training_done(&t[i]);
}
END_TEST

/* ---- numbers that are not finite ---- */

START_TEST(a_sample_that_is_no_number_neither_ends_nor_hangs_a_training)
{
	static const float poisons[] = {NAN, INFINITY, -INFINITY, FLT_MAX};
	struct training t;
	struct report r = {0};
	training_init(&t, mlp, 20);
	t.params.epochs = 3;
	t.params.clip_grad_norm = 0.5 * (_i & 1);
	training_item(BP_OPTIMIZER, _i & 1 ? "Adam" : "SGD", NULL, &t.params.optimizer);
	((float *)t.train.samples)[7] = poisons[_i / 2];
	training_start(&t);
	training_run(&t, &r, true);
	ck_assert_int_eq(r.epochs, 3);
	ck_assert_int_eq(r.batches, 9);
	if (isfinite(poisons[_i / 2])) /* tanh saturates, and all goes on with numbers */
		return training_done(&t);
	if (isnan(poisons[_i / 2])) {
		ck_assert(isnan(r.epoch[0].loss) && isnan(r.epoch[2].loss) && isnan(r.epoch[2].val_loss));
		ck_assert(isnan(r.epoch[0].grad_norm));
		ck_assert_double_eq(r.epoch[2].accuracy, 0);
		for (int e = 0; e < 3; e++)
			for (int l = 0; l < r.epoch[e].nstats; l++)
				ck_assert_int_gt(r.layers[e][l].nonfinite, 0);
		/* all elements of all steps, once the weights are gone */
		ck_assert_int_eq(r.layers[2][0].nonfinite, 3 * (5 * 7 + 7));
		ck_assert_int_eq(r.layers[2][1].nonfinite, 3 * (7 * 4 + 4));
	} else {
		ck_assert_int_gt(r.layers[0][0].nonfinite, 0);
	}
	training_done(&t);
}
END_TEST

START_TEST(weights_that_run_away_are_counted_and_told)
{
	struct training t;
	struct report r = {0};
	training_init(&t, "5 | Linear out_features=4", 20);
	t.params.epochs = 8;
	training_item(BP_LOSS, "MSELoss", NULL, &t.params.loss);
	training_item(BP_OPTIMIZER, "SGD", (struct training_arg[]){{"lr", 1e4}, {0}}, &t.params.optimizer);
	for (int i = 0; i < 100; i++)
		((float *)t.train.samples)[i] *= sizeof(bp_real) == 8 ? 1e10f : 50;
	training_start(&t);
	training_run(&t, &r, true);
	ck_assert(isfinite(r.epoch[0].loss));
	ck_assert_int_eq(r.layers[0][0].nonfinite, 0);
	ck_assert(!isfinite(r.epoch[7].loss));
	ck_assert_int_eq(r.layers[7][0].nonfinite, 3 * (5 * 4 + 4));
	training_done(&t);
}
END_TEST

/* ---- the caller's floating-point mode ---- */

/* Whether a denormal number is taken for zero on this thread. */
static bool flushes(void)
{
	volatile float tiny = FLT_MIN, fourth = tiny / 4;
	return !(fourth > 0);
}

static enum bp_answer mode_inside(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	(void)tr;
	(void)ev;
	*(bool *)user |= flushes();
	return BP_CONTINUE;
}

/* _i: whether the caller itself flushes denormals. */
START_TEST(the_callers_floating_point_mode_is_its_own_again)
{
	struct training t;
	struct bp_predictor *p;
	bp_real out[20 * 4];
	bool inside = false;
	struct bp_evaluation of_all;
	uint64_t mode = _i ? bp_fpu_enter(1) : 0;
	training_init(&t, cnn, 20);
	threads_set(&t, 2, 2);
	training_start(&t);
	ck_assert_int_eq(flushes(), _i);
	ck_assert_int_eq(bp_trainer_run(t.trainer, mode_inside, &inside, NULL, NULL), BP_OK);
	ck_assert_int_eq(flushes(), _i);
	ck_assert_int_eq(bp_trainer_step(t.trainer, 0, 8, NULL, NULL), BP_OK);
	ck_assert_int_eq(flushes(), _i);
	ck_assert_int_eq(bp_predictor_new(t.net, 8, 2, &p, NULL), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, 0, 20, out, NULL), BP_OK);
	ck_assert_int_eq(flushes(), _i);
	ck_assert_int_eq(bp_predictor_evaluate(p, &t.train, &t.params.loss, &of_all, NULL), BP_OK);
	ck_assert_int_eq(flushes(), _i);
#if defined __x86_64__ || defined __aarch64__
	ck_assert(inside);
#endif
	if (_i)
		bp_fpu_leave(mode);
	bp_predictor_free(p);
	training_done(&t);
}
END_TEST

/* ---- predictions ---- */

START_TEST(predictions_come_in_the_order_asked_for_whatever_the_batch)
{
	static const uint32_t index[] = {17, 3, 3, 0, 19, 8, 11, 1, 16, 2, 5};
	enum { N = 11, OUT = 2 * 3 * 3 };
	struct training t;
	static bp_real one[20][OUT], some[N * OUT];
	struct bp_predictor *p;
	training_init(&t,
		"3x4x4 | Conv2d out_channels=5 kernel_size=2 | BatchNorm2d | ReLU | Conv2d out_channels=2 "
		"kernel_size=1",
		20);
	ck_assert_int_eq(bp_predictor_new(t.net, 1, 1, &p, NULL), BP_OK);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(bp_predictor_run(p, &t.train, i, 1, one[i], NULL), BP_OK);
	bp_predictor_free(p);
	ck_assert_mem_ne(one[0], one[1], sizeof(one[0]));
	t.train.index = index;
	t.train.count = N;
	for (int max_batch = 1; max_batch <= N + 1; max_batch++) {
		ck_assert_int_eq(bp_predictor_new(t.net, max_batch, 1 + max_batch % 3, &p, NULL), BP_OK);
		for (int n = 0; n <= N; n++) {
			memset(some, 0, sizeof(some));
			ck_assert_int_eq(bp_predictor_run(p, &t.train, N - n, n, some, NULL), BP_OK);
			for (int i = 0; i < n; i++)
				ck_assert_mem_eq(some + i * OUT, one[index[N - n + i]], sizeof(one[0]));
			for (int i = n * OUT; i < N * OUT; i++)
				ck_assert(some[i] == 0);
		}
		bp_predictor_free(p);
	}
	training_done(&t);
}
END_TEST

/* y[o] at each place is the sum over c of w[o][c] x[c], and channels come first: counted by hand. */
START_TEST(maps_leave_a_prediction_channels_first)
{
	struct training t;
	struct bp_predictor *p;
	bp_real weight[3 * 2], out[2 * 3 * 2 * 2];
	training_init(&t, "2x2x2 | Conv2d out_channels=3 kernel_size=1 bias=false", 2);
	for (int i = 0; i < 6; i++)
		weight[i] = (bp_real)(i - 2);
	bp_net_tensor_set(t.net, 0, weight);
	ck_assert_int_eq(bp_predictor_new(t.net, 8, 2, &p, NULL), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, 0, 2, out, NULL), BP_OK);
	const uint8_t *x = t.train.samples;
	for (int s = 0; s < 2; s++)
		for (int o = 0; o < 3; o++)
			for (int at = 0; at < 4; at++) {
				double y = 0;
				for (int c = 0; c < 2; c++)
					y += (double)weight[o * 2 + c] * x[(s * 2 + c) * 4 + at] / 255;
				ck_assert_double_eq_tol(out[(s * 3 + o) * 4 + at], y, 1e-6);
			}
	bp_predictor_free(p);
	training_done(&t);
}
END_TEST

START_TEST(a_prediction_that_makes_no_sense_is_refused)
{
	struct training t;
	struct bp_predictor *p = NULL;
	struct bp_error err;
	bp_real out[20 * 4] = {0};
	training_init(&t, mlp, 20);
	ck_assert_int_eq(bp_predictor_new(t.net, 0, 1, &p, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "max_batch");
	ck_assert_int_eq(bp_predictor_new(t.net, BP_MAX_BATCH + 1, 1, &p, &err), BP_EINVAL);
	ck_assert_int_eq(bp_predictor_new(t.net, 1, 0, &p, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "threads");
	ck_assert_int_eq(bp_predictor_new(t.net, 1, BP_MAX_THREADS + 1, &p, &err), BP_EINVAL);
	ck_assert_ptr_null(p);
	ck_assert_int_eq(bp_predictor_new(t.net, 4, 1, &p, &err), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, -1, 2, out, &err), BP_EINVAL);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, 0, -1, out, &err), BP_EINVAL);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, 0, 21, out, &err), BP_EINVAL);
	ck_assert_int_eq(bp_predictor_run(p, &t.train, INT64_MAX, 1, out, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "first");
	t.train.shape.dim[0] = 6;
	ck_assert_int_eq(bp_predictor_run(p, &t.train, 0, 1, out, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "shape");
	bp_predictor_free(p);
	training_done(&t);
}
END_TEST

TEST_SUITE(trainer, 60)
{
	tcase_add_test(tc, the_memory_said_is_the_memory_taken);
	tcase_add_loop_test(tc, no_step_epoch_or_prediction_allocates, 0, 3);
	tcase_add_loop_test(tc, a_short_batch_is_a_mean_over_its_own_samples, 0, 2);
	tcase_add_test(tc, an_epoch_ends_with_a_short_batch_that_counts_by_its_size);
	tcase_add_loop_test(tc, weights_that_move_in_backward_are_those_that_move_after_it, 0, MOVED_CASES);
	tcase_add_loop_test(tc, a_sample_that_is_no_number_neither_ends_nor_hangs_a_training, 0, 8);
	tcase_add_test(tc, weights_that_run_away_are_counted_and_told);
	tcase_add_loop_test(tc, the_callers_floating_point_mode_is_its_own_again, 0, 2);
	tcase_add_test(tc, predictions_come_in_the_order_asked_for_whatever_the_batch);
	tcase_add_test(tc, maps_leave_a_prediction_channels_first);
	tcase_add_test(tc, a_prediction_that_makes_no_sense_is_refused);
}
