/* test_work_diagnose.c - findings from tables of numbers: told when a bound is passed, once, and not for healthy runs.
 */
#include "runner.h"

#include <math.h>
#include <string.h>

#include "work/diagnose.h"

enum { LAYERS = 4 };

/* A healthy epoch of a net of four layers. */
struct bench {
	struct diagnosis d;
	struct layer_state layers[LAYERS];
	struct epoch_state e;
	struct finding found[FOUND_COUNT];
};

static void healthy(struct bench *b)
{
	static const char *const names[LAYERS] = {"first", "act", "second", "last"};
	memset(b, 0, sizeof(*b));
	diagnosis_init(&b->d);
	for (int i = 0; i < LAYERS; i++)
		b->layers[i] = (struct layer_state){.name = names[i],
			.parameters = i == 1 ? 0 : 100,
			.grad_norm = i == 1 ? NAN : 0.1,
			.update_ratio = i == 1 ? NAN : 1e-3,
			.activation = i == 1 ? ACT_RELU : ACT_NONE,
			.dead = NAN,
			.saturated = NAN};
	b->layers[1].dead = 0.1;
	b->e = (struct epoch_state){.layers = b->layers,
		.nlayers = LAYERS,
		.now = {.metric = {1, 0.5, 1, 0.5}, .grad_norm = 1},
		.input_mean = NAN,
		.input_std = NAN};
}

static int next(struct bench *b, double loss, double val_loss)
{
	b->e.epoch++;
	b->e.now.metric[SPEC_LOSS] = loss;
	b->e.now.metric[SPEC_VAL_LOSS] = val_loss;
	return diagnosis_epoch(&b->d, &b->e, b->found);
}

static void expect(struct bench *b, int n, enum finding_code code, const char *layer, double value)
{
	ck_assert_int_eq(n, 1);
	const struct finding *f = &b->found[0];
	ck_assert_str_eq(finding_name(f->code), finding_name(code));
	ck_assert(layer ? f->layer && strcmp(f->layer, layer) == 0 : !f->layer);
	ck_assert_double_eq_tol(f->value, value, 1e-9 * (1 + fabs(value)));
	ck_assert_int_eq(f->epoch, b->e.epoch);
	ck_assert_uint_gt(strlen(f->detail), 20);
	ck_assert_uint_gt(strlen(f->suggestion), 10);
	if (layer)
		ck_assert_msg(strstr(f->detail, layer) != NULL, "%s", f->detail);
	ck_assert_int_eq(next(b, b->e.now.metric[SPEC_LOSS] * 0.9, b->e.now.metric[SPEC_VAL_LOSS]), 0); /* told once */
}

START_TEST(a_healthy_training_has_no_findings)
{
	struct bench b;
	healthy(&b);
	for (int epoch = 0; epoch < 50; epoch++)
		ck_assert_int_eq(next(&b, 2 * pow(0.9, epoch), 2 * pow(0.92, epoch)), 0);
}
END_TEST

START_TEST(each_layer_finding_names_its_layer_and_number)
{
	static const struct {
		int layer;
		struct layer_state with; /* what is not 0 replaces the healthy layer's */
		enum finding_code code;
		double value;
	} cases[] = {
		{2, {.update_ratio = 0.5}, FOUND_EXPLODING, 0.5},
		{0, {.grad_norm = 1e-6}, FOUND_VANISHING, 1e-5},
		{1, {.dead = 0.4}, FOUND_DEAD_RELU, 0.4},
		{1, {.activation = ACT_TANH, .saturated = 0.6}, FOUND_SATURATED, 0.6},
		{1, {.activation = ACT_SIGMOID, .saturated = 0.5}, FOUND_SATURATED, 0.5},
		{2, {.nonfinite = 7}, FOUND_NONFINITE, 7},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;
		healthy(&b);
		struct layer_state *l = &b.layers[cases[i].layer];
		const struct layer_state *w = &cases[i].with;
		l->update_ratio = w->update_ratio > 0 ? w->update_ratio : l->update_ratio;
		l->grad_norm = w->grad_norm > 0 ? w->grad_norm : l->grad_norm;
		l->dead = w->activation ? NAN : w->dead > 0 ? w->dead : l->dead;
		l->activation = w->activation ? w->activation : l->activation;
		l->saturated = w->saturated > 0 ? w->saturated : NAN;
		l->nonfinite = w->nonfinite;
		expect(&b, next(&b, 1, 1), cases[i].code, l->name, cases[i].value);
	}
}
END_TEST

