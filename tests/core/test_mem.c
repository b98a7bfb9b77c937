/* test_mem.c - aligned blocks and overflow-checked sizes. */
#include "base/mem.h"

#include "runner.h"

#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

START_TEST(blocks_are_aligned_and_zeroed_whatever_their_size)
{
	static const size_t sizes[] = {0, 1, 63, 64, 65, 4096, (4 << 20) - 1, 4 << 20, (4 << 20) + 1};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		unsigned char *p = bp_mem_new(sizes[i]), any = 0;
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % BP_ALIGN, 0);
		for (size_t j = 0; j < sizes[i]; j++)
			any |= p[j];
		ck_assert_uint_eq(any, 0);
		bp_mem_free(p);
	}
	bp_mem_free(NULL);
}
END_TEST

static size_t resident_pages(void *block, size_t bytes)
{
	static unsigned char in_memory[1 << 14];
	size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = (bytes + page - 1) / page, n = 0;
	ck_assert_uint_le(pages, sizeof(in_memory));
	ck_assert_int_eq(mincore(block, bytes, in_memory), 0);
	for (size_t i = 0; i < pages; i++)
		n += in_memory[i] & 1;
	return n;
}

START_TEST(mapped_zeros_take_memory_when_they_are_touched_and_not_before)
{
	static const size_t sizes[] = {0, 1, 5000, 4 << 20, (40 << 20) + 1};
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		size_t bytes = sizes[i] ? sizes[i] : 1;
		unsigned char *p = bp_mem_map(sizes[i]);
		ck_assert_ptr_nonnull(p);
		ck_assert_uint_eq((uintptr_t)p % BP_ALIGN, 0);
		ck_assert_uint_eq(resident_pages(p, bytes), 0);
		ck_assert_uint_eq(p[0] | p[bytes - 1], 0);
		p[bytes / 2] = 1;
		ck_assert_uint_ge(resident_pages(p, bytes), 1);
		bp_mem_unmap(p, sizes[i]);
	}
	bp_mem_unmap(NULL, 0);
	ck_assert_ptr_null(bp_mem_map(SIZE_MAX));
	ck_assert_ptr_null(bp_mem_map((size_t)PTRDIFF_MAX + 1));
}
END_TEST

#ifndef __SANITIZE_THREAD__ /* its shadow of a block is memory too */
/* Of this process, exact: its own memory, for pages of files come in by the dozen when one is touched. */
static long long resident_bytes(void)
{
	char line[256];
	long long kib = -1;
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		sscanf(line, "Anonymous: %lld", &kib);
	fclose(f);
	return kib * 1024;
}

START_TEST(a_block_takes_its_bytes_and_gives_them_back)
{
	static const long long sizes[] = {1 << 20, (4 << 20) - 1, (5 << 20) + 1, (7 << 20) + 4096, 32 << 20};
	enum { NEAR = 64 << 10 };
	bp_mem_free(bp_mem_new(1 << 20)); /* pages of the program itself that are touched for the first time */
	(void)resident_bytes();
	for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
		long long before = resident_bytes();
		void *p = bp_mem_new((size_t)sizes[i]);
		long long taken = resident_bytes() - before;
		bp_mem_free(p);
		long long left = resident_bytes() - before;
		ck_assert_msg(
			taken >= sizes[i] - NEAR && taken <= sizes[i] + NEAR, "%lld bytes take %lld", sizes[i], taken);
		ck_assert_msg(left <= NEAR, "%lld of %lld bytes stay", left, sizes[i]);
	}
}
END_TEST
#endif

START_TEST(a_block_that_cannot_be_is_refused)
{
	ck_assert_ptr_null(bp_mem_new(SIZE_MAX));
	ck_assert_ptr_null(bp_mem_new(SIZE_MAX - BP_ALIGN));
	ck_assert_ptr_null(bp_mem_new((size_t)PTRDIFF_MAX + 1));
}
END_TEST

START_TEST(sizes_that_do_not_fit_are_refused_and_change_nothing)
{
	size_t r = 7;
	ck_assert(!bp_size_mul(SIZE_MAX / 2 + 1, 2, &r));
	ck_assert(!bp_size_add(SIZE_MAX, 1, &r));
	ck_assert(!bp_size_align(SIZE_MAX - BP_ALIGN + 2, &r));
	ck_assert_uint_eq(r, 7);
	ck_assert(bp_size_mul(SIZE_MAX / 2, 2, &r) && r == SIZE_MAX - 1);
	ck_assert(bp_size_add(SIZE_MAX - 1, 1, &r) && r == SIZE_MAX);
	ck_assert(bp_size_align(1, &r) && r == BP_ALIGN);
	ck_assert(bp_size_align(BP_ALIGN, &r) && r == BP_ALIGN);
	ck_assert(bp_size_align(0, &r) && r == 0);
}
END_TEST

TEST_SUITE(mem, 10)
{
	tcase_add_test(tc, blocks_are_aligned_and_zeroed_whatever_their_size);
	tcase_add_test(tc, mapped_zeros_take_memory_when_they_are_touched_and_not_before);
#ifndef __SANITIZE_THREAD__
	tcase_add_test(tc, a_block_takes_its_bytes_and_gives_them_back);
#endif
	tcase_add_test(tc, a_block_that_cannot_be_is_refused);
	tcase_add_test(tc, sizes_that_do_not_fit_are_refused_and_change_nothing);
}
