/*
 * test_gradients.c - every layer's backward pass against central differences of its forward pass, for its inputs and
 * all of its tensors. In the double build alone: single precision has not the digits.
 */
#include "runner.h"

#ifdef BP_DOUBLE
#include "base/shape.h"
#include "draw.h"
#include "gradcheck.h"
#include "layer_case.h"
#include "net/exec.h"
#include "spec_text.h"

#include <stdlib.h>
#include <string.h>

/* A net with a random linear function of its output as the loss. */
struct rig {
	struct bp_net *net;
	struct bp_exec *ex;
	struct bp_ctx ctx;
	struct bp_pass pass;
	size_t nin, nout;
	bp_real *input, *factor, *grads, *dx;
};

static double loss(void *user)
{
	struct rig *r = user;
	double sum = 0;
	memcpy(bp_exec_input(r->ex), r->input, r->nin * sizeof(bp_real));
	const bp_real *y = bp_exec_forward(r->ex, &r->ctx, &r->pass);
	for (size_t i = 0; i < r->nout; i++)
		sum += r->factor[i] * y[i];
	return sum;
}

static void rig_init(struct rig *r, const char *text, int n)
{
	struct draw d = {42};
	struct bp_error err;
	r->net = net_text(text, 7);
	r->ctx = (struct bp_ctx){bp_kernels_choose(BP_ISA_ALL), 1};
	r->pass = (struct bp_pass){.n = n, .training = true, .seed = 3, .step = 5};
	ck_assert_int_eq(bp_exec_new(r->net, r->ctx.k, n, 1, true, &r->ex, &err), BP_OK);
	struct bp_shape in = bp_net_input_shape(r->net), out = bp_net_output_shape(r->net);
	r->nin = (size_t)(bp_shape_size(&in) * n);
	r->nout = (size_t)(bp_shape_size(&out) * n);
	r->input = calloc(r->nin, sizeof(bp_real));
	r->dx = calloc(r->nin, sizeof(bp_real));
	r->factor = calloc(r->nout, sizeof(bp_real));
	r->grads = calloc((size_t)r->net->nweights + 1, sizeof(bp_real));
	draw_reals(&d, r->input, r->nin);
	/* Cases have the last index for padding, whose gradient is 0 by definition and not by its function. */
	for (size_t i = 0; i < r->nin && bp_net_input_indices(r->net) > 0; i++)
		r->input[i] = (bp_real)draw_int(&d, 0, (int)bp_net_input_indices(r->net) - 2);
	draw_reals(&d, r->factor, r->nout);
	/* Weights that start at 0 or 1 would hide mistakes. */
	for (int64_t i = 0; i < r->net->nweights; i++)
		r->net->weights[i] += draw_real(&d) / 4;
}

static void rig_backward(struct rig *r)
{
	loss(r);
	memcpy(bp_exec_output_gradient(r->ex), r->factor, r->nout * sizeof(bp_real));
	bp_exec_backward(r->ex, &r->ctx, &r->pass, r->grads, r->dx);
}

static void rig_done(struct rig *r)
{
	free(r->input);
	free(r->dx);
	free(r->factor);
	free(r->grads);
	bp_exec_free(r->ex);
	bp_net_free(r->net);
}

static struct gradcheck tensor_check(struct rig *r, const struct bp_param *p)
{
	return (struct gradcheck){p->name, (size_t)p->size, r->net->weights + p->offset, r->grads + p->offset, loss, r};
}

static void check_all(struct rig *r)
{
	rig_backward(r);
	if (bp_net_input_indices(r->net) == 0)
		gradcheck_assert(&(struct gradcheck){"dx", r->nin, r->input, r->dx, loss, r});
	for (int t = 0; t < r->net->nparams; t++) {
		struct gradcheck g = tensor_check(r, &r->net->params[t]);
		if (r->net->params[t].trainable)
			gradcheck_assert(&g);
	}
}

START_TEST(every_layer_has_the_gradient_of_its_function)
{
	struct layer_case cases[LAYER_CASES_MAX];
	int n = layer_cases(cases);
	for (int i = 0; i < n; i++) {
		struct rig r;
		if (strcmp(cases[i].mode, "eval") == 0)
			continue;
		rig_init(&r, cases[i].net, cases[i].n);
		check_all(&r);
		rig_done(&r);
	}
}
END_TEST

START_TEST(every_registered_layer_has_a_case)
{
	struct layer_case cases[LAYER_CASES_MAX];
	int n = layer_cases(cases);
	for (int type = 0; type < bp_item_count(BP_LAYER); type++) {
		const char *name = bp_item_info(BP_LAYER, type)->name;
		bool found = false;
		for (int i = 0; i < n; i++)
			found |= strcmp(cases[i].mode, "eval") != 0 && layer_case_has(&cases[i], name);
		ck_assert_msg(found, "%s has no case in tests/fixtures/layer_cases.txt", name);
	}
}
END_TEST

