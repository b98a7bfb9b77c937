/* test_threads.c - the threads of a training: their number changes, and they can be ended. */
#include <check.h>
#include <dirent.h>

#include "runner.h"
#include "training.h"

static const char cnn[] = "3x8x8 | Conv2d out_channels=8 kernel_size=3 padding=1 bias=false | BatchNorm2d | ReLU"
			  " | MaxPool2d kernel_size=2 | Dropout p=0.2 | Conv2d out_channels=6 kernel_size=3 groups=2"
			  " | Flatten | Linear out_features=4";

static void start(struct training *t, int threads, int max)
{
	training_init(t, cnn, 64);
	t->params.threads = threads;
	t->params.max_threads = max;
	training_start(t);
}

START_TEST(threads_may_change_between_steps_and_are_kept_in_bounds)
{
	static const int threads[] = {3, -5, 1, 7, 1000, 2, 0, 4};
	struct training one, many;
	start(&one, 1, 1);
	start(&many, 2, 7);
	for (int i = 0; i < 8; i++) {
		double a, b;
		bp_trainer_set_threads(many.trainer, threads[i]);
		bp_trainer_set_threads(one.trainer, threads[i]); /* max_threads is 1 */
		ck_assert_int_eq(bp_trainer_step(one.trainer, 8 * i, 8, &a, NULL), BP_OK);
		ck_assert_int_eq(bp_trainer_step(many.trainer, 8 * i, 8, &b, NULL), BP_OK);
		ck_assert_double_eq(a, b);
	}
	nets_equal(one.net, many.net, "changing threads");
	training_done(&one);
	training_done(&many);
}
END_TEST

#ifdef _OPENMP /* plain threads end with their loop */
static int threads_alive(void)
{
	int n = 0;
	DIR *tasks = opendir("/proc/self/task");
	ck_assert_ptr_nonnull(tasks);
	for (const struct dirent *e; (e = readdir(tasks));)
		n += e->d_name[0] != '.';
	closedir(tasks);
	return n;
}

START_TEST(threads_that_trained_wait_for_more_until_they_are_ended)
{
	struct training t;
	start(&t, 3, 3);
	const int before = threads_alive();
	bp_threads_end(); /* of none */
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(bp_trainer_step(t.trainer, 0, 8, NULL, NULL), BP_OK);
		ck_assert_int_eq(threads_alive(), before + 2);
		bp_threads_end();
		while (threads_alive() > before) /* one that was joined is listed a moment longer */
			continue;
	}
	training_done(&t);
}
END_TEST
#endif

TEST_SUITE(threads, 60)
{
	tcase_add_test(tc, threads_may_change_between_steps_and_are_kept_in_bounds);
#ifdef _OPENMP
	tcase_add_test(tc, threads_that_trained_wait_for_more_until_they_are_ended);
#endif
}