START_TEST(just_below_a_bound_nothing_is_told)
{
	struct bench b;
	healthy(&b);
	b.layers[2].update_ratio = 0.29;
	b.layers[0].grad_norm = 0.1 * 1.1e-4;
	b.layers[1].dead = 0.39;
	ck_assert_int_eq(next(&b, 1, 1), 0);
	b.layers[1].activation = ACT_TANH;
	b.layers[1].saturated = 0.49;
	ck_assert_int_eq(next(&b, 0.9, 1), 0);
}
END_TEST

START_TEST(the_ends_of_the_last_layer_are_answers)
{
	struct bench b;
	healthy(&b);
	b.layers[LAYERS - 1].activation = ACT_SIGMOID;
	b.layers[LAYERS - 1].saturated = 1;
	ck_assert_int_eq(next(&b, 1, 1), 0);
}
END_TEST

START_TEST(a_net_that_has_learned_all_has_no_vanishing_gradients)
{
	struct bench b;
	healthy(&b);
	for (int i = 0; i < LAYERS; i++)
		b.layers[i].grad_norm = 0;
	ck_assert_int_eq(next(&b, 1, 1), 0);
}
END_TEST

START_TEST(a_gradient_norm_that_grows_a_hundredfold_is_told)
{
	struct bench b;
	healthy(&b);
	ck_assert_int_eq(next(&b, 1, 1), 0);
	b.e.now.grad_norm = 0.5;
	ck_assert_int_eq(next(&b, 0.9, 0.9), 0);
	b.e.now.grad_norm = 49;
	ck_assert_int_eq(next(&b, 0.8, 0.8), 0);
	b.e.now.grad_norm = 60;
	expect(&b, next(&b, 0.7, 0.7), FOUND_EXPLODING, NULL, 120);
}
END_TEST

START_TEST(a_loss_that_stands_still_is_a_plateau)
{
	struct bench b;
	healthy(&b);
	int n = 0, epoch = 0;
	for (epoch = 1; epoch <= 30 && n == 0; epoch++)
		n = next(&b, epoch < 8 ? 2.0 - 0.2 * epoch : 0.6 - 1e-5 * epoch, 1);
	ck_assert_int_eq(b.e.epoch, 12); /* the five from 8 on are no better than those up to 7 */
	ck_assert_str_eq(finding_name(b.found[0].code), "plateau");
	ck_assert_double_lt(b.found[0].value, 1e-3);
	healthy(&b);
	for (epoch = 0; epoch < 30; epoch++)
		ck_assert_int_eq(next(&b, 1e-6, 1), 0); /* nothing is left to gain */
}
END_TEST

