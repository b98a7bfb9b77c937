/*
 * test_losses.c - every loss against its definition, on values that overflow a careless one, on every instruction set;
 * and in the double build its gradient against central differences.
 */
#include <math.h>
#include <stdlib.h>

#include "draw.h"
#include "gradcheck.h"
#include "losses/loss.h"
#include "runner.h"

enum { N = 5, SIZE = 37 };

static double cross_entropy(const bp_real *out, int32_t label, const bp_real *targets)
{
	double sum = 0;
	(void)targets;
	for (int j = 0; j < SIZE; j++)
		sum += exp((double)out[j] - (double)out[label]);
	return log(sum);
}

static double mse(const bp_real *out, int32_t label, const bp_real *targets)
{
	double sum = 0;
	(void)label;
	for (int j = 0; j < SIZE; j++)
		sum += pow((double)out[j] - (double)targets[j], 2);
	return sum / SIZE;
}

static const struct {
	const char *type;
	double (*definition)(const bp_real *out, int32_t label, const bp_real *targets); /* of one sample */
} cases[] = {
	{"CrossEntropyLoss", cross_entropy},
	{"MSELoss", mse},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

struct rig {
	bp_real out[N * SIZE], targets[N * SIZE], gradient[N * SIZE];
	int32_t labels[N];
	double rows[N];
	struct bp_item item;
	struct bp_ctx ctx;
	struct bp_loss_batch batch;
};

static void rig_init(struct rig *r, const char *type, const struct bp_kernels *k)
{
	struct draw d = {11};
	draw_reals(&d, r->out, N * SIZE);
	draw_reals(&d, r->targets, N * SIZE);
	for (int i = 0; i < N; i++)
		r->labels[i] = draw_int(&d, 0, SIZE - 1);
	bp_item_defaults(BP_LOSS, bp_item_find(BP_LOSS, type), &r->item);
	r->ctx = (struct bp_ctx){.k = k, .threads = 2};
	r->batch = (struct bp_loss_batch){.n = N,
		.size = SIZE,
		.out = r->out,
		.labels = r->labels,
		.targets = r->targets,
		.ret_rows = r->rows,
		.ret_gradient = r->gradient};
}

static double value(void *user)
{
	struct rig *r = user;
	double sum = 0;
	bp_loss_run(&r->item, &r->ctx, &r->batch);
	for (int i = 0; i < N; i++)
		sum += r->rows[i];
	return sum / N;
}

START_TEST(every_loss_is_its_definition)
{
	struct rig r;
	for (int isa = 0; bp_kernels_at(isa); isa++) {
		if (!bp_kernels_runs(isa))
			continue;
		rig_init(&r, cases[_i].type, bp_kernels_at(isa));
		value(&r);
		for (int i = 0; i < N; i++) {
			double want = cases[_i].definition(r.out + i * SIZE, r.labels[i], r.targets + i * SIZE);
			ck_assert_double_eq_tol(r.rows[i], want, sizeof(bp_real) == 8 ? 1e-13 : 1e-6);
		}
	}
}
END_TEST

START_TEST(every_loss_has_the_gradient_of_its_definition)
{
	struct rig r;
	bp_real gradient[N * SIZE];
	rig_init(&r, cases[_i].type, bp_kernels_choose(BP_ISA_ALL));
	value(&r);
	memcpy(gradient, r.gradient, sizeof(gradient));
	r.batch.ret_gradient = NULL;
	if (sizeof(bp_real) == 8) {
		gradcheck_assert(&(struct gradcheck){.what = cases[_i].type,
			.n = N * SIZE,
			.v = r.out,
			.gradient = gradient,
			.value = value,
			.user = &r});
		return;
	}
	for (int i = 0; i < N * SIZE; i++) { /* single precision: the definition's differences, roughly */
		bp_real kept = r.out[i];
		int s = i / SIZE;
		r.out[i] = kept + (bp_real)0.01;
		double up = cases[_i].definition(r.out + s * SIZE, r.labels[s], r.targets + s * SIZE);
		r.out[i] = kept - (bp_real)0.01;
		double down = cases[_i].definition(r.out + s * SIZE, r.labels[s], r.targets + s * SIZE);
		r.out[i] = kept;
		ck_assert_double_eq_tol((double)gradient[i], (up - down) / 0.02 / N, 1e-5);
	}
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
	rig_init(&r, "CrossEntropyLoss", bp_kernels_choose(BP_ISA_ALL));
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

START_TEST(an_output_that_is_not_a_number_is_seen_in_the_loss)
{
	for (int place = 0; place < SIZE; place++) {
		struct rig r;
		rig_init(&r, cases[_i].type, bp_kernels_choose(BP_ISA_ALL));
		r.out[SIZE + place] = (bp_real)NAN;
		ck_assert(isnan(value(&r)));
		ck_assert(isnan(r.rows[1]) && !isnan(r.rows[0]) && !isnan(r.rows[2]));
	}
}
END_TEST

TEST_SUITE(losses, 30)
{
	tcase_add_loop_test(tc, every_loss_is_its_definition, 0, CASES);
	tcase_add_loop_test(tc, every_loss_has_the_gradient_of_its_definition, 0, CASES);
	tcase_add_test(tc, every_loss_has_a_case);
	tcase_add_test(tc, cross_entropy_bears_outputs_that_have_no_exponential);
	tcase_add_loop_test(tc, an_output_that_is_not_a_number_is_seen_in_the_loss, 0, CASES);
}
