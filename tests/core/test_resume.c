/*
 * test_resume.c - every loss, optimizer, schedule and augmentation that is registered, in a training that stops after
 * each of its steps and goes on in another trainer: the same weights and the same reports, bit by bit.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"
#include "train/trainer.h"
#include "training.h"

enum { EPOCHS = 4, STEPS = 8 };

/* What is not as by default, where an item has it: all that makes a state, and falls that come soon. */
static double choose(const struct bp_arg *arg)
{
	static const struct {
		const char *name;
		double value;
	} chosen[] = {{"momentum", 0.9}, {"initial_accumulator_value", 0.5}, {"patience", 0}, {"threshold", 0.9},
		{"weight_decay", 0.1}, {"lr", 0.05}, {"padding", 2}, {"degrees", 40}, {"brightness", 0.5},
		{"contrast", 0.5}};
	for (size_t i = 0; i < sizeof(chosen) / sizeof(chosen[0]); i++)
		if (strcmp(arg->name, chosen[i].name) == 0)
			return chosen[i].value;
	if (arg->kind == BP_ARG_BOOL)
		return 1;
	if (arg->required)
		return arg->kind == BP_ARG_REAL ? 0.7 : 2;
	return arg->def[0];
}

/* Of an argument that is one; the last number is within the training. */
static const double long_list[] = {90, 91, 92, 93, 94, 95, 96, 97, 98, 99, 2};

static void item_choose(enum bp_item_kind kind, int type, struct bp_item *ret)
{
	const struct bp_item_info *info = bp_item_info(kind, type);
	bp_item_defaults(kind, type, ret);
	for (int i = 0; i < info->nargs; i++) {
		ret->args[i].v[0] = choose(&info->args[i]);
		ret->args[i].n = info->args[i].kind == BP_ARG_INTS;
		if (info->args[i].kind == BP_ARG_LONG_LIST) {
			ret->args[i].n = sizeof(long_list) / sizeof(long_list[0]);
			ret->list = long_list;
		}
	}
}

static void start(struct training *t, enum bp_item_kind kind, int type)
{
	bool image = kind == BP_AUGMENT;
	training_init(t,
		image ? "3x6x6 | Flatten | Linear out_features=5 | Tanh | Linear out_features=4"
		      : "3 | Linear out_features=5 | Tanh | Linear out_features=4",
		15);
	t->params.epochs = EPOCHS;
	t->params.seed = 7;
	training_item(BP_OPTIMIZER, "Adam", NULL, &t->params.optimizer);
	item_choose(kind, type,
		kind == BP_LOSS        ? &t->params.loss
		: kind == BP_OPTIMIZER ? &t->params.optimizer
		: kind == BP_SCHEDULER ? &t->params.scheduler
				       : &t->augment[0]);
	t->params.augment = t->augment;
	t->params.naugment = image;
	for (int i = 0; i < 15 * 4; i++) /* of yes and no */
		((float *)t->train.targets)[i] = (((float *)t->train.targets)[i] + 1) / 2;
	for (int i = 0; i < 4 * 4; i++)
		((float *)t->val.targets)[i] = (((float *)t->val.targets)[i] + 1) / 2;
	training_start(t);
}

static void goes_on(enum bp_item_kind kind, int type)
{
	const char *name = bp_item_info(kind, type)->name;
	struct training whole;
	struct report all = {0};
	start(&whole, kind, type);
	training_run(&whole, &all, true);
	ck_assert_int_eq(all.batches, STEPS);
	for (int stop = 1; stop < STEPS; stop++) {
		char path[] = "/tmp/resume-XXXXXX";
		struct training first, rest;
		struct report r = {.stop_after = stop, .save = path};
		int fd = mkstemp(path);
		ck_assert_int_ge(fd, 0);
		close(fd);
		start(&first, kind, type);
		training_run(&first, &r, false);
		training_done(&first);
		start(&rest, kind, type);
		enum bp_status st = bp_trainer_restore(rest.trainer, path, NULL);
		unlink(path);
		ck_assert_int_eq(st, BP_OK);
		r.stop_after = 0;
		training_run(&rest, &r, true);
		nets_equal(whole.net, rest.net, name);
		ck_assert_msg(memcmp(all.epoch, r.epoch, sizeof(all.epoch)) == 0, "%s: other metrics", name);
		ck_assert_msg(memcmp(all.layers, r.layers, sizeof(all.layers)) == 0, "%s: other statistics", name);
		training_done(&rest);
	}
	training_done(&whole);
}