START_TEST(a_validation_loss_that_rises_while_the_other_falls_is_overfitting)
{
	struct bench b;
	healthy(&b);
	ck_assert_int_eq(next(&b, 1.0, 1.0), 0);
	ck_assert_int_eq(next(&b, 0.8, 0.9), 0);
	ck_assert_int_eq(next(&b, 0.6, 1.2), 0); /* too early to say */
	ck_assert_int_eq(next(&b, 0.5, 1.1), 0);
	expect(&b, next(&b, 0.4, 1.35), FOUND_OVERFITTING, NULL, 0.5);
	healthy(&b);
	next(&b, 1, 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(next(&b, 0.9 - 0.1 * i, 0.2), 0);
	expect(&b, next(&b, 0.7, 0.2), FOUND_OVERFITTING, NULL, 200); /* of a thousandth, not of nothing */
	healthy(&b);
	next(&b, 0.5, 0.9);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(next(&b, 0.6, 1.5), 0); /* both rise: something else is wrong */
}
END_TEST

START_TEST(data_far_from_zero_and_one_are_told)
{
	static const struct {
		double mean, std, value;
	} cases[] = {{120, 60, 120}, {0, 30, 30}, {0.1, 0.001, 0.001}, {0.5, 0.25, 0}, {NAN, NAN, 0}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bench b;
		healthy(&b);
		b.e.input_mean = cases[i].mean;
		b.e.input_std = cases[i].std;
		int n = next(&b, 1, 1);
		if (cases[i].value > 0)
			expect(&b, n, FOUND_NOT_NORMALISED, NULL, cases[i].value);
		else
			ck_assert_int_eq(n, 0);
	}
}
END_TEST

START_TEST(a_broken_epoch_is_told_and_its_numbers_are_not_remembered)
{
	struct bench b;
	healthy(&b);
	next(&b, 1, 1);
	b.e.broken = true;
	b.e.now.grad_norm = NAN;
	ck_assert_int_eq(next(&b, NAN, NAN), 1);
	ck_assert_str_eq(finding_name(b.found[0].code), "nonfinite");
	b.e.broken = false;
	b.e.now.grad_norm = 1;
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(next(&b, 0.9 - 0.1 * i, 0.9 - 0.1 * i), 0);
}
END_TEST

START_TEST(after_a_restart_it_knows_what_it_knew)
{
	/* The same course, whole and from its eighth epoch on, has its findings in the same epochs. */
	struct past_epoch past[20];
	for (int i = 0; i < 20; i++)
		past[i] = (struct past_epoch){
			.metric = {i < 6 ? 1 - 0.1 * i : 0.5 - 1e-6 * i, 0.5, i < 4 ? 1 : 1 + 0.05 * i, 0.5},
			.grad_norm = 1};
	struct bench whole, rest;
	healthy(&whole);
	healthy(&rest);
	diagnosis_replay(&rest.d, past, 7);
	rest.e.epoch = 7;
	for (int i = 0; i < 20; i++) {
		int n = next(&whole, past[i].metric[SPEC_LOSS], past[i].metric[SPEC_VAL_LOSS]);
		if (i < 7)
			rest.d.told = whole.d.told;
		else
			ck_assert_int_eq(next(&rest, past[i].metric[SPEC_LOSS], past[i].metric[SPEC_VAL_LOSS]), n);
	}
	ck_assert_uint_eq(whole.d.told, 1u << FOUND_PLATEAU | 1u << FOUND_OVERFITTING);
}
END_TEST

TEST_SUITE(work_diagnose, 10)
{
	tcase_add_test(tc, a_healthy_training_has_no_findings);
	tcase_add_test(tc, each_layer_finding_names_its_layer_and_number);
	tcase_add_test(tc, just_below_a_bound_nothing_is_told);
	tcase_add_test(tc, the_ends_of_the_last_layer_are_answers);
	tcase_add_test(tc, a_net_that_has_learned_all_has_no_vanishing_gradients);
	tcase_add_test(tc, a_gradient_norm_that_grows_a_hundredfold_is_told);
	tcase_add_test(tc, a_loss_that_stands_still_is_a_plateau);
	tcase_add_test(tc, a_validation_loss_that_rises_while_the_other_falls_is_overfitting);
	tcase_add_test(tc, data_far_from_zero_and_one_are_told);
	tcase_add_test(tc, a_broken_epoch_is_told_and_its_numbers_are_not_remembered);
	tcase_add_test(tc, after_a_restart_it_knows_what_it_knew);
}
