/*
 * test_losses.c - every loss against PyTorch's, on every instruction set; in the double build its gradient against
 * central differences; and values that overflow a careless one.
 */
#include <math.h>
#include <stdlib.h>

#include "draw.h"
#include "fixture.h"
#include "gradcheck.h"
#include "losses/loss.h"
#include "runner.h"

enum { N = 5, SIZE = 7 };

static const struct {
	const char *name; /* in losses.txt */
	const char *type;
	const char *arg; /* set to value; NULL: all as by default */
	double value;
	int weights;
} cases[] = {
	{"cross_entropy", "CrossEntropyLoss", NULL, 0, 0},
	{"cross_entropy_smooth", "CrossEntropyLoss", "label_smoothing", 0.2, 0},
	{"cross_entropy_weight", "CrossEntropyLoss", NULL, 0, SIZE},
	{"cross_entropy_both", "CrossEntropyLoss", "label_smoothing", 0.3, SIZE},
	{"nll", "NLLLoss", NULL, 0, 0},
	{"nll_weight", "NLLLoss", NULL, 0, SIZE},
	{"bce", "BCEWithLogitsLoss", NULL, 0, 0},
	{"bce_one", "BCEWithLogitsLoss", NULL, 0, 1},
	{"bce_each", "BCEWithLogitsLoss", NULL, 0, SIZE},
	{"mse", "MSELoss", NULL, 0, 0},
	{"l1", "L1Loss", NULL, 0, 0},
	{"smooth_l1", "SmoothL1Loss", NULL, 0, 0},
	{"smooth_l1_beta", "SmoothL1Loss", "beta", 0.3, 0},
	{"smooth_l1_zero", "SmoothL1Loss", "beta", 0, 0},
	{"huber", "HuberLoss", NULL, 0, 0},
	{"huber_delta", "HuberLoss", "delta", 0.4, 0},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

struct rig {
	bp_real out[N * SIZE], targets[N * SIZE], gradient[N * SIZE];
	int32_t labels[N];
	double rows[N], weights[SIZE];
	struct bp_item item;
	struct bp_ctx ctx;
	struct bp_loss_batch batch;
};

/* Draws what make_losses.py draws, in its order. */
static void rig_init(struct rig *r, int i, const struct bp_kernels *k)
{
	struct fixture_draw d = {3};
	int type = bp_item_find(BP_LOSS, cases[i].type);
	const struct bp_loss_ops *ops = bp_loss_at(type);
	bool shares = ops->info.target == BP_TARGET_SHARES;
	memset(r, 0, sizeof(*r));
	for (int j = 0; j < N * SIZE; j++)
		r->out[j] = (bp_real)(3 * fixture_real(&d));
	for (int j = 0; j < N; j++)
		r->labels[j] = (int32_t)(fixture_bits(&d) % SIZE);
	for (int j = 0; j < N * SIZE; j++)
		r->targets[j] = (bp_real)(shares ? (fixture_real(&d) + 1) / 2 : fixture_real(&d));
	bp_item_defaults(BP_LOSS, type, &r->item);
	for (int j = 0; j < cases[i].weights; j++)
		r->weights[j] = 1 + fixture_real(&d);
	if (cases[i].weights) {
		r->item.args[ops->weights - 1].n = cases[i].weights;
		r->item.list = r->weights;
	}
	if (cases[i].arg)
		r->item.args[bp_item_arg(BP_LOSS, &r->item, cases[i].arg) - r->item.args].v[0] = cases[i].value;
	ck_assert_int_eq(bp_item_check(BP_LOSS, &r->item, -1, NULL), BP_OK);
	r->ctx = (struct bp_ctx){.k = k, .threads = 2};
	r->batch = (struct bp_loss_batch){.n = N,
		.size = SIZE,
		.out = r->out,
		.labels = r->labels,
		.targets = r->targets,
		.ret_rows = r->rows,
		.ret_gradient = r->gradient};
	for (int j = 0; j < N; j++)
		r->batch.weight += ops->info.target == BP_TARGET_LABEL ? bp_loss_weight(&r->item, r->labels[j]) : 1;
}

static double value(void *user)
{
	struct rig *r = user;
	double sum = 0;
	bp_loss_run(&r->item, &r->ctx, &r->batch);
	for (int i = 0; i < N; i++)
		sum += r->rows[i];
	return sum / r->batch.weight;
}

START_TEST(every_loss_and_its_gradient_are_those_of_pytorch)
{
	struct rig r;
	double want[1 + N * SIZE], tolerance = sizeof(bp_real) == 8 ? 1e-11 : 2e-6;
	fixture_text("tests/fixtures/losses.txt", cases[_i].name, want, 1 + N * SIZE);
	for (int isa = 0; bp_kernels_at(isa); isa++) {
		if (!bp_kernels_runs(isa))
			continue;
		rig_init(&r, _i, bp_kernels_at(isa));
		ck_assert_double_eq_tol(value(&r), want[0], tolerance);
		for (int j = 0; j < N * SIZE; j++)
			ck_assert_double_eq_tol((double)r.gradient[j], want[1 + j], tolerance);
	}
}
END_TEST

START_TEST(every_loss_has_the_gradient_of_its_value)
{
	struct rig r;
	bp_real gradient[N * SIZE];
	if (sizeof(bp_real) != 8)
		return;
	rig_init(&r, _i, bp_kernels_choose(BP_ISA_ALL));
	value(&r);
	memcpy(gradient, r.gradient, sizeof(gradient));
	r.batch.ret_gradient = NULL;
	gradcheck_assert(&(struct gradcheck){
		.what = cases[_i].name, .n = N * SIZE, .v = r.out, .gradient = gradient, .value = value, .user = &r});
}
END_TEST

START_TEST(every_loss_has_a_case)
{
	for (int type = 0; type < bp_item_count(BP_LOSS); type++) {
		bool found = false;
		for (int i = 0; i < CASES; i++)
			found |= strcmp(cases[i].type, bp_item_info(BP_LOSS, type)->name) == 0;
		ck_assert_msg(found, "%s has no case", bp_item_info(BP_LOSS, type)->name);
	}
}
END_TEST

START_TEST(cross_entropy_bears_outputs_that_have_no_exponential)
{
	struct rig r;
	rig_init(&r, 0, bp_kernels_choose(BP_ISA_ALL));
	for (int j = 0; j < SIZE; j++) {
		r.out[j] = (bp_real)(j == r.labels[0] ? 1e4 : -1e4);
		r.out[SIZE + j] = (bp_real)(j == r.labels[1] ? -1e4 : 1e4);
		r.out[2 * SIZE + j] = (bp_real)-3e4;
	}
	value(&r);
	ck_assert_double_eq_tol(r.rows[0], 0, 1e-12);
	ck_assert_double_eq_tol(r.rows[1], 2e4 + log(SIZE - 1), 1e-2);
	ck_assert_double_eq_tol(r.rows[2], log(SIZE), 1e-6);
	ck_assert_double_eq_tol((double)r.gradient[SIZE + r.labels[1]], -1.0 / N, 1e-7);
	for (int i = 0; i < N * SIZE; i++)
		ck_assert(isfinite(r.gradient[i]));
}
END_TEST

START_TEST(binary_cross_entropy_bears_outputs_that_have_no_exponential)
{
	struct rig r;
	rig_init(&r, 6, bp_kernels_choose(BP_ISA_ALL));
	for (int j = 0; j < SIZE; j++) {
		r.targets[j] = j % 2;
		r.out[j] =
			(bp_real)(j % 4 < 2 ? 1e4 : -1e4); /* no, yes, no, yes, ... said to be yes, yes, no, no, ... */
	}
	value(&r);
	ck_assert_double_eq_tol(r.rows[0], 1e4 * 3 / SIZE, 1e-9);
	for (int j = 0; j < SIZE; j++)
		ck_assert_double_eq_tol((double)r.gradient[j] * N * SIZE, ((j % 4 < 2) - j % 2), 1e-6);
}
END_TEST

START_TEST(a_sample_of_a_class_without_weight_teaches_nothing)
{
	struct rig r;
	rig_init(&r, _i ? 5 : 2, bp_kernels_choose(BP_ISA_ALL));
	r.weights[r.labels[1]] = 0;
	r.batch.weight = 0;
	for (int i = 0; i < N; i++)
		r.batch.weight += bp_loss_weight(&r.item, r.labels[i]);
	ck_assert_double_gt(r.batch.weight, 0);
	value(&r);
	ck_assert_double_eq(r.rows[1], 0);
	for (int j = 0; j < SIZE; j++)
		ck_assert(r.gradient[SIZE + j] == 0);

	for (int c = 0; c < SIZE; c++) /* nor does a batch of such samples, whose mean would be 0 / 0 */
		r.weights[c] = 0;
	r.batch.weight = 0;
	value(&r);
	for (int j = 0; j < N * SIZE; j++)
		ck_assert(r.gradient[j] == 0);
}
END_TEST

START_TEST(an_output_that_is_not_a_number_is_seen_in_the_loss)
{
	for (int place = 0; place < SIZE; place++) {
		struct rig r;
		rig_init(&r, _i, bp_kernels_choose(BP_ISA_ALL));
		r.out[SIZE + place] = (bp_real)NAN;
		ck_assert(isnan(value(&r)));
		ck_assert(isnan(r.rows[1]) && !isnan(r.rows[0]) && !isnan(r.rows[2]));
	}
}
END_TEST

TEST_SUITE(losses, 30)
{
	tcase_add_loop_test(tc, every_loss_and_its_gradient_are_those_of_pytorch, 0, CASES);
	tcase_add_loop_test(tc, every_loss_has_the_gradient_of_its_value, 0, CASES);
	tcase_add_test(tc, every_loss_has_a_case);
	tcase_add_test(tc, cross_entropy_bears_outputs_that_have_no_exponential);
	tcase_add_test(tc, binary_cross_entropy_bears_outputs_that_have_no_exponential);
	tcase_add_loop_test(tc, a_sample_of_a_class_without_weight_teaches_nothing, 0, 2);
	tcase_add_loop_test(tc, an_output_that_is_not_a_number_is_seen_in_the_loss, 0, CASES);
}
