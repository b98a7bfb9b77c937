/* test_retune.c - a learning rate and a length that change while a training runs, also around a stop. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "runner.h"
#include "training.h"

/* 24 samples in batches of 8: three steps an epoch. */
enum { SAMPLES = 24, BATCHES = 3, EPOCHS = 4 };

/* What happens after which step, and where it ends. */
struct plan {
	int64_t lr_step, epochs_step, stop_step; /* 0: never */
	double lr;
	int epochs;
	const char *save;
	int64_t steps; /* seen */
	double rates[EPOCHS * 2];
};

static enum bp_answer follow(void *user, struct bp_trainer *tr, const struct bp_event *ev)
{
	struct plan *p = user;
	struct bp_error err;
	if (ev->kind == BP_EVENT_EPOCH) {
		p->rates[ev->epoch - 1] = ev->metrics->lr;
		return BP_CONTINUE;
	}
	if (ev->kind == BP_EVENT_VALIDATION)
		return BP_CONTINUE;
	p->steps = ev->step;
	if (p->stop_step == ev->step) {
		ck_assert_int_eq(bp_trainer_save(tr, p->save, &err), BP_OK);
		return BP_STOP;
	}
	if (p->lr_step == ev->step)
		ck_assert_int_eq(bp_trainer_set_lr(tr, p->lr, &err), BP_OK);
	if (p->epochs_step == ev->step)
		ck_assert_int_eq(bp_trainer_set_epochs(tr, p->epochs, &err), BP_OK);
	return BP_CONTINUE;
}

static void start(struct training *t, int epochs, const char *schedule)
{
	training_init(t, "5 | Linear out_features=7 | Tanh | Dropout p=0.2 | Linear out_features=4", SAMPLES);
	t->params.epochs = epochs;
	t->params.seed = 11;
	training_item(BP_OPTIMIZER, "Adam", (struct training_arg[]){{"lr", 0.01}, {0}}, &t->params.optimizer);
	training_item(BP_SCHEDULER, schedule, NULL, &t->params.scheduler);
	training_start(t);
}

static void run(struct training *t, struct plan *p, bool done)
{
	bool ended = !done;
	ck_assert_int_eq(bp_trainer_run(t->trainer, follow, p, &ended, NULL), BP_OK);
	ck_assert_int_eq(ended, done);
}

START_TEST(a_rate_changed_on_the_way_holds_from_the_next_step_on)
{
	struct training t;
	struct plan p = {.lr_step = 2 * BATCHES, .lr = 0.001};
	start(&t, EPOCHS, "Constant");
	ck_assert_double_eq(bp_trainer_lr(t.trainer), 0.01);
	run(&t, &p, true);
	ck_assert_double_eq(p.rates[1], 0.01);
	ck_assert_double_eq(p.rates[2], 0.001);
	ck_assert_double_eq(bp_trainer_lr(t.trainer), 0.001);
	training_done(&t);
}
END_TEST

/* Stopped after step _i, before or after the change of step 4, and gone on with the rate that held there. */
START_TEST(changes_around_a_stop_give_the_same_bits)
{
	char path[] = "/tmp/retune-XXXXXX";
	struct training whole, first, rest;
	struct bp_error err;
	const struct plan changes = {.lr_step = 4, .lr = 0.003, .epochs_step = 5, .epochs = EPOCHS};
	struct plan all = changes, before = changes, after = changes;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	start(&whole, 2, "CosineAnnealingLR");
	run(&whole, &all, true);
	ck_assert_int_eq(all.steps, EPOCHS * BATCHES);
	before.stop_step = _i;
	before.save = path;
	start(&first, 2, "CosineAnnealingLR");
	run(&first, &before, false);
	start(&rest, 2, "CosineAnnealingLR");
	if (_i >= changes.lr_step)
		ck_assert_int_eq(bp_trainer_set_lr(rest.trainer, changes.lr, &err), BP_OK);
	if (_i >= changes.epochs_step)
		ck_assert_int_eq(bp_trainer_set_epochs(rest.trainer, changes.epochs, &err), BP_OK);
	ck_assert_msg(bp_trainer_restore(rest.trainer, path, &err) == BP_OK, "%s", err.message);
	unlink(path);
	run(&rest, &after, true);
	nets_equal(whole.net, rest.net, "gone on");
	training_done(&whole);
	training_done(&first);
	training_done(&rest);
}
END_TEST

START_TEST(a_training_made_longer_is_one_that_was_longer_from_the_start)
{
	struct training grown, longer;
	struct plan growing = {.epochs_step = 2 * BATCHES, .epochs = EPOCHS}, none = {0};
	start(&grown, 2, "Constant");
	start(&longer, EPOCHS, "Constant");
	run(&grown, &growing, true);
	run(&longer, &none, true);
	nets_equal(grown.net, longer.net, "made longer");
	training_done(&grown);
	training_done(&longer);
}
END_TEST

START_TEST(a_training_made_shorter_ends_with_the_epoch_that_has_begun)
{
	struct training t;
	struct plan p = {.epochs_step = BATCHES + 1, .epochs = 2};
	start(&t, EPOCHS, "Constant");
	run(&t, &p, true);
	ck_assert_int_eq(p.steps, 2 * BATCHES);
	training_done(&t);
}
END_TEST

START_TEST(values_that_no_training_can_have_are_refused)
{
	static const double rates[] = {0, -1, 1e5, 1.0 / 0.0, 0.0 / 0.0};
	struct training t;
	struct bp_error err;
	struct plan p = {.stop_step = BATCHES + 1};
	start(&t, EPOCHS, "Constant");
	for (size_t i = 0; i < sizeof(rates) / sizeof(rates[0]); i++) {
		ck_assert_int_eq(bp_trainer_set_lr(t.trainer, rates[i], &err), BP_EINVAL);
		ck_assert_str_eq(err.field, "lr");
	}
	ck_assert_double_eq(bp_trainer_lr(t.trainer), 0.01);
	ck_assert_int_eq(bp_trainer_set_epochs(t.trainer, 0, &err), BP_EINVAL);
	ck_assert_int_eq(bp_trainer_set_epochs(t.trainer, BP_MAX_EPOCHS + 1, &err), BP_EINVAL);
	ck_assert_str_eq(err.field, "epochs");
	char path[] = "/tmp/retune-XXXXXX";
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	p.save = path;
	run(&t, &p, false); /* in the second epoch */
	unlink(path);
	ck_assert_int_eq(bp_trainer_set_epochs(t.trainer, 1, &err), BP_EINVAL);
	ck_assert_int_eq(bp_trainer_set_epochs(t.trainer, 2, &err), BP_OK);
	training_done(&t);
}
END_TEST

TEST_SUITE(retune, 30)
{
	tcase_add_test(tc, a_rate_changed_on_the_way_holds_from_the_next_step_on);
	tcase_add_loop_test(tc, changes_around_a_stop_give_the_same_bits, 1, 6);
	tcase_add_test(tc, a_training_made_longer_is_one_that_was_longer_from_the_start);
	tcase_add_test(tc, a_training_made_shorter_ends_with_the_epoch_that_has_begun);
	tcase_add_test(tc, values_that_no_training_can_have_are_refused);
}
