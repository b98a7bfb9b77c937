/* test_schedules.c - every schedule against PyTorch's, and warm-up before it. */
#include <math.h>

#include "fixture.h"
#include "runner.h"
#include "schedules/schedule.h"
#include "spec_text.h"
#include "train/params.h"

enum { EPOCHS = 16, BATCHES = 3 };

/* An argument by name; n: how many numbers a list has, 0 for other kinds. */
struct setting {
	const char *name;
	double v[20];
	int n;
};

static const struct {
	const char *name; /* in schedules.txt */
	const char *type;
	struct setting settings[5];
	bool by_step; /* the fixture has a rate for each step, not for each epoch */
} cases[] = {
	{"constant", "Constant", {{0}}, false},
	{"step", "StepLR", {{"step_size", {3}, 0}}, false},
	{"step_gamma", "StepLR", {{"step_size", {1}, 0}, {"gamma", {0.8}, 0}}, false},
	{"cosine", "CosineAnnealingLR", {{0}}, false},
	{"cosine_past_end", "CosineAnnealingLR", {{"T_max", {5}, 0}, {"eta_min", {0.01}, 0}}, false},
	{"constant_factor", "ConstantLR", {{0}}, false},
	{"constant_factor_all", "ConstantLR", {{"factor", {0.25}, 0}, {"total_iters", {2}, 0}}, false},
	{"linear", "LinearLR", {{0}}, false},
	{"linear_down", "LinearLR", {{"start_factor", {1}, 0}, {"end_factor", {0.1}, 0}, {"total_iters", {12}, 0}},
		false},
	{"polynomial", "PolynomialLR", {{0}}, false},
	{"polynomial_power", "PolynomialLR", {{"total_iters", {16}, 0}, {"power", {0.9}, 0}}, false},
	{"exponential", "ExponentialLR", {{"gamma", {0.85}, 0}}, false},
	{"multi_step", "MultiStepLR", {{"milestones", {4, 9, 12}, 3}}, false},
	{"multi_step_gamma", "MultiStepLR", {{"milestones", {12, 3, 3, 7}, 4}, {"gamma", {0.5}, 0}}, false},
	{"multi_step_many", "MultiStepLR",
		{{"milestones", {15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 4, 4, 9, 900}, 19},
			{"gamma", {0.9}, 0}},
		false},
	{"warm_restarts", "CosineAnnealingWarmRestarts", {{"T_0", {5}, 0}, {"eta_min", {0.02}, 0}}, false},
	{"warm_restarts_longer", "CosineAnnealingWarmRestarts", {{"T_0", {2}, 0}, {"T_mult", {2}, 0}}, false},
	{"one_cycle", "OneCycleLR", {{0}}, true},
	{"one_cycle_linear", "OneCycleLR",
		{{"max_lr", {0.7}, 0}, {"pct_start", {0.45}, 0}, {"anneal_strategy", {1}, 0}, {"div_factor", {10}, 0}},
		true},
	{"one_cycle_three", "OneCycleLR",
		{{"three_phase", {1}, 0}, {"final_div_factor", {100}, 0}, {"pct_start", {0.4}, 0}}, true},
	{"one_cycle_only_falls", "OneCycleLR", {{"pct_start", {0.01}, 0}}, true},
	{"plateau", "ReduceLROnPlateau", {{"patience", {1}, 0}}, false},
	{"plateau_abs", "ReduceLROnPlateau",
		{{"patience", {0}, 0}, {"factor", {0.5}, 0}, {"threshold", {0.05}, 0}, {"threshold_mode", {1}, 0}},
		false},
	{"plateau_cooldown", "ReduceLROnPlateau",
		{{"patience", {0}, 0}, {"cooldown", {2}, 0}, {"min_lr", {0.01}, 0}, {"factor", {0.3}, 0}}, false},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct bp_train_params params_of(int i)
{
	struct bp_train_params p;
	bp_train_params_defaults(&p);
	p.epochs = EPOCHS;
	bp_item_defaults(BP_SCHEDULER, bp_item_find(BP_SCHEDULER, cases[i].type), &p.scheduler);
	for (const struct setting *s = cases[i].settings; s->name; s++) {
		const struct bp_value *known = bp_item_arg(BP_SCHEDULER, &p.scheduler, s->name);
		ck_assert_msg(known, "%s has no argument %s", cases[i].type, s->name);
		struct bp_value *value = &p.scheduler.args[known - p.scheduler.args];
		value->n = s->n;
		memcpy(value->v, s->v, sizeof(value->v));
		if (s->n > 0)
			p.scheduler.list = s->v;
	}
	ck_assert_int_eq(bp_item_check(BP_SCHEDULER, &p.scheduler, -1, NULL), BP_OK);
	return p;
}

static int named(const char *name)
{
	for (int i = 0; i < CASES; i++)
		if (strcmp(cases[i].name, name) == 0)
			return i;
	ck_abort_msg("no case %s", name);
	return -1;
}

/* The rate of a schedule that has seen nothing. */
static double rate(const struct bp_train_params *p, double lr, int64_t step)
{
	struct bp_schedule_state state;
	bp_schedule_start(&state);
	return bp_schedule_lr(p, lr, BATCHES, step, &state);
}

START_TEST(every_schedule_takes_the_course_of_pytorch)
{
	double want[EPOCHS * BATCHES];
	bool by_step = cases[_i].by_step;
	struct bp_train_params p = params_of(_i);
	struct bp_schedule_state state;
	struct fixture_draw d = {5};
	fixture_text("tests/fixtures/schedules.txt", cases[_i].name, want, by_step ? EPOCHS * BATCHES : EPOCHS);
	bp_schedule_start(&state);
	for (int step = 0; step < EPOCHS * BATCHES; step++) {
		ck_assert_double_eq_tol(
			bp_schedule_lr(&p, 0.4, BATCHES, step, &state), want[by_step ? step : step / BATCHES], 1e-11);
		struct bp_epoch epoch = {.epoch = step / BATCHES + 1, .loss = NAN};
		if (step % BATCHES != BATCHES - 1)
			continue;
		epoch.val_loss = 2 + fixture_real(&d) / 4 - 0.02 * epoch.epoch;
		bp_schedule_observe(&p, 0.4, &epoch, true, &state);
	}
}
END_TEST

START_TEST(every_schedule_has_a_case)
{
	for (int type = 0; type < bp_item_count(BP_SCHEDULER); type++) {
		const char *name = bp_item_info(BP_SCHEDULER, type)->name;
		bool found = false;
		for (int i = 0; i < CASES; i++)
			found |= strcmp(cases[i].type, name) == 0;
		ck_assert_msg(found, "%s has no case", name);
	}
}
END_TEST

START_TEST(milestones_are_one_to_256_whole_numbers_within_bounds)
{
	static const struct {
		int n;
		double last;
		enum bp_status status;
	} lists[] = {{0, 1, BP_EINVAL}, {-1, 1, BP_EINVAL}, {BP_MAX_LIST + 1, 1, BP_EINVAL}, {INT32_MAX, 1, BP_EINVAL},
		{1, 0, BP_EINVAL}, {9, 1.5, BP_EINVAL}, {BP_MAX_LIST, BP_MAX_EPOCHS + 1, BP_EINVAL},
		{BP_MAX_LIST, NAN, BP_EINVAL}, {BP_MAX_LIST, INFINITY, BP_EINVAL}, {1, 1, BP_OK},
		{BP_MAX_LIST, BP_MAX_EPOCHS, BP_OK}};
	double list[BP_MAX_LIST];
	struct bp_item item;
	struct bp_error err;
	bp_item_defaults(BP_SCHEDULER, bp_item_find(BP_SCHEDULER, "MultiStepLR"), &item);
	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		for (int j = 0; j < BP_MAX_LIST; j++)
			list[j] = j == lists[i].n - 1 ? lists[i].last : 7;
		item.args[0].n = lists[i].n;
		item.list = list;
		ck_assert_int_eq(bp_item_check(BP_SCHEDULER, &item, -1, &err), lists[i].status);
		ck_assert(lists[i].status == BP_OK || strcmp(err.field, "milestones") == 0);
	}
	item.list = NULL;
	ck_assert_int_eq(bp_item_check(BP_SCHEDULER, &item, -1, &err), BP_EINVAL);
	ck_assert_str_eq(err.message, "milestones is not there");
}
END_TEST

