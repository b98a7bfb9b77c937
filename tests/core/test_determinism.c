/*
 * test_determinism.c - the same bits whatever the threads, and whether or not a training was stopped and went on in
 * another process: weights, buffers and everything that is reported.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "runner.h"
#include "training.h"

/* Large enough that the gather, the loops over weights and each kind of pass run in parallel. */
static const char net[] =
	"3x16x16 | Conv2d out_channels=16 kernel_size=3 padding=1 bias=false | BatchNorm2d | a: ReLU"
	" | Conv2d out_channels=16 kernel_size=3 padding=1 bias=false | BatchNorm2d | b: ReLU"
	" | Add < a b | MaxPool2d kernel_size=2 | Dropout p=0.3 | Flatten | Linear out_features=80 | ReLU"
	" | Dropout p=0.5 | Linear out_features=4";
enum { SAMPLES = 111, BATCH = 48, EPOCHS = 2, STEPS = 6 };

static const char augment[] =
	"RandomCrop padding=[2] fill=9 | RandomHorizontalFlip | RandomRotation degrees=20 interpolation=bilinear"
	" | ColorJitter brightness=0.2 contrast=0.3 | RandomVerticalFlip | RandomErasing | GaussianNoise sigma=0.05";

static void start(struct training *t, int threads)
{
	training_init(t, net, SAMPLES);
	t->params.epochs = EPOCHS;
	t->params.batch_size = BATCH;
	t->params.seed = 5;
	t->params.threads = threads;
	t->params.max_threads = 7;
	t->params.clip_grad_norm = 1;
	t->params.warmup_epochs = 0.5;
	training_item(BP_OPTIMIZER, "Adam", (struct training_arg[]){{"lr", 0.01}, {0}}, &t->params.optimizer);
	training_item(BP_SCHEDULER, "CosineAnnealingLR", NULL, &t->params.scheduler);
	training_augment(t, augment);
	training_start(t);
}

static void reports_equal(const struct report *a, const struct report *b, const char *what)
{
	ck_assert_msg(memcmp(a->epoch, b->epoch, sizeof(a->epoch)) == 0, "%s: other metrics", what);
	ck_assert_msg(memcmp(a->layers, b->layers, sizeof(a->layers)) == 0, "%s: another health of the layers", what);
}

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	struct training one, many;
	struct report of_one = {0}, of_many = {.change_threads = _i == 5};
	char what[32];
	snprintf(what, sizeof(what), _i == 5 ? "changing threads" : "%d threads", _i == 6 ? 7 : _i);
	start(&one, 1);
	start(&many, _i == 5 ? 3 : _i == 6 ? 7 : _i);
	training_run(&one, &of_one, true);
	training_run(&many, &of_many, true);
	ck_assert_int_eq(of_one.batches, STEPS);
	nets_equal(one.net, many.net, what);
	reports_equal(&of_one, &of_many, what);
	training_done(&one);
	training_done(&many);
}
END_TEST

START_TEST(threads_may_change_between_the_batches_of_a_validation)
{
	struct training one, many;
	struct report of_one = {0}, of_many = {.change_threads = true};
	for (int i = 0; i < 2; i++) {
		struct training *t = i ? &many : &one;
		start(t, 1);
		bp_trainer_free(t->trainer);
		t->params.batch_size = 8;
		training_start(t);
	}
	training_run(&one, &of_one, true);
	training_run(&many, &of_many, true);
	ck_assert_int_eq(of_one.validations, EPOCHS * ((one.val.count + 7) / 8 - 1));
	ck_assert_int_eq(of_many.validations, of_one.validations);
	nets_equal(one.net, many.net, "changing in the validation");
	reports_equal(&of_one, &of_many, "changing in the validation");
	training_done(&one);
	training_done(&many);
}
END_TEST

/* The first steps of a training, by another process, up to a checkpoint. */
static void steps_elsewhere(int steps, const char *path)
{
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct training t;
		struct report r = {.stop_after = steps, .save = path};
		start(&t, 2);
		training_run(&t, &r, false);
		_exit(r.batches == steps ? 0 : 1);
	}
	int status = 0;
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

START_TEST(a_training_that_goes_on_in_another_process_has_the_same_bits)
{
	char path[] = "/tmp/determinism-XXXXXX";
	struct training whole, rest;
	struct report of_whole = {0}, of_rest = {0};
	struct bp_error err;
	int fd = mkstemp(path);
	ck_assert_int_ge(fd, 0);
	close(fd);
	steps_elsewhere(_i, path);
	start(&whole, 1);
	training_run(&whole, &of_whole, true);
	start(&rest, 3);
	enum bp_status st = bp_trainer_restore(rest.trainer, path, &err);
	unlink(path);
	ck_assert_msg(st == BP_OK, "%s", err.message);
	training_run(&rest, &of_rest, true);
	ck_assert_int_eq(of_rest.batches, STEPS - _i);
	nets_equal(whole.net, rest.net, "gone on");
	/* the first epoch was reported elsewhere when it was over before the stop */
	if (of_rest.epochs == 1)
		memset(of_whole.epoch, 0, sizeof(of_whole.epoch[0])),
			memset(of_whole.layers, 0, sizeof(of_whole.layers[0]));
	reports_equal(&of_whole, &of_rest, "gone on");
	training_done(&whole);
	training_done(&rest);
}
END_TEST

START_TEST(another_seed_gives_other_weights)
{
	struct training a, b;
	struct report r = {0};
	start(&a, 1);
	start(&b, 1);
	bp_trainer_free(b.trainer);
	b.params.seed = 6;
	training_start(&b);
	training_run(&a, &r, true);
	training_run(&b, &r, true);
	struct bp_tensor_info info;
	static bp_real wa[16 * 27], wb[16 * 27];
	bp_net_tensor_info(a.net, 0, &info);
	ck_assert_int_eq(info.dim[0] * info.dim[1] * info.dim[2] * info.dim[3], 16 * 27);
	bp_net_tensor_get(a.net, 0, wa);
	bp_net_tensor_get(b.net, 0, wb);
	ck_assert(memcmp(wa, wb, sizeof(wa)) != 0);
	training_done(&a);
	training_done(&b);
}
END_TEST

TEST_SUITE(determinism, 120)
{
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 2, 7);
	tcase_add_test(tc, threads_may_change_between_the_batches_of_a_validation);
	tcase_add_loop_test(tc, a_training_that_goes_on_in_another_process_has_the_same_bits, 1, STEPS);
	tcase_add_test(tc, another_seed_gives_other_weights);
}
