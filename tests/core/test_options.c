/*
 * test_options.c - layers that learn at their own rate or not at all, gradients added up over batches, and averaged
 * weights: against PyTorch (tests/fixtures/make_options.py), and stopped and gone on with anywhere.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fixture.h"
#include "net/net.h"
#include "runner.h"
#include "train/trainer.h"
#include "training.h"
#include "spec_text.h"

enum { SAMPLES = 57, VALIDATION = 10, BATCH = 6, EPOCHS = 2, FEATURES = 6, CLASSES = 4, WEIGHTS = 125 };

static const struct {
	const char *name, *net, *optimizer;
	struct training_arg args[4];
	int accumulate;
	double decay, clip;
} cases[] = {
	{"plain", "6 | Linear out_features=8 | Tanh | Linear out_features=5 | Tanh | Linear out_features=4", "SGD",
		{{"lr", 0.1}, {"momentum", 0.9}, {"weight_decay", 0.01}}, 1, 0, 0},
	{"groups",
		"6 | Linear out_features=8 @lr_scale=0.5 @weight_decay=0.3 | Tanh | Linear out_features=5 "
		"@weight_decay=0 | Tanh | Linear out_features=4",
		"AdamW", {{"lr", 0.02}, {"weight_decay", 0.05}}, 1, 0, 0.4},
	{"frozen", "6 | Linear out_features=8 @frozen | Tanh | Linear out_features=5 | Tanh | Linear out_features=4",
		"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"weight_decay", 0.01}}, 1, 0, 0.4},
	{"frozen_amid",
		"6 | Linear out_features=8 | Tanh | Linear out_features=5 @frozen | Tanh | Linear out_features=4 "
		"@lr_scale=3",
		"AdamW", {{"lr", 0.02}, {"weight_decay", 0.05}}, 1, 0, 0},
	{"accumulated", "6 | Linear out_features=8 | Tanh | Linear out_features=5 | Tanh | Linear out_features=4",
		"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"weight_decay", 0.01}}, 3, 0, 0},
	{"averaged", "6 | Linear out_features=8 | Tanh | Linear out_features=5 | Tanh | Linear out_features=4", "AdamW",
		{{"lr", 0.02}, {"weight_decay", 0.05}}, 1, 0.9, 0},
	{"averaged_little", "6 | Linear out_features=8 | Tanh | Linear out_features=5 | Tanh | Linear out_features=4",
		"SGD", {{"lr", 0.1}, {"momentum", 0.9}, {"weight_decay", 0.01}}, 1, 0.3, 0},
	{"all",
		"6 | Linear out_features=8 @frozen | Tanh | Linear out_features=5 @lr_scale=0.25 @weight_decay=0.2 | "
		"Tanh | Linear out_features=4",
		"AdamW", {{"lr", 0.02}, {"weight_decay", 0.05}}, 4, 0.7, 0.3},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

struct subject {
	struct bp_net *net;
	float samples[SAMPLES + VALIDATION][FEATURES];
	int32_t labels[SAMPLES + VALIDATION];
	struct bp_data train, val;
	struct bp_train_params params;
	struct bp_trainer *trainer;
};

static void weights_draw(struct bp_net *net, struct fixture_draw *d)
{
	bp_real values[64];
	for (int t = 0; t < bp_net_tensors(net); t++) {
		struct bp_tensor_info info;
		bp_net_tensor_info(net, t, &info);
		int n = (int)(info.dim[0] * (info.ndim > 1 ? info.dim[1] : 1));
		for (int i = 0; i < n; i++)
			values[i] = (bp_real)(fixture_real(d) / (info.ndim > 1 ? sqrt((double)info.dim[1]) : 10));
		bp_net_tensor_set(net, t, values);
	}
}

static struct bp_data data_draw(struct subject *s, int first, int n, struct fixture_draw *d)
{
	for (int i = first; i < first + n; i++)
		for (int j = 0; j < FEATURES; j++)
			s->samples[i][j] = (float)fixture_real(d);
	for (int i = first; i < first + n; i++)
		s->labels[i] = (int32_t)(fixture_bits(d) % CLASSES);
	return (struct bp_data){.shape = {1, {FEATURES}},
		.dtype = BP_F32,
		.samples = s->samples[first],
		.labels = s->labels + first,
		.count = n};
}

static void start(struct subject *s, int i)
{
	struct fixture_draw d = {3};
	struct bp_error err;
	s->net = net_text(cases[i].net, 0);
	weights_draw(s->net, &d);
	s->train = data_draw(s, 0, SAMPLES, &d);
	s->val = data_draw(s, SAMPLES, VALIDATION, &d);
	bp_train_params_defaults(&s->params);
	s->params.epochs = EPOCHS;
	s->params.batch_size = BATCH;
	s->params.shuffle = false;
	s->params.max_threads = 2;
	s->params.accumulate_steps = cases[i].accumulate;
	s->params.ema_decay = cases[i].decay;
	s->params.clip_grad_norm = cases[i].clip;
	training_item(BP_OPTIMIZER, cases[i].optimizer, cases[i].args, &s->params.optimizer);
	enum bp_status st = bp_trainer_new(s->net, &s->params, &s->train, &s->val, &s->trainer, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
}

static void done(struct subject *s)
{
	bp_trainer_free(s->trainer);
	bp_net_free(s->net);
}

/* All tensors in a row, the averaged ones or the net's own. */
static void weights_of(const struct subject *s, bool averaged, bp_real ret[WEIGHTS])
{
	int at = 0;
	for (int t = 0; t < bp_net_tensors(s->net); t++) {
		if (averaged)
			bp_trainer_average_get(s->trainer, t, ret + at);
		else
			bp_net_tensor_get(s->net, t, ret + at);
		at += (int)s->net->params[t].size;
	}
	ck_assert_int_eq(at, WEIGHTS);
}