/* So a checkpoint belongs to them. The constants are of a version whose lists were short and in the item: a training
 * that it began goes on. */
START_TEST(a_fingerprint_holds_all_milestones)
{
	static const double lists[][10] = {
		{4, 9, 12, 13, 14, 15, 16, 17, 18, 19}, {4, 9, 12, 13, 14, 15, 16, 17, 18, 20}};
	static const int lengths[] = {1, 3, 9, 10};
	struct bp_net *net = net_text("3 | Linear out_features=4", 1);
	struct bp_train_params p;
	uint64_t prints[2][4];
	bp_train_params_defaults(&p);
	bp_item_defaults(BP_SCHEDULER, bp_item_find(BP_SCHEDULER, "MultiStepLR"), &p.scheduler);
	for (int i = 0; i < 2; i++)
		for (int j = 0; j < 4; j++) {
			p.scheduler.list = lists[i];
			p.scheduler.args[0].n = lengths[j];
			prints[i][j] = bp_train_fingerprint(&p, net, 20);
			ck_assert_msg(j == 0 || prints[i][j] != prints[i][j - 1], "%d milestones", lengths[j]);
			ck_assert_int_eq(prints[i][j] == prints[0][j], i == 0 || lengths[j] < 10);
		}
	ck_assert(prints[0][0] == 0x8ecddbd4b23d530bu && prints[0][1] == 0xb8eb377d4fbfbf13u);
	bp_net_free(net);
}
END_TEST

