/* guard.c - blocks between untouchable pages (guard.h). Used by the tests of kernels and drivers; one thread. */
#include "guard.h"

#include <check.h>
#include <sys/mman.h>
#include <unistd.h>

struct span {
	char *map, *end; /* the mapping; its first and last page are the untouchable ones */
	size_t page;
};

/* The poison before a block fills at least one page. */
static size_t bytes_for(size_t n, size_t page)
{
	return (n * sizeof(bp_real) + page - 1) / page * page + 3 * page;
}

static struct span span_of(bp_real *block, size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	char *end = (char *)(block + n) + page;
	return (struct span){end - bytes_for(n, page), end, page};
}

bp_real *guard_new(size_t n)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = bytes_for(n, page);
	char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(map, MAP_FAILED);
	bp_real *first = (bp_real *)(map + page), *last = (bp_real *)(map + bytes - page);
	for (bp_real *p = first; p < last; p++)
		*p = GUARD_POISON;
	ck_assert_int_eq(mprotect(map, page, PROT_NONE), 0);
	ck_assert_int_eq(mprotect(last, page, PROT_NONE), 0);
	return last - n;
}

void guard_freeze(bp_real *block, size_t n)
{
	struct span s = span_of(block, n);
	ck_assert_int_eq(mprotect(s.map + s.page, (size_t)(s.end - s.map) - 2 * s.page, PROT_READ), 0);
}

void guard_free(bp_real *block, size_t n)
{
	struct span s = span_of(block, n);
	for (bp_real *p = (bp_real *)(s.map + s.page); p < block; p++)
		if (*p != GUARD_POISON)
			ck_abort_msg("written %td elements before a block", block - p);
	munmap(s.map, (size_t)(s.end - s.map));
}
