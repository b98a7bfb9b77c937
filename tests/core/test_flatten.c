/*
 * test_flatten.c - a Flatten that leaves features as they lie, for Linear layers whose weights lie so too, against one
 * that turns them into PyTorch's order for an Identity: in that order weights, gradients and outputs are the same.
 */
#include "runner.h"

#include "base/shape.h"
#include "draw.h"
#include "net/exec.h"
#include "spec_text.h"

#include <math.h>
#include <stdlib.h>

enum { BATCH = 5, SEED = 11 };

static const struct {
	const char *kept, *turned;
	bool keeps; /* whether the first does */
} pairs[] = {
	{"3x5x7 | Flatten | Linear out_features=9 | ReLU | Linear out_features=4",
		"3x5x7 | Flatten | Identity | Linear out_features=9 | ReLU | Linear out_features=4", true},
	/* As many weights as lie in panels, and a convolution that needs the gradient. */
	{"3x8x9 | Conv2d out_channels=7 kernel_size=3 padding=1 | Flatten | Linear out_features=230 | ReLU"
	 " | Linear out_features=4",
		"3x8x9 | Conv2d out_channels=7 kernel_size=3 padding=1 | Flatten | Identity | Linear out_features=230"
		" | ReLU | Linear out_features=4",
		true},
	/* Two readers; and one that wants PyTorch's order. */
	{"3x5x7 | f: Flatten | a: Linear out_features=9 < f | b: Linear out_features=9 < f | Add < a b",
		"3x5x7 | Flatten | f: Identity | a: Linear out_features=9 < f | b: Linear out_features=9 < f"
		" | Add < a b",
		true},
	{"3x5x7 | f: Flatten | a: Linear out_features=105 | Add < a f",
		"3x5x7 | Flatten | f: Identity | a: Linear out_features=105 | Add < a f", false},
};
enum { PAIRS = sizeof pairs / sizeof pairs[0] };

struct run {
	struct bp_net *net;
	struct bp_exec *ex;
	const bp_real *y;
	bp_real *grads;
};

static void run_start(struct run *r, const char *text)
{
	const struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 1};
	const struct bp_pass pass = {.n = BATCH, .training = true};
	struct draw d = {3};
	r->net = net_text(text, SEED);
	ck_assert_int_eq(bp_exec_new(r->net, ctx.k, BATCH, 1, true, &r->ex, NULL), BP_OK);
	const struct bp_shape in = bp_net_input_shape(r->net), out = bp_net_output_shape(r->net);
	r->grads = calloc((size_t)r->net->nweights, sizeof(bp_real));
	ck_assert_ptr_nonnull(r->grads);
	draw_reals(&d, bp_exec_input(r->ex), BATCH * (size_t)bp_shape_size(&in));
	r->y = bp_exec_forward(r->ex, &ctx, &pass);
	draw_reals(&d, bp_exec_output_gradient(r->ex), BATCH * (size_t)bp_shape_size(&out));
	bp_exec_backward(r->ex, &ctx, &pass, r->grads, NULL);
}

static void run_done(struct run *r)
{
	free(r->grads);
	bp_exec_free(r->ex);
	bp_net_free(r->net);
}

static void check_close(const bp_real *a, const bp_real *b, int64_t n, const char *what)
{
	for (int64_t i = 0; i < n; i++) {
		const double got = (double)a[i], want = (double)b[i];
		ck_assert_msg(fabs(got - want) <= 1e-5 * (1 + fabs(want)), "%s: element %lld is %g, not %g", what,
			(long long)i, got, want);
	}
}

/* In PyTorch's order, of a flat vector laid out like the weights. */
static bp_real *outside(const struct bp_param *p, const bp_real *flat)
{
	bp_real *ret = malloc((size_t)p->size * sizeof *ret);
	ck_assert_ptr_nonnull(ret);
	bp_param_get(p, flat, ret);
	return ret;
}

START_TEST(features_that_stay_give_what_features_that_are_turned_do)
{
	struct run kept, turned;
	run_start(&kept, pairs[_i].kept);
	run_start(&turned, pairs[_i].turned);
	int64_t channels = 0;
	for (int i = 0; i < kept.net->nparams; i++) {
		const struct bp_param *a = &kept.net->params[i], *b = &turned.net->params[i];
		bp_real *wa = outside(a, kept.net->weights), *wb = outside(b, turned.net->weights);
		bp_real *ga = outside(a, kept.grads), *gb = outside(b, turned.grads);
		ck_assert_mem_eq(wa, wb, (size_t)a->size * sizeof *wa);
		check_close(ga, gb, a->size, "gradient");
		ck_assert_int_eq(b->channels, 0);
		channels = a->channels > channels ? a->channels : channels;
		free(wa), free(wb), free(ga), free(gb);
	}
	ck_assert_int_eq(channels > 0, pairs[_i].keeps);
	const struct bp_shape out = bp_net_output_shape(kept.net);
	check_close(kept.y, turned.y, BATCH * bp_shape_size(&out), "output");
	run_done(&kept);
	run_done(&turned);
}
END_TEST

TEST_SUITE(flatten, 30)
{
	tcase_add_loop_test(tc, features_that_stay_give_what_features_that_are_turned_do, 0, PAIRS);
}
