/* test_columns.c - thinning of metrics: few rows, and yet every extreme. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "api/columns.h"
#include "runner.h"

enum { COLUMNS = 5, LIMIT = 64 };

/* Noise from the place alone, in [0, 1). */
static double noise(int epoch, int k)
{
	uint32_t v = (uint32_t)epoch * 2654435761u ^ (uint32_t)(k + 1) * 0x9e3779b9u;
	v = (v ^ v >> 15) * 0x85ebca6bu;
	v ^= v >> 13;
	return (double)v / 4294967296.0;
}

/* What column k holds at an epoch: noise, and one spike up and one down far from the ends. */
static double value(int epoch, int k, int epochs)
{
	if (epoch == epochs / 3 + 7 * k)
		return 100 + k;
	if (epoch == epochs / 2 + 11 * k)
		return -100 - k;
	return noise(epoch, k);
}

static void fill(struct columns *c, int epochs)
{
	columns_init(c, COLUMNS, LIMIT);
	for (int epoch = 1; epoch <= epochs; epoch++) {
		double *row = columns_add(c, epoch);
		ck_assert_ptr_nonnull(row);
		for (int k = 0; k < COLUMNS; k++)
			row[k] = value(epoch, k, epochs);
	}
	ck_assert(columns_finish(c));
}

START_TEST(a_spike_of_one_epoch_survives_in_every_column)
{
	static const int lengths[] = {65, 200, 513, 10000, 100000};
	for (size_t n = 0; n < sizeof lengths / sizeof lengths[0]; n++) {
		struct columns c;
		bool up[COLUMNS] = {false}, down[COLUMNS] = {false};
		fill(&c, lengths[n]);
		ck_assert_int_le(c.rows, LIMIT);
		ck_assert_int_eq(c.epochs[0], 1);
		ck_assert_int_eq(c.epochs[c.rows - 1], lengths[n]);
		for (int i = 0; i < c.rows; i++) {
			ck_assert(i == 0 || c.epochs[i] > c.epochs[i - 1]);
			for (int k = 0; k < COLUMNS; k++) {
				double v = c.values[i * COLUMNS + k];
				ck_assert(v == value(c.epochs[i], k, lengths[n]));
				up[k] |= v == 100 + k;
				down[k] |= v == -100 - k;
			}
		}
		for (int k = 0; k < COLUMNS && lengths[n] >= 200; k++)
			ck_assert_msg(up[k] && down[k], "column %d of %d epochs", k, lengths[n]);
		columns_done(&c);
	}
}
END_TEST

START_TEST(a_short_course_is_left_whole)
{
	struct columns c;
	fill(&c, LIMIT);
	ck_assert_int_eq(c.rows, LIMIT);
	columns_done(&c);
}
END_TEST

START_TEST(memory_stays_bounded_while_rows_come)
{
	struct columns c;
	fill(&c, 200000);
	ck_assert_int_le(c.capacity, 16 * LIMIT);
	columns_done(&c);
}
END_TEST

START_TEST(an_epoch_that_comes_again_replaces_itself_and_what_followed)
{
	struct columns c;
	columns_init(&c, 1, LIMIT);
	for (int epoch = 1; epoch <= 9; epoch++)
		columns_add(&c, epoch)[0] = epoch;
	columns_add(&c, 5)[0] = 50;
	ck_assert_int_eq(c.rows, 5);
	ck_assert_int_eq(c.epochs[4], 5);
	ck_assert(c.values[4] == 50);
	columns_done(&c);
}
END_TEST

START_TEST(what_was_not_computed_is_no_extreme)
{
	struct columns c;
	columns_init(&c, 1, 16);
	for (int epoch = 1; epoch <= 1000; epoch++) {
		double *row = columns_add(&c, epoch);
		ck_assert(isnan(row[0]));
		if (epoch == 400)
			row[0] = 3;
	}
	ck_assert(columns_finish(&c));
	ck_assert_int_eq(c.rows, 3);
	ck_assert_int_eq(c.epochs[1], 400);
	columns_done(&c);
}
END_TEST

TEST_SUITE(columns, 30)
{
	tcase_add_test(tc, a_spike_of_one_epoch_survives_in_every_column);
	tcase_add_test(tc, a_short_course_is_left_whole);
	tcase_add_test(tc, memory_stays_bounded_while_rows_come);
	tcase_add_test(tc, an_epoch_that_comes_again_replaces_itself_and_what_followed);
	tcase_add_test(tc, what_was_not_computed_is_no_extreme);
}
