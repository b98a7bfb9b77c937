/*
 * test_embedding.c - nets that read indices: which samples are let in and how they enter, that nothing is read beyond
 * the weight, how it starts, and the same bits for any number of threads.
 */
#include "runner.h"

#include "draw.h"
#include "net/exec.h"
#include "spec_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char rows[] = "3 | Embedding num_embeddings=6 embedding_dim=4 padding_idx=2 | Mean dim=[1]";

static enum bp_status train(const char *text, const struct bp_data *data, struct bp_error *err)
{
	struct bp_net *net = net_text(text, 1);
	struct bp_train_params params;
	struct bp_trainer *tr = NULL;
	bp_train_params_defaults(&params);
	params.batch_size = 1;
	enum bp_status st = bp_trainer_new(net, &params, data, NULL, &tr, err);
	if (!st)
		st = bp_trainer_run(tr, NULL, NULL, NULL, err);
	bp_trainer_free(tr);
	bp_net_free(net);
	return st;
}

START_TEST(samples_that_are_no_indices_are_refused_before_training)
{
	static const float wrong[] = {-1, 6, 1.5f, NAN, INFINITY, 1e30f};
	int32_t labels[] = {0, 1, 2};
	struct bp_error err = {.status = BP_OK};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		float samples[] = {0, 5, 2, 1, 3, 4, 0, 0, wrong[i]};
		struct bp_data data = {{1, {3}}, BP_F32, samples, .labels = labels, .count = 3};
		ck_assert_int_eq(train(rows, &data, &err), BP_EINVAL);
		ck_assert_str_eq(err.field, "samples");
		ck_assert_ptr_nonnull(strstr(err.message, "sample 2 holds"));
		/* What a view leaves out is not looked at. */
		data.index = (const uint32_t[]){1, 0};
		data.count = 2;
		ck_assert_msg(train(rows, &data, &err) == BP_OK, "%s", err.message);
	}
	uint8_t bytes[] = {0, 5, 6};
	struct bp_data data = {{1, {3}}, BP_U8, bytes, .labels = labels, .count = 1};
	ck_assert_int_eq(train(rows, &data, &err), BP_EINVAL);
	bytes[2] = 5;
	ck_assert_int_eq(train(rows, &data, &err), BP_OK);
}
END_TEST

START_TEST(bytes_and_numbers_enter_as_indices_without_mean_and_deviation)
{
	struct bp_net *net = net_text("2 | Embedding num_embeddings=200 embedding_dim=3 | Flatten", 1);
	struct bp_predictor *p;
	struct bp_error err;
	float mean[2] = {5, 5}, std[2] = {9, 9}, floats[] = {199, 0, 7, 199};
	uint8_t bytes[] = {199, 0, 7, 199};
	bp_real *weight = calloc(600, sizeof(*weight)), y[12];
	bp_net_tensor_get(net, 0, weight);
	ck_assert_int_eq(bp_predictor_new(net, 8, 1, &p, &err), BP_OK);
	for (int kind = BP_U8; kind <= BP_F32; kind++) {
		struct bp_data data = {{1, {2}}, (enum bp_dtype)kind, kind == BP_U8 ? (void *)bytes : (void *)floats,
			.mean = mean, .std = std, .count = 2};
		ck_assert_int_eq(bp_predictor_run(p, &data, 0, 2, y, &err), BP_OK);
		for (int i = 0; i < 12; i++)
			ck_assert(y[i] == weight[bytes[i / 3] * 3 + i % 3]);
	}
	/* Of what is asked for alone. */
	floats[0] = 200;
	struct bp_data data = {{1, {2}}, BP_F32, floats, .count = 2};
	ck_assert_int_eq(bp_predictor_run(p, &data, 1, 1, y, &err), BP_OK);
	ck_assert_int_eq(bp_predictor_run(p, &data, 0, 1, y, &err), BP_EINVAL);
	bp_predictor_free(p);
	bp_net_free(net);
	free(weight);
}
END_TEST

