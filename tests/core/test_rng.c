/* test_rng.c - numbers drawn by key and counter, and permutations of them. */
#include "base/rng.h"

#include "runner.h"

#include <stdbool.h>
#include <string.h>

START_TEST(philox_gives_the_known_answers)
{
	/* Of the authors' library: counter and key all zeros, and digits of pi, which here leave stream and sub free.
	 */
	uint32_t r[4];
	bp_rng_block(0, BP_RNG_INIT, 0, 0, r);
	ck_assert(r[0] == 0x6627e8d5u && r[1] == 0xe169c58du && r[2] == 0xbc57ac4cu && r[3] == 0x9b00dbd8u);
	bp_rng_block(0x299f31d0a4093822u, (enum bp_stream)0x03707344, 0x13198a2eu, 0x85a308d3243f6a88u, r);
	ck_assert(r[0] == 0xd16cfe09u && r[1] == 0x94fdccebu && r[2] == 0x5001e420u && r[3] == 0x24126ea1u);
}
END_TEST

START_TEST(a_permutation_holds_every_number_once_and_follows_its_key)
{
	enum { N = 1000 };
	uint32_t a[N], b[N];
	bool seen[N] = {false};
	int fixed = 0;
	bp_rng_permutation(3, BP_RNG_SHUFFLE, 1, N, a);
	bp_rng_permutation(3, BP_RNG_SHUFFLE, 2, N, b);
	ck_assert(memcmp(a, b, sizeof(a)) != 0);
	for (int i = 0; i < N; i++) {
		ck_assert(a[i] < N && !seen[a[i]]);
		seen[a[i]] = true;
		fixed += a[i] == (uint32_t)i;
	}
	ck_assert_int_lt(fixed, 8);
}
END_TEST

TEST_SUITE(rng, 10)
{
	tcase_add_test(tc, philox_gives_the_known_answers);
	tcase_add_test(tc, a_permutation_holds_every_number_once_and_follows_its_key);
}