static void agree(const char *name, const char *what, const bp_real *got, const double *want, int n)
{
	double tolerance = sizeof(bp_real) == 8 ? 1e-8 : 5e-6;
	for (int i = 0; i < n; i++)
		ck_assert_msg(fabs((double)got[i] - want[i]) <= tolerance, "%s: %s %d is %.9g, not %.9g", name, what, i,
			(double)got[i], want[i]);
}

START_TEST(weights_averages_and_validation_are_those_of_pytorch)
{
	static struct subject s;
	struct report r = {0};
	double want[2 * WEIGHTS + 1];
	bp_real got[WEIGHTS];
	int n = WEIGHTS * (cases[_i].decay > 0 ? 2 : 1);
	fixture_text("tests/fixtures/options.txt", cases[_i].name, want, n + 1);
	start(&s, _i);
	ck_assert_int_eq(bp_trainer_run(s.trainer, report_keep, &r, NULL, NULL), BP_OK);
	weights_of(&s, false, got);
	agree(cases[_i].name, "weight", got, want, WEIGHTS);
	weights_of(&s, true, got);
	agree(cases[_i].name, "average", got, want + n - WEIGHTS, WEIGHTS);
	bp_real loss = (bp_real)r.epoch[EPOCHS - 1].val_loss;
	agree(cases[_i].name, "loss", &loss, want + n, 1);
	int batches = (SAMPLES + BATCH - 1) / BATCH, every = cases[_i].accumulate;
	ck_assert_int_eq(r.batches, EPOCHS * batches);
	ck_assert_int_eq(r.epoch[EPOCHS - 1].step, EPOCHS * ((batches + every - 1) / every));
	done(&s);
}
END_TEST

