/*
 * test_layers.c - layers one by one: outputs, gradients and buffers against PyTorch (tests/fixtures/make_layers.py),
 * the semantics of special values, and the errors of shapes.
 */
#include "runner.h"

#include "base/shape.h"
#include "layer_case.h"
#include "net/exec.h"
#include "spec_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One case under test, with the fixture's numbers as they are read. */
struct trial {
	const struct layer_case *c;
	struct bp_net *net;
	struct bp_exec *ex;
	struct bp_ctx ctx;
	struct bp_pass pass;
	struct bp_shape in, out;
	bp_real *grads, *dx;
	int compared; /* arrays */
};

static void trial_init(struct trial *t, const struct layer_case *c)
{
	struct bp_error err;
	*t = (struct trial){.c = c, .net = net_text(c->net, 1), .ctx = {bp_kernels_choose(BP_ISA_ALL), 1}};
	t->pass = (struct bp_pass){.n = c->n, .training = strcmp(c->mode, "train") == 0};
	ck_assert_int_eq(bp_exec_new(t->net, t->ctx.k, c->n, 1, true, &t->ex, &err), BP_OK);
	t->in = bp_net_input_shape(t->net);
	t->out = bp_net_output_shape(t->net);
	t->grads = calloc((size_t)t->net->nweights + 1, sizeof(bp_real));
	t->dx = calloc((size_t)(bp_shape_size(&t->in) * c->n), sizeof(bp_real));
}

static void trial_done(struct trial *t)
{
	free(t->grads);
	free(t->dx);
	bp_exec_free(t->ex);
	bp_net_free(t->net);
}

/* Where element i of a batch in PyTorch's order (CHW) lies in ours (HWC). */
static int64_t batch_at(const struct bp_shape *s, int64_t i)
{
	int64_t size = bp_shape_size(s), pixels = bp_shape_h(s) * bp_shape_w(s), in = i % size;
	return i / size * size + in % pixels * bp_shape_c(s) + in / pixels;
}

static void compare(struct trial *t, const char *name, int64_t i, bp_real got, double want)
{
	ck_assert_msg(fabs((double)got - want) <= 1e-5 + 1e-4 * fabs(want), "%s: %s[%lld] is %.8g, in PyTorch %.8g",
		t->c->net, name, (long long)i, (double)got, want);
}

static void compare_batch(
	struct trial *t, const char *name, const bp_real *got, const struct bp_shape *s, const bp_real *want, int64_t n)
{
	ck_assert_int_eq(n, bp_shape_size(s) * t->c->n);
	for (int64_t i = 0; i < n; i++)
		compare(t, name, i, got[batch_at(s, i)], want[i]);
	t->compared++;
}

static int find_tensor(const struct trial *t, const char *name, int64_t n)
{
	struct bp_tensor_info info;
	for (int i = 0; i < bp_net_tensors(t->net); i++) {
		bp_net_tensor_info(t->net, i, &info);
		if (strcmp(info.name, name) == 0) {
			ck_assert_int_eq(t->net->params[i].size, n);
			return i;
		}
	}
	ck_abort_msg("%s: no tensor %s", t->c->net, name);
	return -1;
}

static void compare_tensor(struct trial *t, const char *name, const bp_real *flat, const bp_real *want, int64_t n)
{
	const struct bp_param *p = &t->net->params[find_tensor(t, name, n)];
	bp_real *got = calloc((size_t)n, sizeof(bp_real));
	bp_param_get(p, flat, got);
	for (int64_t i = 0; i < n; i++)
		compare(t, name, i, got[i], want[i]);
	free(got);
	t->compared++;
}

static void put_batch(bp_real *to, const struct bp_shape *s, const bp_real *from, int64_t n)
{
	for (int64_t i = 0; i < n; i++)
		to[batch_at(s, i)] = from[i];
}

/* Takes one array of the fixture: an input of the passes, or a result to compare. They come in the order of the passes.
 */
static void take(struct trial *t, const char *name, const bp_real *data, int64_t n)
{
	if (strcmp(name, "x") == 0) {
		put_batch(bp_exec_input(t->ex), &t->in, data, n);
	} else if (strcmp(name, "y") == 0) {
		compare_batch(t, name, bp_exec_forward(t->ex, &t->ctx, &t->pass), &t->out, data, n);
	} else if (strcmp(name, "dy") == 0) {
		put_batch(bp_exec_output_gradient(t->ex), &t->out, data, n);
		bp_exec_backward(t->ex, &t->ctx, &t->pass, t->grads, t->dx);
	} else if (strcmp(name, "dx") == 0) {
		compare_batch(t, name, t->dx, &t->in, data, n);
	} else if (strncmp(name, "grad.", 5) == 0) {
		compare_tensor(t, name + 5, t->grads, data, n);
	} else if (strncmp(name, "after.", 6) == 0) {
		compare_tensor(t, name + 6, t->net->buffers, data, n);
	} else {
		bp_net_tensor_set(t->net, find_tensor(t, name, n), data);
	}
}

