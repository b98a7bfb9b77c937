/* test_work_ending.c - early stopping and targets, from tables of numbers. */
#include "runner.h"

#include <math.h>

#include "work/ending.h"

enum { MAX = 12 };

static const struct {
	const char *what;
	struct spec_life life;
	int n;
	double values[MAX]; /* of the monitored metric, which is the target's too */
	int ends;           /* after which epoch; 0: never */
	enum verdict verdict;
	int best;
} cases[] = {
	{"patience counts epochs in a row", {.early_stopping = true, .patience = 2, .mode = SPEC_MODE_MIN}, 8,
		{5, 4, 4.5, 3, 3.5, 3.1, 2, 1}, 6, STOPS_EARLY, 4},
	{"no patience at all", {.early_stopping = true, .patience = 0, .mode = SPEC_MODE_MIN}, 4, {5, 4, 3, 3}, 4,
		STOPS_EARLY, 3},
	{"a gain within min_delta is none",
		{.early_stopping = true, .patience = 3, .min_delta = 0.5, .mode = SPEC_MODE_MIN}, 6,
		{5, 4.8, 4.6, 4.5, 3, 2}, 4, STOPS_EARLY, 1},
	{"what should rise", {.early_stopping = true, .patience = 2, .monitor = SPEC_ACCURACY, .mode = SPEC_MODE_MAX},
		6, {0.1, 0.5, 0.4, 0.5, 0.9, 1}, 4, STOPS_EARLY, 2},
	{"NaN is not better", {.early_stopping = true, .patience = 3, .mode = SPEC_MODE_MIN}, 4, {2, NAN, NAN, NAN}, 4,
		STOPS_EARLY, 1},
	{"NaN first", {.early_stopping = true, .patience = 2, .mode = SPEC_MODE_MIN}, 4, {NAN, 2, 1, 0.5}, 0, GOES_ON,
		4},
	{"none asked for", {.patience = 1, .mode = SPEC_MODE_MIN}, 6, {1, 2, 3, 4, 5, 6}, 0, GOES_ON, 1},
	{"a loss that falls to its target", {.target = true, .target_value = 0.5, .mode = SPEC_MODE_MIN}, 4,
		{2, 1, 0.5, 0.4}, 3, REACHED_TARGET, 3},
	{"an accuracy that rises to it",
		{.target = true,
			.target_metric = SPEC_VAL_ACCURACY,
			.target_value = 0.9,
			.monitor = SPEC_VAL_ACCURACY,
			.mode = SPEC_MODE_MAX},
		4, {0.5, 0.89, 0.95, 1}, 3, REACHED_TARGET, 3},
	{"a target counts before patience",
		{.early_stopping = true, .target = true, .target_value = 2, .patience = 1, .mode = SPEC_MODE_MIN}, 3,
		{1, 2, 3}, 1, REACHED_TARGET, 1},
};
enum { CASES = sizeof(cases) / sizeof(cases[0]) };

static struct past_epoch epoch_of(int c, int i)
{
	struct past_epoch p = {.metric = {NAN, NAN, NAN, NAN}};
	p.metric[cases[c].life.monitor] = cases[c].values[i];
	return p;
}

START_TEST(every_course_ends_where_the_table_says)
{
	struct ending e;
	int ends = 0;
	enum verdict verdict = GOES_ON;
	ending_init(&e, &cases[_i].life);
	for (int i = 0; i < cases[_i].n && !ends; i++) {
		struct past_epoch p = epoch_of(_i, i);
		verdict = ending_epoch(&e, i + 1, &p);
		ends = verdict == GOES_ON ? 0 : i + 1;
	}
	ck_assert_msg(ends == cases[_i].ends, "%s: after %d", cases[_i].what, ends);
	ck_assert_int_eq(verdict, cases[_i].verdict);
	ck_assert_msg(e.best_epoch == cases[_i].best, "%s: best %d", cases[_i].what, e.best_epoch);
}
END_TEST

START_TEST(a_replay_stands_where_the_training_stood)
{
	struct past_epoch past[MAX];
	for (int i = 0; i < cases[_i].n; i++)
		past[i] = epoch_of(_i, i);
	for (int n = 0; n <= cases[_i].n; n++) {
		struct ending live, replayed = {.life = &cases[_i].life};
		enum verdict verdict = GOES_ON;
		ending_init(&live, &cases[_i].life);
		for (int i = 0; i < n; i++)
			verdict = ending_epoch(&live, i + 1, &past[i]);
		ck_assert_int_eq(ending_replay(&replayed, past, n), verdict);
		ck_assert_int_eq(replayed.wait, live.wait);
		ck_assert_int_eq(replayed.best_epoch, live.best_epoch);
	}
}
END_TEST

TEST_SUITE(work_ending, 10)
{
	tcase_add_loop_test(tc, every_course_ends_where_the_table_says, 0, CASES);
	tcase_add_loop_test(tc, a_replay_stands_where_the_training_stood, 0, CASES);
}