/* Stopped after each batch there is, also amid the batches of a step: another trainer goes on to the same bits. */
START_TEST(a_training_goes_on_from_any_batch)
{
	static struct subject whole, some, rest;
	char path[] = "/tmp/options-XXXXXX";
	struct report of_whole = {0};
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	start(&whole, CASES - 1);
	ck_assert_int_eq(bp_trainer_run(whole.trainer, report_keep, &of_whole, NULL, NULL), BP_OK);
	for (int64_t batches = 1; batches < of_whole.batches; batches++) {
		struct report of_some = {.stop_batches = batches, .save = path}, of_rest = {.change_threads = true};
		bp_real a[WEIGHTS], b[WEIGHTS];
		start(&some, CASES - 1);
		ck_assert_int_eq(bp_trainer_run(some.trainer, report_keep, &of_some, NULL, NULL), BP_OK);
		ck_assert_int_eq(of_some.batches, batches);
		start(&rest, CASES - 1);
		ck_assert_int_eq(bp_trainer_restore(rest.trainer, path, NULL), BP_OK);
		ck_assert_int_eq(bp_trainer_run(rest.trainer, report_keep, &of_rest, NULL, NULL), BP_OK);
		nets_equal(whole.net, rest.net, "gone on");
		weights_of(&whole, true, a);
		weights_of(&rest, true, b);
		ck_assert_mem_eq(a, b, sizeof(a));
		ck_assert_mem_eq(&of_whole.epoch[EPOCHS - 1], &of_rest.epoch[EPOCHS - 1], sizeof(of_rest.epoch[0]));
		ck_assert_mem_eq(of_whole.layers[1], of_rest.layers[1], sizeof(of_rest.layers[1]));
		done(&some);
		done(&rest);
	}
	unlink(path);
	done(&whole);
}
END_TEST

/* Weights for a net, averages if there are any; what a trainer goes on from stays the weights. */
START_TEST(a_checkpoint_gives_a_net_the_averaged_weights)
{
	static struct subject s;
	char path[] = "/tmp/options-XXXXXX";
	bp_real average[WEIGHTS], loaded[WEIGHTS];
	int i = 0, fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	while (strcmp(cases[i].name, "averaged") != 0)
		i++;
	start(&s, i);
	for (int step = 0; step < 3; step++) { /* none yet: the weights; one: the same again; two: an average */
		ck_assert_int_eq(bp_trainer_save(s.trainer, path, NULL), BP_OK);
		weights_of(&s, false, loaded);
		weights_of(&s, true, average);
		ck_assert_int_eq(memcmp(average, loaded, sizeof(loaded)) == 0, step < 2);
		ck_assert_int_eq(bp_net_load(s.net, path, NULL), BP_OK);
		weights_of(&s, false, loaded);
		ck_assert_mem_eq(average, loaded, sizeof(loaded));
		ck_assert_int_eq(bp_trainer_restore(s.trainer, path, NULL), BP_OK);
		ck_assert_int_eq(bp_trainer_step(s.trainer, 6 * step, BATCH, NULL, NULL), BP_OK);
	}
	unlink(path);
	done(&s);
}
END_TEST

START_TEST(a_checkpoint_of_other_options_is_refused_but_lends_its_weights)
{
	static struct subject one, other;
	char path[] = "/tmp/options-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	for (int i = 0; i < CASES; i++) {
		start(&one, i);
		ck_assert_int_eq(bp_trainer_save(one.trainer, path, NULL), BP_OK);
		for (int j = 0; j < CASES; j++) {
			start(&other, j);
			ck_assert_int_eq(bp_trainer_restore(other.trainer, path, NULL), i == j ? BP_OK : BP_EMISMATCH);
			ck_assert_int_eq(bp_net_load(other.net, path, NULL), BP_OK);
			done(&other);
		}
		done(&one);
	}
	unlink(path);
}
END_TEST

/* Accumulated and averaged, frozen amid: with a batch norm and dropout, on any number of threads. */
static const char deep[] = "3x16x16 | Conv2d out_channels=16 kernel_size=3 padding=1 | BatchNorm2d | ReLU"
			   " | Conv2d out_channels=16 kernel_size=3 padding=1 @frozen | BatchNorm2d @frozen | ReLU"
			   " | Dropout p=0.3 | Flatten | Linear out_features=40 @lr_scale=0.1 | Linear out_features=4";