static void take_line(struct trial *t, char *line)
{
	char *at = strchr(line, ' ');
	*at++ = '\0';
	int64_t n = strtoll(at, &at, 10);
	bp_real *data = calloc((size_t)n, sizeof(bp_real));
	for (int64_t i = 0; i < n; i++)
		data[i] = (bp_real)strtod(at, &at);
	ck_assert_str_eq(at, "\n");
	take(t, line, data, n);
	free(data);
}

/* What a case compares: y, and in training dx, each gradient and each buffer. */
static int results_of(const struct trial *t)
{
	return t->pass.training ? 2 + t->net->nparams : 1;
}

START_TEST(outputs_gradients_and_buffers_are_those_of_pytorch)
{
	struct layer_case cases[LAYER_CASES_MAX];
	bool seen[LAYER_CASES_MAX] = {false};
	int ncases = layer_cases(cases), number = -1;
	FILE *f = fopen("tests/fixtures/layers.txt", "r");
	struct trial t = {.c = NULL};
	char *line = NULL;
	size_t size = 0;
	ck_assert_ptr_nonnull(f);
	while (getline(&line, &size, f) > 0) {
		if (sscanf(line, "case %d", &number) != 1) {
			take_line(&t, line);
			continue;
		}
		if (t.c) {
			ck_assert_int_eq(t.compared, results_of(&t));
			trial_done(&t);
		}
		ck_assert(number >= 0 && number < ncases);
		seen[number] = true;
		trial_init(&t, &cases[number]);
	}
	ck_assert_int_eq(t.compared, results_of(&t));
	trial_done(&t);
	free(line);
	fclose(f);
	for (int i = 0; i < ncases; i++)
		ck_assert_msg(seen[i] == (strcmp(cases[i].mode, "own") != 0), "run make_layers.py: case %d", i);
}
END_TEST

START_TEST(every_registered_layer_is_compared_with_pytorch)
{
	struct layer_case cases[LAYER_CASES_MAX];
	int n = layer_cases(cases);
	for (int type = 0; type < bp_item_count(BP_LAYER); type++) {
		const char *name = bp_item_info(BP_LAYER, type)->name;
		bool found = false;
		for (int i = 0; i < n; i++)
			found |= strcmp(cases[i].mode, "own") != 0 && layer_case_has(&cases[i], name);
		ck_assert_msg(found, "%s has no case in tests/fixtures/layer_cases.txt", name);
	}
}
END_TEST

/* Runs a net on one sample in our order, with dy all 1; ret_dx may be NULL. */
static void run_once(const char *text, bool training, const bp_real *x, bp_real *ret_y, bp_real *ret_dx)
{
	struct layer_case c = {.n = 1, .mode = "train"};
	struct trial t;
	snprintf(c.net, sizeof(c.net), "%s", text);
	trial_init(&t, &c);
	t.pass.training = training;
	memcpy(bp_exec_input(t.ex), x, (size_t)bp_shape_size(&t.in) * sizeof(*x));
	size_t nout = (size_t)bp_shape_size(&t.out);
	memcpy(ret_y, bp_exec_forward(t.ex, &t.ctx, &t.pass), nout * sizeof(*x));
	for (size_t i = 0; i < nout; i++)
		bp_exec_output_gradient(t.ex)[i] = 1;
	if (ret_dx)
		bp_exec_backward(t.ex, &t.ctx, &t.pass, t.grads, ret_dx);
	trial_done(&t);
}

START_TEST(relu_lets_nan_through_and_has_no_gradient_at_zero)
{
	bp_real x[4] = {0, NAN, -1, 2}, y[4], dx[4];
	run_once("4 | ReLU", true, x, y, dx);
	ck_assert(y[0] == 0 && isnan(y[1]) && y[2] == 0 && y[3] == 2);
	ck_assert(dx[0] == 0 && dx[1] == 1 && dx[2] == 0 && dx[3] == 1);
}
END_TEST

START_TEST(max_pooling_takes_nan_and_sends_the_gradient_to_the_first_maximum_alone)
{
	bp_real nan[4] = {1, NAN, 3, 2}, ties[4] = {1, 3, 3, 3}, y[1], dx[4];
	run_once("1x2x2 | MaxPool2d kernel_size=2", true, nan, y, dx);
	ck_assert(isnan(y[0]) && dx[0] == 0 && dx[1] == 1 && dx[2] == 0 && dx[3] == 0);
	run_once("1x2x2 | MaxPool2d kernel_size=2", true, ties, y, dx);
	ck_assert(y[0] == 3 && dx[0] == 0 && dx[1] == 1 && dx[2] == 0 && dx[3] == 0);
}
END_TEST

