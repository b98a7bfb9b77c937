/* test_crc32c.c - the checksum of checkpoints: the RFC's numbers, and the same ones in each way of computing them. */
#include "runner.h"
#include "train/crc32c.h"

START_TEST(the_checksum_is_that_of_the_rfc)
{
	static const unsigned char zeros[32], *const digits = (const unsigned char *)"123456789";
	struct bp_crc32c crc;
	bp_crc32c_init(&crc);
	bp_crc32c_add(&crc, zeros, sizeof(zeros)); /* RFC 3720, B.4 */
	ck_assert_uint_eq(bp_crc32c_value(&crc), 0x8a9136aa);
	for (size_t cut = 0; cut <= 9; cut++) {
		bp_crc32c_init(&crc);
		bp_crc32c_add(&crc, digits, cut);
		bp_crc32c_add(&crc, digits + cut, 9 - cut);
		ck_assert_uint_eq(bp_crc32c_value(&crc), 0xe3069283);
	}
}
END_TEST

START_TEST(the_checksum_is_the_same_by_tables_and_by_the_processor)
{
	unsigned char bytes[80];
	struct bp_crc32c by_tables, crc;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i * 151 + 7);
	bp_crc32c_init_tables(&by_tables);
	bp_crc32c_init(&crc);
	for (size_t from = 0; from < 8; from++)
		for (size_t n = 0; n <= sizeof(bytes) - from; n++) {
			bp_crc32c_restart(&by_tables);
			bp_crc32c_add(&by_tables, bytes + from, n);
			bp_crc32c_restart(&crc);
			bp_crc32c_add(&crc, bytes + from, n);
			ck_assert_uint_eq(bp_crc32c_value(&crc), bp_crc32c_value(&by_tables));
		}
	bp_crc32c_restart(&by_tables);
	bp_crc32c_add(&by_tables, "123456789", 9);
	ck_assert_uint_eq(bp_crc32c_value(&by_tables), 0xe3069283);
}
END_TEST

TEST_SUITE(crc32c, 10)
{
	tcase_add_test(tc, the_checksum_is_that_of_the_rfc);
	tcase_add_test(tc, the_checksum_is_the_same_by_tables_and_by_the_processor);
}
