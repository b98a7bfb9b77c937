/* test_schedules.c - every schedule against PyTorch's, and warm-up before it. */
#include <math.h>

#include "fixture.h"
#include "runner.h"
#include "schedules/schedule.h"

enum { EPOCHS = 16, BATCHES = 3 };

static const struct {
	const char *name; /* in schedules.txt */
	const char *type;
	double args[2]; /* in the order of the schedule's own */
} cases[] = {
	{"constant", "Constant", {0}},
	{"step", "StepLR", {3, 0.1}},
	{"step_gamma", "StepLR", {1, 0.8}},
	{"cosine", "CosineAnnealingLR", {BP_UNSET, 0}},
	{"cosine_past_end", "CosineAnnealingLR", {5, 0.01}},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct bp_train_params params_of(int i)
{
	struct bp_train_params p;
	bp_train_params_defaults(&p);
	p.epochs = EPOCHS;
	p.scheduler.type = bp_item_find(BP_SCHEDULER, cases[i].type);
	p.scheduler.args[0].v[0] = cases[i].args[0];
	p.scheduler.args[1].v[0] = cases[i].args[1];
	ck_assert_int_eq(bp_item_check(BP_SCHEDULER, &p.scheduler, -1, NULL), BP_OK);
	return p;
}

START_TEST(every_schedule_takes_the_course_of_pytorch)
{
	double want[EPOCHS];
	struct bp_train_params p = params_of(_i);
	fixture_text("tests/fixtures/schedules.txt", cases[_i].name, want, EPOCHS);
	for (int step = 0; step < EPOCHS * BATCHES; step++)
		ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.4, BATCHES, step), want[step / BATCHES], 1e-11);
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

START_TEST(warm_up_rises_by_step_and_the_schedule_starts_after_it)
{
	struct bp_train_params p = params_of(3);
	p.warmup_epochs = 2;
	for (int step = 0; step < 6; step++)
		ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.6, BATCHES, step), 0.1 * (step + 1), 1e-12);
	ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.6, BATCHES, 6), 0.6, 1e-12);
	/* half of the 14 epochs that are left */
	ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.6, BATCHES, 6 + 7 * BATCHES), 0.3, 1e-12);
}
END_TEST

START_TEST(a_warm_up_may_end_within_an_epoch)
{
	struct bp_train_params p = params_of(2);
	p.warmup_epochs = 0.5; /* 1.5 steps, so 2 */
	static const double want[] = {0.2, 0.4, 0.4, 0.4, 0.4, 0.4, 0.32};
	for (int step = 0; step < 7; step++)
		ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.4, BATCHES, step), want[step], 1e-12);
}
END_TEST

START_TEST(a_warm_up_may_last_for_the_whole_training)
{
	struct bp_train_params p = params_of(3);
	p.warmup_epochs = EPOCHS;
	ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.4, BATCHES, EPOCHS * BATCHES - 1), 0.4, 1e-12);
	ck_assert_double_eq_tol(bp_schedule_lr(&p, 0.4, BATCHES, EPOCHS * BATCHES), 0.4, 1e-12);
}
END_TEST

TEST_SUITE(schedules, 10)
{
	tcase_add_loop_test(tc, every_schedule_takes_the_course_of_pytorch, 0, CASES);
	tcase_add_test(tc, every_schedule_has_a_case);
	tcase_add_test(tc, warm_up_rises_by_step_and_the_schedule_starts_after_it);
	tcase_add_test(tc, a_warm_up_may_end_within_an_epoch);
	tcase_add_test(tc, a_warm_up_may_last_for_the_whole_training);
}