START_TEST(a_deep_graph_with_fan_out_has_the_gradient_of_its_function)
{
	struct rig r;
	rig_init(&r,
		"2x6x6 | Conv2d out_channels=4 kernel_size=3 padding=1 bias=false | BatchNorm2d | r: ReLU"
		" | Conv2d out_channels=4 kernel_size=3 padding=1 bias=false | BatchNorm2d | Add < layer4 r | s: ReLU"
		" | Conv2d out_channels=4 kernel_size=1 < s | MaxPool2d kernel_size=2 | t: Dropout p=0.25"
		" | u: AvgPool2d kernel_size=2 < s | Add < t u | Flatten | Linear out_features=5 | Tanh"
		" | Linear out_features=3",
		3);
	check_all(&r);
	rig_done(&r);
}
END_TEST

/* On maps of whole tiles and others, channels with and without tails, any padding. */
START_TEST(winograds_convolution_has_the_gradient_of_its_function)
{
	static const struct {
		int n;
		const char *net;
	} nets[] = {
		{3, "1x1x1 | Conv2d out_channels=1 kernel_size=3 padding=2 algorithm=winograd"},
		{2, "2x3x5 | Conv2d out_channels=3 kernel_size=3 algorithm=winograd"},
		{2, "5x7x7 | Conv2d out_channels=4 kernel_size=3 padding=1 algorithm=winograd | ReLU"},
		{1, "3x8x8 | Conv2d out_channels=5 kernel_size=3 padding=2 bias=false algorithm=winograd"},
		{2, "9x4x6 | Conv2d out_channels=17 kernel_size=3 padding=2,1 algorithm=winograd"},
		{1, "70x2x3 | Conv2d out_channels=2 kernel_size=3 padding=same algorithm=winograd"},
		{1, "2x3x2 | Conv2d out_channels=70 kernel_size=3 padding=1 algorithm=winograd"},
		{1, "1x1x1 | Conv2d out_channels=1 kernel_size=5 padding=4 algorithm=winograd"},
		{2, "2x6x5 | Conv2d out_channels=3 kernel_size=5 algorithm=winograd"},
		{2, "5x7x4 | Conv2d out_channels=4 kernel_size=5 padding=2 algorithm=winograd | ReLU"},
		{1, "9x3x6 | Conv2d out_channels=17 kernel_size=5 padding=4,3 bias=false algorithm=winograd"},
		{2, "3x4x7 | Conv2d out_channels=5 kernel_size=1,3 padding=0,1 algorithm=winograd"},
		{2, "3x4x7 | Conv2d out_channels=5 kernel_size=1,5 padding=0,4 algorithm=winograd"},
		{2, "3x7x4 | Conv2d out_channels=5 kernel_size=3,1 padding=2,0 algorithm=winograd"},
		{2, "3x7x4 | Conv2d out_channels=5 kernel_size=5,1 algorithm=winograd | ReLU"},
		{2, "2x6x5 | Conv2d out_channels=3 kernel_size=4 padding=2 algorithm=winograd"},
		{2, "2x7x8 | Conv2d out_channels=3 kernel_size=3 stride=2 padding=1 algorithm=winograd"},
		{1, "2x11x9 | Conv2d out_channels=3 kernel_size=7,3 stride=2,1 padding=3,0 algorithm=winograd | ReLU"},
		{2, "3x4x5 | Conv2d out_channels=4 kernel_size=2 padding=1 algorithm=winograd"},
		{2, "3x17 | Conv1d out_channels=4 kernel_size=5 stride=2 padding=2 algorithm=winograd"},
		{1, "2x9x8 | Conv2d out_channels=3 kernel_size=7 padding=3 algorithm=winograd | ReLU"},
		{1, "2x9x12 | Conv2d out_channels=3 kernel_size=6,11 padding=5 bias=false algorithm=winograd"},
		{1, "2x5x9 | Conv2d out_channels=3 kernel_size=1,8 dilation=1,2 padding=0,14 algorithm=winograd"},
		{2, "3x13 | Conv1d out_channels=4 kernel_size=10 padding=4 algorithm=winograd"},
		{2, "3x9x8 | Conv2d out_channels=4 kernel_size=3 dilation=2 padding=2 algorithm=winograd"},
		{1, "2x7x6 | Conv2d out_channels=3 kernel_size=5 dilation=3,2 padding=12,3 algorithm=winograd | ReLU"},
		{2, "2x2x30 | Conv2d out_channels=3 kernel_size=1,3 dilation=7,5 padding=0,10 algorithm=winograd"},
		{2, "3x30 | Conv1d out_channels=4 kernel_size=5 dilation=6 padding=same algorithm=winograd"},
		{2, "3x11 | Conv1d out_channels=4 kernel_size=3 algorithm=winograd"},
		{2, "9x7 | Conv1d out_channels=5 kernel_size=5 padding=2 algorithm=winograd"},
		{2, "3x5x5 | a: Conv2d out_channels=3 kernel_size=3 padding=1 algorithm=winograd | Tanh"
		    " | Conv2d out_channels=3 kernel_size=3 padding=1 algorithm=winograd | Add < layer2 a input"},
	};
	for (size_t i = 0; i < sizeof nets / sizeof nets[0]; i++) {
		struct rig r;
		rig_init(&r, nets[i].net, nets[i].n);
		check_all(&r);
		rig_done(&r);
	}
}
END_TEST