static void start_deep(struct training *t, int threads)
{
	training_init(t, deep, 70);
	t->params.batch_size = 16;
	t->params.epochs = 2;
	t->params.threads = threads;
	t->params.max_threads = 4;
	t->params.accumulate_steps = 2;
	t->params.ema_decay = 0.9;
	t->params.keep_gradients = true;
	training_item(BP_OPTIMIZER, "Adam", NULL, &t->params.optimizer);
	training_start(t);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	struct training one, many;
	struct report of_one = {0}, of_many = {.change_threads = true};
	start_deep(&one, 1);
	start_deep(&many, _i);
	training_run(&one, &of_one, true);
	training_run(&many, &of_many, true);
	nets_equal(one.net, many.net, "threads");
	ck_assert_mem_eq(one.trainer->vectors.average, many.trainer->vectors.average,
		(size_t)one.net->nweights * sizeof(bp_real));
	ck_assert_mem_eq(of_one.epoch, of_many.epoch, sizeof(of_one.epoch));
	training_done(&one);
	training_done(&many);
}
END_TEST

START_TEST(a_frozen_layer_stays_while_its_running_statistics_move)
{
	struct training t;
	struct report r = {0};
	training_init(&t, deep, 70);
	struct bp_net *before = net_text(deep, 3);
	training_done(&t);
	start_deep(&t, 2);
	training_run(&t, &r, true);
	for (int i = 0; i < t.net->nparams; i++) {
		const struct bp_param *p = &t.net->params[i];
		const bp_real *a = p->trainable ? before->weights : before->buffers;
		const bp_real *b = p->trainable ? t.net->weights : t.net->buffers;
		bool same = memcmp(a + p->offset, b + p->offset, (size_t)p->size * sizeof(bp_real)) == 0;
		ck_assert_msg(same == (p->trainable && (p->layer == 3 || p->layer == 4)), "%s of layer %d", p->name,
			p->layer);
		bp_real g[16 * 16 * 9];
		if (p->size > 16 * 16 * 9 || !p->trainable)
			continue;
		bp_trainer_gradient_get(t.trainer, i, g);
		double sum = 0;
		for (int64_t j = 0; j < p->size; j++)
			sum += fabs((double)g[j]);
		ck_assert_int_eq(sum == 0, same);
	}
	static bp_real forgotten[16 * 16 * 9]; /* of who does not keep them, all are zeros */
	t.trainer->params.keep_gradients = false;
	forgotten[0] = 1;
	bp_trainer_gradient_get(t.trainer, 0, forgotten);
	for (int64_t j = 0; j < t.net->params[0].size; j++)
		ck_assert_double_eq((double)forgotten[j], 0);
	ck_assert_int_eq(r.epoch[0].nstats, 4);
	for (int i = 0; i < 4; i++)
		ck_assert(r.layers[0][i].layer != 3 && r.layers[0][i].layer != 4);
	bp_net_free(before);
	training_done(&t);
}
END_TEST

START_TEST(memory_counts_what_is_added_up_and_averaged)
{
	struct training t;
	struct bp_memory plain, more;
	training_init(&t, deep, 20);
	ck_assert_int_eq(bp_net_memory(t.net, &t.params, &plain, NULL), BP_OK);
	t.params.accumulate_steps = 5;
	t.params.ema_decay = 0.99;
	ck_assert_int_eq(bp_net_memory(t.net, &t.params, &more, NULL), BP_OK);
	int64_t vector = t.net->nweights * (int64_t)sizeof(bp_real);
	ck_assert_int_eq(more.gradients, plain.gradients + vector);
	ck_assert_int_eq(more.optimizer_state, plain.optimizer_state + vector);
	ck_assert_int_eq(more.total, plain.total + 2 * vector);
	training_done(&t);
}
END_TEST

TEST_SUITE(options, 60)
{
	tcase_add_loop_test(tc, weights_averages_and_validation_are_those_of_pytorch, 0, CASES);
	tcase_add_test(tc, a_training_goes_on_from_any_batch);
	tcase_add_test(tc, a_checkpoint_gives_a_net_the_averaged_weights);
	tcase_add_test(tc, a_checkpoint_of_other_options_is_refused_but_lends_its_weights);
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 2, 5);
	tcase_add_test(tc, a_frozen_layer_stays_while_its_running_statistics_move);
	tcase_add_test(tc, memory_counts_what_is_added_up_and_averaged);
}
