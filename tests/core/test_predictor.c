/* test_predictor.c - what a predictor hands out: samples normalised by channel, outputs in PyTorch's order. */
#include "runner.h"
#include "spec_text.h"

#include <math.h>
#include <stdio.h>

static void predict(const char *text, const struct bp_data *data, bp_real *ret)
{
	struct bp_net *net = net_text(text, 1);
	struct bp_predictor *p = NULL;
	struct bp_error err;
	ck_assert_int_eq(bp_predictor_new(net, 2, 1, &p, &err), BP_OK);
	enum bp_status st = bp_predictor_run(p, data, 0, data->count, ret, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
	bp_predictor_free(p);
	bp_net_free(net);
}

/* Channels-last inside must not be seen outside: a net that changes nothing hands its samples back. */
START_TEST(outputs_come_in_the_order_of_the_samples)
{
	static const struct bp_shape shapes[] = {{1, {12}}, {2, {3, 4}}, {3, {3, 2, 2}}};
	static const char *const nets[] = {"12 | ReLU", "3x4 | ReLU", "3x2x2 | ReLU"};
	float x[36];
	bp_real y[36];
	for (int i = 0; i < 36; i++)
		x[i] = (float)i;
	for (int i = 0; i < 3; i++) {
		struct bp_data data = {.shape = shapes[i], .dtype = BP_F32, .samples = x, .count = 3};
		predict(nets[i], &data, y);
		for (int j = 0; j < 36; j++)
			ck_assert(y[j] == (bp_real)j);
	}
}
END_TEST

/* Few channels and many go different ways; with and without a mean and a deviation. */
START_TEST(sequences_are_normalised_by_channel_as_bytes_and_as_floats)
{
	enum { MOST = 19, LENGTH = 21, COUNT = 2 };
	static const int channels[] = {1, 2, 7, 8, MOST};
	static uint8_t bytes[COUNT * MOST * LENGTH];
	static float floats[COUNT * MOST * LENGTH], mean[MOST], std[MOST];
	static bp_real y[2][COUNT * MOST * LENGTH];
	const int n = channels[_i / 2], size = COUNT * n * LENGTH;
	char net[60];
	snprintf(net, sizeof net, "%dx%d | LeakyReLU negative_slope=1", n, LENGTH);
	for (int c = 0; c < n; c++) {
		mean[c] = 0.5f / (float)(c + 1);
		std[c] = 2 + (float)c;
	}
	for (int i = 0; i < size; i++) {
		bytes[i] = (uint8_t)(i * 37);
		floats[i] = (float)bytes[i] / 255;
	}
	struct bp_data data = {.shape = {2, {n, LENGTH}}, .dtype = BP_U8, .samples = bytes, .count = COUNT};
	data.mean = _i % 2 ? mean : NULL;
	data.std = _i % 2 ? std : NULL;
	predict(net, &data, y[0]);
	data.dtype = BP_F32;
	data.samples = floats;
	predict(net, &data, y[1]);
	for (int i = 0; i < size; i++) {
		int c = i / LENGTH % n;
		double want = bytes[i] / 255.0;
		want = data.mean ? (want - (double)mean[c]) / (double)std[c] : want;
		ck_assert(fabs((double)y[0][i] - want) < 1e-6);
		ck_assert(fabs((double)y[1][i] - want) < 1e-6);
	}
}
END_TEST

TEST_SUITE(predictor, 30)
{
	tcase_add_test(tc, outputs_come_in_the_order_of_the_samples);
	tcase_add_loop_test(tc, sequences_are_normalised_by_channel_as_bytes_and_as_floats, 0, 10);
}