/* Batch norms between convolutions that do their work; also one that is added to, and one whose input is read twice. */
START_TEST(norms_done_by_convolutions_have_the_gradient_of_their_function)
{
	struct rig r;
	rig_init(&r,
		"4x7x6 | Conv2d out_channels=6 kernel_size=1 bias=false | BatchNorm2d | ReLU"
		" | Conv2d out_channels=6 kernel_size=3 padding=1 groups=6 bias=false | BatchNorm2d | ReLU"
		" | Conv2d out_channels=5 kernel_size=1 bias=false | BatchNorm2d | SiLU"
		" | Conv2d out_channels=5 kernel_size=3 padding=1 groups=5 bias=false | BatchNorm2d | Hardswish"
		" | Conv2d out_channels=5 kernel_size=1 bias=false | BatchNorm2d"
		" | Conv2d out_channels=5 kernel_size=3 stride=2 padding=1 groups=5 bias=false"
		" | BatchNorm2d affine=false | ReLU | p: Conv2d out_channels=7 kernel_size=1 bias=false"
		" | q: BatchNorm2d | Conv2d out_channels=7 kernel_size=5,3 padding=same groups=7 bias=false"
		" | s: BatchNorm2d | t: BatchNorm2d < p | Add < q s t | ReLU"
		" | Conv2d out_channels=4 kernel_size=2 bias=false | BatchNorm2d | ReLU"
		" | Conv2d out_channels=4 kernel_size=3 padding=1 groups=2 bias=false | BatchNorm2d | SiLU"
		" | Conv2d out_channels=2 kernel_size=1",
		3);
	check_all(&r);
	rig_done(&r);
}
END_TEST

/* In Winograd's way they give the statistics and the sums alone; the first norm reads the input itself. */
START_TEST(norms_helped_by_convolutions_have_the_gradient_of_their_function)
{
	struct rig r;
	rig_init(&r,
		"2x6x7 | BatchNorm2d | Conv2d out_channels=3 kernel_size=3 padding=1 bias=false algorithm=winograd"
		" | BatchNorm2d | SiLU | Conv2d out_channels=4 kernel_size=5 padding=2 bias=false algorithm=winograd"
		" | BatchNorm2d | b: ReLU6 | Conv2d out_channels=4 kernel_size=3 padding=1 bias=false "
		"algorithm=winograd"
		" | c: BatchNorm2d | Add < c b | ReLU | Conv2d out_channels=3 kernel_size=1 bias=false | BatchNorm2d"
		" | Conv2d out_channels=2 kernel_size=7 padding=3 algorithm=winograd",
		3);
	check_all(&r);
	rig_done(&r);
}
END_TEST

/* The test of the test: whatever is done to a right gradient must be noticed. */
START_TEST(a_wrong_gradient_is_noticed)
{
	struct rig r;
	char why[200];
	rig_init(&r, "5 | Linear out_features=4 | Tanh | Linear out_features=3", 4);
	rig_backward(&r);
	const struct bp_param *p = &r.net->params[0];
	struct gradcheck g = tensor_check(&r, p);
	ck_assert(gradcheck(&g, why));
	bp_real *first = r.grads + p->offset, right = *first;
	*first = right * (1 + 1e-5);
	ck_assert(!gradcheck(&g, why));
	*first = -right;
	ck_assert(!gradcheck(&g, why));
	*first = 0;
	ck_assert(!gradcheck(&g, why));
	*first = 0.0 / 0.0;
	ck_assert(!gradcheck(&g, why));
	rig_done(&r);
}
END_TEST

/* So small that every difference is noise: that must not count as agreement. */
START_TEST(a_gradient_lost_in_noise_is_not_certified)
{
	struct rig r;
	char why[200];
	rig_init(&r, "5 | Linear out_features=4", 4);
	for (size_t i = 0; i < r.nout; i++)
		r.factor[i] *= 1e-13;
	rig_backward(&r);
	struct gradcheck g = tensor_check(&r, &r.net->params[0]);
	memset(r.grads, 0, (size_t)r.net->nweights * sizeof(bp_real));
	ck_assert(!gradcheck(&g, why));
	rig_done(&r);
}
END_TEST
#endif

TEST_SUITE(gradients, 60)
{
#ifdef BP_DOUBLE
	tcase_add_test(tc, every_layer_has_the_gradient_of_its_function);
	tcase_add_test(tc, every_registered_layer_has_a_case);
	tcase_add_test(tc, a_deep_graph_with_fan_out_has_the_gradient_of_its_function);
	tcase_add_test(tc, winograds_convolution_has_the_gradient_of_its_function);
	tcase_add_test(tc, norms_done_by_convolutions_have_the_gradient_of_their_function);
	tcase_add_test(tc, norms_helped_by_convolutions_have_the_gradient_of_their_function);
	tcase_add_test(tc, a_wrong_gradient_is_noticed);
	tcase_add_test(tc, a_gradient_lost_in_noise_is_not_certified);
#else
	(void)tc;
#endif
}