/* Forward and backward of a net on given input; ret_y and ret_grads are to be freed. */
static void run_net(const char *text, const bp_real *x, int n, int threads, bp_real **ret_y, bp_real **ret_grads)
{
	struct draw d = {3};
	struct bp_error err;
	struct bp_net *net = net_text(text, 11);
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), threads};
	struct bp_pass pass = {.n = n, .training = true};
	struct bp_exec *ex;
	ck_assert_int_eq(bp_exec_new(net, ctx.k, n, 8, true, &ex, &err), BP_OK);
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	size_t nout = (size_t)(bp_shape_size(&out) * n);
	*ret_y = calloc(nout, sizeof(**ret_y));
	*ret_grads = calloc((size_t)net->nweights, sizeof(**ret_grads));
	memcpy(bp_exec_input(ex), x, (size_t)(bp_shape_size(&in) * n) * sizeof(*x));
	memcpy(*ret_y, bp_exec_forward(ex, &ctx, &pass), nout * sizeof(**ret_y));
	draw_reals(&d, bp_exec_output_gradient(ex), nout);
	bp_exec_backward(ex, &ctx, &pass, *ret_grads, NULL);
	bp_exec_free(ex);
	bp_net_free(net);
}

START_TEST(what_is_no_index_reads_and_writes_nothing)
{
	const bp_real x[] = {-1, 6, NAN, INFINITY, -0.0001, 1e20};
	bp_real *y, *grads;
	run_net("6 | Embedding num_embeddings=6 embedding_dim=4", x, 1, 1, &y, &grads);
	for (int i = 0; i < 24; i++)
		ck_assert(y[i] == 0 && grads[i] == 0);
	free(y);
	free(grads);
}
END_TEST

START_TEST(the_padding_starts_at_zero_and_has_no_gradient)
{
	const bp_real x[] = {2, 2, 5};
	bp_real *y, *grads;
	run_net("3 | Embedding num_embeddings=6 embedding_dim=4 padding_idx=2", x, 1, 1, &y, &grads);
	for (int e = 0; e < 4; e++) {
		/* Channels last: an output is embedding_dim rows of length numbers. */
		ck_assert(y[e * 3] == 0 && y[e * 3 + 1] == 0 && y[e * 3 + 2] != 0);
		ck_assert(grads[2 * 4 + e] == 0 && grads[5 * 4 + e] != 0);
	}
	free(y);
	free(grads);
}
END_TEST

START_TEST(weights_start_normal)
{
	enum { N = 500 * 40 };
	struct bp_net *net = net_text("3 | Embedding num_embeddings=500 embedding_dim=40", 9);
	bp_real *w = calloc(N, sizeof(*w));
	double sum = 0, square = 0, fourth = 0;
	bp_net_tensor_get(net, 0, w);
	for (int i = 0; i < N; i++) {
		double v = (double)w[i];
		sum += v;
		square += v * v;
		fourth += v * v * v * v;
	}
	/* Five deviations of each estimate: 1, sqrt 2 and sqrt 96 over sqrt N. */
	ck_assert_double_lt(fabs(sum / N), 0.036);
	ck_assert_double_lt(fabs(square / N - 1), 0.05);
	ck_assert_double_lt(fabs(fourth / N - 3), 0.35);
	bp_net_free(net);
	free(w);
}
END_TEST

START_TEST(an_embedding_has_the_same_bits_from_any_threads)
{
	enum { N = 16, LENGTH = 50, NUMBERS = 300 };
	static const char net[] = "50 | Embedding num_embeddings=300 embedding_dim=70 padding_idx=0 | Mean dim=[1]"
				  " | Linear out_features=3";
	static const int threads[] = {2, 3, 4, 7};
	struct draw d = {8};
	bp_real x[N * LENGTH], *y[2], *grads[2];
	for (int i = 0; i < N * LENGTH; i++)
		x[i] = draw_int(&d, 0, NUMBERS - 1);
	run_net(net, x, N, 1, &y[0], &grads[0]);
	run_net(net, x, N, threads[_i], &y[1], &grads[1]);
	ck_assert_mem_eq(y[0], y[1], N * 3 * sizeof(bp_real));
	ck_assert_mem_eq(grads[0], grads[1], NUMBERS * 70 * sizeof(bp_real));
	for (int k = 0; k < 2; k++) {
		free(y[k]);
		free(grads[k]);
	}
}
END_TEST

TEST_SUITE(embedding, 60)
{
	tcase_add_test(tc, samples_that_are_no_indices_are_refused_before_training);
	tcase_add_test(tc, bytes_and_numbers_enter_as_indices_without_mean_and_deviation);
	tcase_add_test(tc, what_is_no_index_reads_and_writes_nothing);
	tcase_add_test(tc, the_padding_starts_at_zero_and_has_no_gradient);
	tcase_add_test(tc, weights_start_normal);
	tcase_add_loop_test(tc, an_embedding_has_the_same_bits_from_any_threads, 0, 4);
}