START_TEST(every_loss_goes_on_to_the_same_bits)
{
	for (int type = 0; type < bp_item_count(BP_LOSS); type++)
		goes_on(BP_LOSS, type);
}
END_TEST

START_TEST(every_optimizer_goes_on_to_the_same_bits)
{
	for (int type = 0; type < bp_item_count(BP_OPTIMIZER); type++)
		goes_on(BP_OPTIMIZER, type);
}
END_TEST

START_TEST(every_schedule_goes_on_to_the_same_bits)
{
	for (int type = 0; type < bp_item_count(BP_SCHEDULER); type++)
		goes_on(BP_SCHEDULER, type);
}
END_TEST

START_TEST(every_augmentation_goes_on_to_the_same_bits)
{
	for (int type = 0; type < bp_item_count(BP_AUGMENT); type++)
		goes_on(BP_AUGMENT, type);
}
END_TEST

/* Else the test above would see nothing of its state. */
START_TEST(a_plateau_is_left_with_a_lower_rate)
{
	struct training t;
	struct report r = {0};
	start(&t, BP_SCHEDULER, bp_item_find(BP_SCHEDULER, "ReduceLROnPlateau"));
	training_run(&t, &r, true);
	ck_assert_double_eq(r.epoch[1].lr, r.epoch[0].lr);
	ck_assert_double_eq_tol(r.epoch[2].lr, r.epoch[0].lr / 10, 1e-15);
	ck_assert_double_eq_tol(r.epoch[3].lr, r.epoch[0].lr / 100, 1e-15);
	training_done(&t);
}
END_TEST

/* Statistics are read late, so there are some to be forgotten: of a step by hand, and of what a checkpoint takes back.
 */
START_TEST(only_steps_of_an_epoch_count_in_its_statistics)
{
	char path[] = "/tmp/resume-XXXXXX";
	struct training t;
	struct report one = {.stop_after = 1, .save = path}, more = {.stop_after = 3};
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	start(&t, BP_OPTIMIZER, 0);
	training_run(&t, &one, false);
	const struct bp_trainer *tr = t.trainer;
	const double norms = tr->progress.norm_sum;
	const struct bp_health first = tr->epoch_health[0];
	ck_assert_double_gt(norms, 0);
	ck_assert_int_eq(bp_trainer_step(t.trainer, 0, 8, NULL, NULL), BP_OK);
	bp_trainer_see(t.trainer);
	ck_assert_double_eq(tr->progress.norm_sum, norms);
	ck_assert_mem_eq(&tr->epoch_health[0], &first, sizeof(first));
	training_run(&t, &more, false);
	ck_assert_int_eq(bp_trainer_restore(t.trainer, path, NULL), BP_OK);
	bp_trainer_see(t.trainer);
	ck_assert_double_eq(tr->progress.norm_sum, norms);
	ck_assert_mem_eq(&tr->epoch_health[0], &first, sizeof(first));
	unlink(path);
	training_done(&t);
}
END_TEST

TEST_SUITE(resume, 60)
{
	tcase_add_test(tc, every_loss_goes_on_to_the_same_bits);
	tcase_add_test(tc, every_optimizer_goes_on_to_the_same_bits);
	tcase_add_test(tc, every_schedule_goes_on_to_the_same_bits);
	tcase_add_test(tc, every_augmentation_goes_on_to_the_same_bits);
	tcase_add_test(tc, a_plateau_is_left_with_a_lower_rate);
	tcase_add_test(tc, only_steps_of_an_epoch_count_in_its_statistics);
}
