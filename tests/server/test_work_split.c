/* test_work_split.c - which samples validate: chosen by the seed alone, each sample on exactly one side. */
#include "runner.h"

#include <stdlib.h>
#include <string.h>

#include "work/split.h"

enum { N = 1000, NVAL = 100 };

START_TEST(every_sample_is_on_exactly_one_side_and_both_sides_rise)
{
	static const uint32_t counts[][2] = {{2, 1}, {10, 9}, {10, 1}, {N, NVAL}, {N, N}, {N, 0}};
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		uint32_t n = counts[c][0], nval = counts[c][1], index[N];
		int seen[N] = {0};
		ck_assert(split_draw(7, n, nval, index));
		for (uint32_t i = 0; i < n; i++) {
			ck_assert_uint_lt(index[i], n);
			ck_assert_int_eq(seen[index[i]]++, 0);
			if (i > 0 && i != n - nval)
				ck_assert_uint_lt(index[i - 1], index[i]);
		}
	}
}
END_TEST

START_TEST(the_same_seed_gives_the_same_split_and_another_seed_another)
{
	uint32_t a[N], b[N], c[N];
	ck_assert(split_draw(1, N, NVAL, a) && split_draw(1, N, NVAL, b) && split_draw(2, N, NVAL, c));
	ck_assert_mem_eq(a, b, sizeof(a));
	ck_assert_int_ne(memcmp(a, c, sizeof(a)), 0);
}
END_TEST

START_TEST(validation_samples_come_from_all_over_the_data)
{
	/* Sorted classes are common in files: ten equal parts must each give about a tenth of the validation samples.
	 * 1000 draws a part on average, a standard deviation of about 28. */
	int part[10] = {0};
	for (uint64_t seed = 0; seed < 100; seed++) {
		uint32_t index[N];
		ck_assert(split_draw(seed, N, NVAL, index));
		for (int i = N - NVAL; i < N; i++)
			part[index[i] / (N / 10)]++;
	}
	for (int i = 0; i < 10; i++)
		ck_assert_msg(part[i] > 850 && part[i] < 1150, "part %d gave %d", i, part[i]);
}
END_TEST

TEST_SUITE(work_split, 10)
{
	tcase_add_test(tc, every_sample_is_on_exactly_one_side_and_both_sides_rise);
	tcase_add_test(tc, the_same_seed_gives_the_same_split_and_another_seed_another);
	tcase_add_test(tc, validation_samples_come_from_all_over_the_data);
}
