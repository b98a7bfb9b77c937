/*
 * test_activations.c - activations, softmax and the dropout of channels as layers: special values, what they cost in
 * memory, the same bits from any threads.
 */
#include "runner.h"

#include "base/shape.h"
#include "draw.h"
#include "layers/layer.h"
#include "net/exec.h"
#include "spec_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A net and its passes. */
struct run {
	struct bp_net *net;
	struct bp_exec *ex;
	struct bp_ctx ctx;
	struct bp_pass pass;
	size_t nin, nout;
	bp_real *y, *dx, *grads;
};

static void run_init(struct run *r, const char *text, int n)
{
	struct bp_error err;
	r->net = net_text(text, 3);
	r->ctx = (struct bp_ctx){bp_kernels_choose(BP_ISA_ALL), 1};
	r->pass = (struct bp_pass){.n = n, .training = true, .seed = 4, .step = 1};
	ck_assert_int_eq(bp_exec_new(r->net, r->ctx.k, n, 7, true, &r->ex, &err), BP_OK);
	struct bp_shape in = bp_net_input_shape(r->net), out = bp_net_output_shape(r->net);
	r->nin = (size_t)(bp_shape_size(&in) * n);
	r->nout = (size_t)(bp_shape_size(&out) * n);
	r->y = calloc(r->nout, sizeof(bp_real));
	r->dx = calloc(r->nin, sizeof(bp_real));
	r->grads = calloc((size_t)r->net->nweights + 1, sizeof(bp_real));
}

/* x NULL: random input and gradient; else the gradient is all 1. */
static void run_passes(struct run *r, const bp_real *x)
{
	struct draw d = {6};
	if (x)
		memcpy(bp_exec_input(r->ex), x, r->nin * sizeof(*x));
	else
		draw_reals(&d, bp_exec_input(r->ex), r->nin);
	memcpy(r->y, bp_exec_forward(r->ex, &r->ctx, &r->pass), r->nout * sizeof(bp_real));
	for (size_t i = 0; i < r->nout; i++)
		bp_exec_output_gradient(r->ex)[i] = x ? 1 : draw_real(&d);
	if (r->pass.training)
		bp_exec_backward(r->ex, &r->ctx, &r->pass, r->grads, r->dx);
}

static void run_done(struct run *r)
{
	free(r->y);
	free(r->dx);
	free(r->grads);
	bp_exec_free(r->ex);
	bp_net_free(r->net);
}

START_TEST(nan_passes_through_every_activation_and_the_values_beside_it_stay)
{
	for (int type = 0; type < bp_item_count(BP_LAYER); type++) {
		const char *name = bp_item_info(BP_LAYER, type)->name;
		char text[100];
		if (!bp_layers[type]->function && strcmp(name, "PReLU") != 0)
			continue;
		bp_real x[3] = {1, NAN, (bp_real)-0.5};
		struct run r;
		snprintf(text, sizeof(text), "3 | %s", name);
		run_init(&r, text, 1);
		run_passes(&r, x);
		ck_assert_msg(isnan(r.y[1]) && isfinite(r.y[0]) && isfinite(r.y[2]), "%s", name);
		ck_assert_msg(isfinite(r.dx[0]) && isfinite(r.dx[2]), "%s", name);
		run_done(&r);
	}
}
END_TEST

START_TEST(large_values_neither_overflow_nor_lose_the_sign)
{
	static const struct {
		const char *text;
		double low, high; /* outputs of -1e30 and 1e30 */
	} cases[] = {
		{"2 | GELU", 0, 1e30},
		{"2 | GELU approximate=tanh", 0, 1e30},
		{"2 | SiLU", 0, 1e30},
		{"2 | Mish", 0, 1e30},
		{"2 | Hardswish", 0, 1e30},
		{"2 | ELU alpha=2", -2, 1e30},
		{"2 | Softplus", 0, 1e30},
		{"2 | Softplus threshold=1", 0, 1e30},
		{"2 | ReLU6", 0, 6},
		{"2 | Hardsigmoid", 0, 1},
		{"2 | PReLU", -0.25e30, 1e30},
	};
	const bp_real x[2] = {(bp_real)-1e30, (bp_real)1e30};
	struct run r;
	run_init(&r, cases[_i].text, 1);
	run_passes(&r, x);
	ck_assert_msg(fabs(r.y[0] - cases[_i].low) <= 1e-6 * fabs(cases[_i].low), "%g", (double)r.y[0]);
	ck_assert_msg(fabs(r.y[1] - cases[_i].high) <= 1e-6 * cases[_i].high, "%g", (double)r.y[1]);
	ck_assert(isfinite(r.dx[0]) && isfinite(r.dx[1]));
	run_done(&r);
}
END_TEST

START_TEST(softmax_of_huge_scores_sums_to_one_and_its_logarithm_is_finite)
{
	static const int lengths[] = {1, 2, 7, 10, 33, 1000};
	for (int i = 0; i < 6; i++) {
		char text[60];
		bp_real x[1000];
		double sum = 0, logs = 0;
		struct run r;
		for (int j = 0; j < lengths[i]; j++)
			x[j] = (bp_real)(1e4 + j % 5);
		snprintf(text, sizeof(text), "%d | Softmax", lengths[i]);
		run_init(&r, text, 1);
		run_passes(&r, x);
		for (int j = 0; j < lengths[i]; j++)
			sum += r.y[j];
		run_done(&r);
		snprintf(text, sizeof(text), "%d | LogSoftmax dim=-1", lengths[i]);
		run_init(&r, text, 1);
		run_passes(&r, x);
		for (int j = 0; j < lengths[i]; j++)
			logs += exp(r.y[j]);
		run_done(&r);
		ck_assert_msg(fabs(sum - 1) < 1e-5 && fabs(logs - 1) < 1e-5, "%d: %g %g", lengths[i], sum, logs);
	}
}
END_TEST