START_TEST(warm_up_rises_by_step_and_the_schedule_starts_after_it)
{
	struct bp_train_params p = params_of(named("cosine"));
	p.warmup_epochs = 2;
	for (int step = 0; step < 6; step++)
		ck_assert_double_eq_tol(rate(&p, 0.6, step), 0.1 * (step + 1), 1e-12);
	ck_assert_double_eq_tol(rate(&p, 0.6, 6), 0.6, 1e-12);
	/* half of the 14 epochs that are left */
	ck_assert_double_eq_tol(rate(&p, 0.6, 6 + 7 * BATCHES), 0.3, 1e-12);
}
END_TEST

START_TEST(a_warm_up_may_end_within_an_epoch)
{
	struct bp_train_params p = params_of(named("step_gamma"));
	p.warmup_epochs = 0.5; /* 1.5 steps, so 2 */
	static const double want[] = {0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.32};
	for (int step = 0; step < 7; step++)
		ck_assert_double_eq_tol(rate(&p, 0.4, step), want[step], 1e-12);
}
END_TEST

START_TEST(a_warm_up_may_last_for_the_whole_training)
{
	struct bp_train_params p = params_of(named("cosine"));
	p.warmup_epochs = EPOCHS;
	ck_assert_double_eq_tol(rate(&p, 0.4, EPOCHS * BATCHES - 1), 0.4, 1e-12);
	ck_assert_double_eq_tol(rate(&p, 0.4, EPOCHS * BATCHES), 0.4, 1e-12);
}
END_TEST

