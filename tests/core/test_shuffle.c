/* test_shuffle.c - the order of an epoch's samples, beside the shuffle drawn number by number. */
#include "train/shuffle.h"

#include "base/rng.h"
#include "kernels/kernels.h"

#include "runner.h"

#include <stdbool.h>
#include <string.h>

enum { MOST = 1000 };

/* Fisher and Yates, from the end. */
static void plain(uint64_t seed, uint32_t epoch, uint32_t n, uint32_t *ret)
{
	for (uint32_t i = 0; i < n; i++)
		ret[i] = i;
	for (uint32_t i = n - 1; i > 0; i--) {
		uint32_t r[4];
		bp_rng_block(seed, BP_RNG_SHUFFLE, epoch, i, r);
		const uint64_t wide = (uint64_t)r[0] << 32 | r[1];
		const uint32_t j = (uint32_t)(((unsigned __int128)wide * (i + 1)) >> 64), swap = ret[i];
		ret[i] = ret[j];
		ret[j] = swap;
	}
}

START_TEST(an_order_is_the_plain_shuffle_on_all_kernels)
{
	static const uint32_t counts[] = {1, 2, 63, 64, 65, 128, 200, MOST};
	uint32_t got[MOST], want[MOST];
	for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
		const uint64_t seed = 0x123456789abcdefu + i;
		plain(seed, 7, counts[i], want);
		for (int k = 0; bp_kernels_at(k); k++) {
			if (!bp_kernels_runs(k))
				continue;
			bp_shuffle(bp_kernels_at(k), seed, 7, counts[i], got);
			ck_assert_msg(memcmp(got, want, counts[i] * sizeof *got) == 0, "%u samples, %s", counts[i],
				bp_kernels_at(k)->name);
		}
	}
}
END_TEST

START_TEST(an_order_holds_every_sample_once_and_follows_its_epoch)
{
	const struct bp_kernels *k = bp_kernels_choose(~0u);
	uint32_t a[MOST], b[MOST];
	bool seen[MOST] = {false};
	int fixed = 0;
	bp_shuffle(k, 3, 1, MOST, a);
	bp_shuffle(k, 3, 2, MOST, b);
	ck_assert(memcmp(a, b, sizeof(a)) != 0);
	for (int i = 0; i < MOST; i++) {
		ck_assert(a[i] < MOST && !seen[a[i]]);
		seen[a[i]] = true;
		fixed += a[i] == (uint32_t)i;
	}
	ck_assert_int_lt(fixed, 8);
}
END_TEST

TEST_SUITE(shuffle, 10)
{
	tcase_add_test(tc, an_order_is_the_plain_shuffle_on_all_kernels);
	tcase_add_test(tc, an_order_holds_every_sample_once_and_follows_its_epoch);
}