START_TEST(batch_norm_of_a_single_row_gives_its_bias_and_keeps_the_running_variance)
{
	struct layer_case c = {1, "train", "3 | BatchNorm1d"};
	struct trial t;
	trial_init(&t, &c);
	for (int i = 0; i < 3; i++)
		bp_exec_input(t.ex)[i] = (bp_real)(i + 5);
	const bp_real *y = bp_exec_forward(t.ex, &t.ctx, &t.pass);
	for (int i = 0; i < 3; i++)
		ck_assert(fabs(y[i]) < 1e-4);
	for (int i = 0; i < 3; i++)
		bp_exec_output_gradient(t.ex)[i] = (bp_real)(i + 5);
	bp_exec_backward(t.ex, &t.ctx, &t.pass, t.grads, t.dx);
	for (int i = 0; i < 3; i++)
		ck_assert(fabs(t.dx[i]) < 1e-4);
	bp_real mean[3], var[3], batches[1];
	bp_net_tensor_get(t.net, find_tensor(&t, "layer0.running_mean", 3), mean);
	bp_net_tensor_get(t.net, find_tensor(&t, "layer0.running_var", 3), var);
	bp_net_tensor_get(t.net, find_tensor(&t, "layer0.num_batches_tracked", 1), batches);
	ck_assert(fabs(mean[2] - 0.7) < 1e-6 && var[0] == 1 && var[2] == 1 && batches[0] == 1);
	trial_done(&t);
}
END_TEST

/* Sums of x and x^2 in single precision would lose all of the variance here. */
START_TEST(batch_norm_is_stable_far_from_zero)
{
	enum { SIDE = 100 };
	static bp_real x[SIDE * SIDE], y[SIDE * SIDE];
	for (int i = 0; i < SIDE * SIDE; i++)
		x[i] = (bp_real)(4000 + i % 2);
	run_once("1x100x100 | BatchNorm2d", true, x, y, NULL);
	for (int i = 0; i < SIDE * SIDE; i++)
		ck_assert_msg(fabs(y[i] - (i % 2 ? 1 : -1)) < 2e-3, "y[%d] is %g", i, (double)y[i]);
}
END_TEST

START_TEST(dropout_drops_about_p_scales_the_rest_and_is_still_when_not_training)
{
	enum { N = 10000 };
	static bp_real x[N], y[N], dx[N];
	int kept = 0;
	for (int i = 0; i < N; i++)
		x[i] = 3;
	run_once("10000 | Dropout p=0.25", true, x, y, dx);
	for (int i = 0; i < N; i++) {
		ck_assert(y[i] == 0 || fabs(y[i] - 4) < 1e-5);
		ck_assert(fabs(dx[i] - y[i] / 3) < 1e-6);
		kept += y[i] != 0;
	}
	ck_assert_msg(kept > 7300 && kept < 7700, "%d", kept);
	run_once("10000 | Dropout p=0.25", false, x, y, NULL);
	ck_assert_mem_eq(x, y, sizeof(x));
	run_once("10000 | Dropout p=1", true, x, y, dx);
	for (int i = 0; i < N; i++)
		ck_assert(y[i] == 0 && dx[i] == 0);
}
END_TEST

START_TEST(dropout_draws_anew_for_each_layer_step_and_seed)
{
	struct layer_case c = {1, "train", "512 | Dropout | Dropout"};
	struct trial t;
	bp_real first[512];
	trial_init(&t, &c);
	for (int change = 0; change < 4; change++) {
		t.pass.step = change == 1;
		t.pass.seed = change == 2;
		for (int i = 0; i < 512; i++)
			bp_exec_input(t.ex)[i] = 1;
		const bp_real *y = bp_exec_forward(t.ex, &t.ctx, &t.pass);
		if (change == 0)
			memcpy(first, y, sizeof(first));
		ck_assert_int_eq(memcmp(first, y, sizeof(first)) == 0, change == 0 || change == 3);
	}
	/* Two layers of one half each: were their numbers the same, one half would stay and not a quarter. */
	int kept = 0;
	for (int i = 0; i < 512; i++)
		kept += first[i] != 0;
	ck_assert_msg(kept > 80 && kept < 180, "%d", kept);
	trial_done(&t);
}
END_TEST

TEST_SUITE(layers, 60)
{
	tcase_add_test(tc, outputs_gradients_and_buffers_are_those_of_pytorch);
	tcase_add_test(tc, every_registered_layer_is_compared_with_pytorch);
	tcase_add_test(tc, relu_lets_nan_through_and_has_no_gradient_at_zero);
	tcase_add_test(tc, max_pooling_takes_nan_and_sends_the_gradient_to_the_first_maximum_alone);
	tcase_add_test(tc, batch_norm_of_a_single_row_gives_its_bias_and_keeps_the_running_variance);
	tcase_add_test(tc, batch_norm_is_stable_far_from_zero);
	tcase_add_test(tc, dropout_drops_about_p_scales_the_rest_and_is_still_when_not_training);
	tcase_add_test(tc, dropout_draws_anew_for_each_layer_step_and_seed);
}