/* Step 0 of one cycle is the first step after the warm-up, and its last one that of the training. */
START_TEST(a_schedule_by_step_counts_from_the_end_of_the_warm_up)
{
	struct bp_train_params p = params_of(named("one_cycle"));
	p.warmup_epochs = 2;
	ck_assert_double_eq_tol(rate(&p, 0.5, 5), 0.5, 1e-12);
	ck_assert_double_eq_tol(rate(&p, 0.5, 6), 0.5 / 25, 1e-12);
	ck_assert_double_eq_tol(rate(&p, 0.5, EPOCHS * BATCHES - 1), 0.5 / 25 / 1e4, 1e-12);
	ck_assert_double_eq_tol(rate(&p, 0.5, EPOCHS * BATCHES + 7), 0.5 / 25 / 1e4, 1e-12);
}
END_TEST

static void observe(
	const struct bp_train_params *p, double loss, const double *val_loss, struct bp_schedule_state *state)
{
	struct bp_epoch epoch = {.epoch = 5, .loss = loss, .val_loss = val_loss ? *val_loss : NAN};
	bp_schedule_observe(p, 1, &epoch, val_loss, state);
}

START_TEST(a_plateau_is_of_the_loss_that_was_asked_for)
{
	struct bp_train_params p = params_of(named("plateau_cooldown"));
	struct bp_schedule_state state;
	const double falling[] = {3, 2, 1};
	for (int monitor = 0; monitor < 2; monitor++) {
		p.scheduler.args[bp_item_arg(BP_SCHEDULER, &p.scheduler, "monitor") - p.scheduler.args].v[0] = monitor;
		bp_schedule_start(&state);
		for (int i = 0; i < 3; i++)
			observe(&p, 5, &falling[i], &state);
		ck_assert_double_eq(state.scale, monitor ? 0.3 : 1);
		bp_schedule_start(&state);
		for (int i = 0; i < 3; i++)
			observe(&p, falling[i], NULL, &state); /* without validation there is one loss */
		ck_assert_double_eq(state.scale, 1);
	}
}
END_TEST

START_TEST(a_plateau_counts_what_is_not_a_number_as_bad_and_nothing_in_the_warm_up)
{
	struct bp_train_params p = params_of(named("plateau"));
	struct bp_schedule_state state;
	const double nan = NAN;
	bp_schedule_start(&state);
	for (int i = 0; i < 2; i++)
		observe(&p, 1, &nan, &state);
	ck_assert_double_eq_tol(state.scale, 0.1, 1e-15);
	bp_schedule_start(&state);
	p.warmup_epochs = 5;
	for (int i = 0; i < 2; i++)
		observe(&p, 1, &nan, &state);
	ck_assert_double_eq(state.scale, 1);
	p.warmup_epochs = 4.5; /* the warm-up ended within the fifth epoch */
	for (int i = 0; i < 2; i++)
		observe(&p, 1, &nan, &state);
	ck_assert_double_eq(state.scale, 1);
	p.warmup_epochs = 4;
	for (int i = 0; i < 2; i++)
		observe(&p, 1, &nan, &state);
	ck_assert_double_lt(state.scale, 1);
}
END_TEST

TEST_SUITE(schedules, 10)
{
	tcase_add_loop_test(tc, every_schedule_takes_the_course_of_pytorch, 0, CASES);
	tcase_add_test(tc, every_schedule_has_a_case);
	tcase_add_test(tc, milestones_are_one_to_256_whole_numbers_within_bounds);
	tcase_add_test(tc, a_fingerprint_holds_all_milestones);
	tcase_add_test(tc, warm_up_rises_by_step_and_the_schedule_starts_after_it);
	tcase_add_test(tc, a_warm_up_may_end_within_an_epoch);
	tcase_add_test(tc, a_warm_up_may_last_for_the_whole_training);
	tcase_add_test(tc, a_schedule_by_step_counts_from_the_end_of_the_warm_up);
	tcase_add_test(tc, a_plateau_is_of_the_loss_that_was_asked_for);
	tcase_add_test(tc, a_plateau_counts_what_is_not_a_number_as_bad_and_nothing_in_the_warm_up);
}