/* Activations of two layers of 1024 features, with the activation between them. */
static int64_t memory_of(const char *activation, bool training)
{
	char text[200];
	int64_t activations, workspace;
	struct bp_error err;
	snprintf(text, sizeof(text), "1024 | Linear out_features=1024 | %s | Linear out_features=1", activation);
	struct bp_net *net = net_text(text, 1);
	ck_assert_int_eq(
		bp_exec_memory(net, bp_kernels_choose(BP_ISA_ALL), 64, 1, training, &activations, &workspace, &err),
		BP_OK);
	bp_net_free(net);
	return activations;
}

START_TEST(an_activation_costs_memory_only_where_backward_reads_its_input)
{
	static const char *const from_y[] = {"LeakyReLU", "ReLU6", "Hardtanh", "Sigmoid", "Hardsigmoid", "Tanh", "ELU",
		"SELU", "Softplus", "Softmax", "LogSoftmax", "Dropout"};
	static const char *const from_x[] = {"GELU", "SiLU", "Mish", "Hardswish", "PReLU", "Softplus threshold=3"};
	int64_t value = 64 * 1024 * (int64_t)sizeof(bp_real), least = memory_of("LeakyReLU", true);
	int64_t least_bare = memory_of("LeakyReLU", false);
	for (size_t i = 0; i < sizeof(from_y) / sizeof(from_y[0]); i++) {
		ck_assert_int_eq(memory_of(from_y[i], true), least);
		ck_assert_int_eq(memory_of(from_y[i], false), least_bare);
	}
	for (size_t i = 0; i < sizeof(from_x) / sizeof(from_x[0]); i++) {
		ck_assert_int_eq(memory_of(from_x[i], true), least + value);
		ck_assert_int_eq(memory_of(from_x[i], false), least_bare);
	}
}
END_TEST

START_TEST(dropout_of_channels_drops_them_whole_and_draws_anew_for_each_sample)
{
	enum { C = 70, PIXELS = 6, N = 40 };
	static const char *const texts[] = {"70x2x3 | Dropout2d p=0.25", "70x6 | Dropout1d p=0.25"};
	static bp_real x[N * PIXELS * C];
	struct run r;
	int kept = 0, same = 0;
	for (int i = 0; i < N * PIXELS * C; i++)
		x[i] = 3;
	run_init(&r, texts[_i], N);
	run_passes(&r, x);
	for (int s = 0; s < N; s++)
		for (int j = 0; j < C; j++) {
			const bp_real *y = r.y + s * PIXELS * C + j, *dx = r.dx + s * PIXELS * C + j;
			for (int p = 0; p < PIXELS; p++)
				ck_assert((y[p * C] == 0 || fabs(y[p * C] - 4) < 1e-5) && y[p * C] == y[0] &&
					  fabs(dx[p * C] - y[0] / 3) < 1e-6);
			kept += y[0] != 0;
			same += s > 0 && (y[0] != 0) == (y[-PIXELS * C] != 0);
		}
	/* Of 2800: 2100 kept; two samples agree in 1 - 2 * 3/16 of their channels. */
	ck_assert_msg(kept > 2000 && kept < 2200, "%d", kept);
	ck_assert_msg(same > 1550 && same < 1860, "%d", same);
	r.pass.training = false;
	run_passes(&r, x);
	ck_assert_mem_eq(r.y, x, sizeof(x));
	run_done(&r);
}
END_TEST

START_TEST(dropout_of_channels_that_keeps_nothing_has_no_gradient)
{
	struct run r;
	run_init(&r, "3x4x4 | Dropout2d p=1", 2);
	run_passes(&r, NULL);
	for (size_t i = 0; i < r.nout; i++)
		ck_assert(r.y[i] == 0 && r.dx[i] == 0);
	run_done(&r);
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	static const int threads[] = {2, 3, 4, 7};
	static const char text[] =
		"10x24x24 | PReLU num_parameters=10 | GELU | Dropout2d p=0.3 | a: Softmax | SiLU | b: Mish"
		" | Concat < a b | GLU dim=1 | Hardswish | Softplus | ELU | PReLU init=-0.5 | Add < layer11 a b"
		" | LogSoftmax dim=-3";
	struct run one, many;
	run_init(&one, text, 13);
	run_passes(&one, NULL);
	run_init(&many, text, 13);
	many.ctx.threads = threads[_i];
	run_passes(&many, NULL);
	ck_assert_mem_eq(one.y, many.y, one.nout * sizeof(bp_real));
	ck_assert_mem_eq(one.dx, many.dx, one.nin * sizeof(bp_real));
	ck_assert_mem_eq(one.grads, many.grads, (size_t)one.net->nweights * sizeof(bp_real));
	for (size_t i = 0; i < one.nin; i++)
		ck_assert(isfinite(one.dx[i]));
	run_done(&one);
	run_done(&many);
}
END_TEST

TEST_SUITE(activations, 60)
{
	tcase_add_test(tc, nan_passes_through_every_activation_and_the_values_beside_it_stay);
	tcase_add_loop_test(tc, large_values_neither_overflow_nor_lose_the_sign, 0, 11);
	tcase_add_test(tc, softmax_of_huge_scores_sums_to_one_and_its_logarithm_is_finite);
	tcase_add_test(tc, an_activation_costs_memory_only_where_backward_reads_its_input);
	tcase_add_loop_test(tc, dropout_of_channels_drops_them_whole_and_draws_anew_for_each_sample, 0, 2);
	tcase_add_test(tc, dropout_of_channels_that_keeps_nothing_has_no_gradient);
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 0, 4);
}
