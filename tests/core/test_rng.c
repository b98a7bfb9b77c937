/* test_rng.c - numbers drawn by key and counter. */
#include "base/rng.h"

#include "runner.h"

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

TEST_SUITE(rng, 10)
{
	tcase_add_test(tc, philox_gives_the_known_answers);
}
