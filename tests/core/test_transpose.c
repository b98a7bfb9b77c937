/*
 * test_transpose.c - ConvTranspose2d on maps that are cut into many blocks, against the plain convolutions of
 * conv/ref.c with input and output in each other's place.
 */
#include "runner.h"

#include "conv/conv.h"
#include "draw.h"
#include "net/exec.h"
#include "spec_text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { N = 25, IN = 8, OUT = 24, SIDE = 20, LARGE = 41, AREA = SIDE * SIDE, LARGE_AREA = LARGE * LARGE };
enum { INPUTS = N * IN * AREA, OUTPUTS = N * OUT * LARGE_AREA, WEIGHTS = IN * 9 * (OUT / 2) };

/* Its forward is the layer's backward, and the other way round. */
static const struct bp_conv_shape turned = {.h = LARGE,
	.w = LARGE,
	.c = OUT,
	.oh = SIDE,
	.ow = SIDE,
	.oc = IN,
	.kh = 3,
	.kw = 3,
	.sh = 2,
	.sw = 2,
	.dh = 1,
	.dw = 1,
	.groups = 2};
#define LAYER_TEXT "ConvTranspose2d out_channels=24 kernel_size=3 stride=2 groups=2"

struct rig {
	struct bp_net *net;
	struct bp_exec *ex;
	struct bp_ctx ctx;
	struct bp_pass pass;
	bp_real *x, *dy, *dx, *grads, *want;
};

static void rig_init(struct rig *r, const char *text)
{
	struct bp_error err;
	struct draw d = {11};
	*r = (struct rig){.net = net_text(text, 3), .ctx = {bp_kernels_choose(BP_ISA_ALL), 2}};
	r->pass = (struct bp_pass){.n = N, .training = true};
	ck_assert_int_eq(bp_exec_new(r->net, r->ctx.k, N, 2, true, &r->ex, &err), BP_OK);
	r->x = calloc(INPUTS, sizeof(bp_real));
	r->dx = calloc(INPUTS, sizeof(bp_real));
	r->dy = calloc(OUTPUTS, sizeof(bp_real));
	r->want = calloc(OUTPUTS, sizeof(bp_real));
	r->grads = calloc((size_t)r->net->nweights, sizeof(bp_real));
	draw_reals(&d, r->x, INPUTS);
	draw_reals(&d, r->dy, OUTPUTS);
}

static void rig_done(struct rig *r)
{
	free(r->x);
	free(r->dx);
	free(r->dy);
	free(r->want);
	free(r->grads);
	bp_exec_free(r->ex);
	bp_net_free(r->net);
}

static const bp_real *rig_run(struct rig *r)
{
	memcpy(bp_exec_input(r->ex), r->x, INPUTS * sizeof(bp_real));
	const bp_real *y = bp_exec_forward(r->ex, &r->ctx, &r->pass);
	memcpy(bp_exec_output_gradient(r->ex), r->dy, OUTPUTS * sizeof(bp_real));
	return y;
}

static void near(const char *what, const bp_real *got, const bp_real *want, size_t n, double tolerance)
{
	for (size_t i = 0; i < n; i++)
		ck_assert_msg(fabs((double)got[i] - (double)want[i]) <= tolerance * (1 + fabs((double)want[i])),
			"%s[%zu] is %.9g, not %.9g", what, i, (double)got[i], (double)want[i]);
}

START_TEST(a_transposed_convolution_is_the_convolution_backwards)
{
	struct rig r;
	rig_init(&r, "8x20x20 | " LAYER_TEXT);
	const bp_real *y = rig_run(&r), *w = r.net->weights, *bias = w + r.net->params[1].offset;
	ck_assert_int_eq(r.net->params[0].size, WEIGHTS);
	bp_conv_ref_backward_data(&turned, N, r.x, w, false, r.want);
	for (size_t i = 0; i < OUTPUTS; i++)
		r.want[i] += bias[i % OUT];
	near("y", y, r.want, OUTPUTS, 1e-5);
	bp_exec_backward(r.ex, &r.ctx, &r.pass, r.grads, r.dx);
	bp_conv_ref_backward_weights(&turned, N, r.dy, r.x, r.want, NULL);
	near("dw", r.grads, r.want, WEIGHTS, 1e-4);
	double sums[OUT] = {0};
	for (size_t i = 0; i < OUTPUTS; i++)
		sums[i % OUT] += (double)r.dy[i];
	for (size_t i = 0; i < OUT; i++)
		r.want[i] = (bp_real)sums[i];
	near("db", r.grads + r.net->params[1].offset, r.want, OUT, 1e-4);
	bp_conv_ref_forward(&turned, N, r.dy, w, NULL, BP_ACT_NONE, r.want);
	near("dx", r.dx, r.want, INPUTS, 1e-5);
	rig_done(&r);
}
END_TEST

START_TEST(two_transposed_convolutions_of_one_input_add_their_gradients)
{
	struct rig r;
	rig_init(&r, "8x20x20 | a: " LAYER_TEXT " | b: " LAYER_TEXT " < input | Add < a b");
	bp_real *first = calloc(INPUTS, sizeof(bp_real));
	rig_run(&r);
	bp_exec_backward(r.ex, &r.ctx, &r.pass, r.grads, r.dx);
	bp_conv_ref_forward(&turned, N, r.dy, r.net->weights, NULL, BP_ACT_NONE, first);
	bp_conv_ref_forward(&turned, N, r.dy, r.net->weights + r.net->params[2].offset, NULL, BP_ACT_NONE, r.want);
	for (size_t i = 0; i < INPUTS; i++)
		r.want[i] += first[i];
	near("dx", r.dx, r.want, INPUTS, 1e-5);
	free(first);
	rig_done(&r);
}
END_TEST

TEST_SUITE(transpose, 60)
{
	tcase_add_test(tc, a_transposed_convolution_is_the_convolution_backwards);
	tcase_add_test(tc, two_transposed_convolutions_of_one_input_add_their_gradients);
}
