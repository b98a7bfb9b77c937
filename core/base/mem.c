/* mem.c - aligned blocks, with huge pages for large ones. Called wherever core allocates, on any thread. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	HUGE_PAGE = 2 << 20,
	MAP_FROM = 1 << 20 /* bytes: larger blocks are mappings of their own, and leave the process once freed */
};

/* Before each block of bp_mem_new, BP_ALIGN bytes of it. */
struct head {
	size_t mapped; /* bytes of the mapping, this included; 0: it is malloc's */
};
_Static_assert(sizeof(struct head) <= BP_ALIGN, "a block stays aligned behind its head");

/* Whole pages; 0 when bytes is too large. */
static size_t mapped_size(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), size;
	if (!bp_size_add(bytes ? bytes : 1, page - 1, &size) || size > PTRDIFF_MAX - HUGE_PAGE)
		return 0;
	return size / page * page;
}

void *bp_mem_map(size_t bytes)
{
	size_t size = mapped_size(bytes), spare = bytes >= HUGE_PAGE ? HUGE_PAGE : 0,
	       huge = size / HUGE_PAGE * HUGE_PAGE;
	if (!size)
		return NULL;
	char *block = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED || !spare)
		return block == MAP_FAILED ? NULL : block;
	/* A huge page's worth more, of which the ends are given back, is what it takes to be aligned to one. */
	size_t before = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
	if (before)
		(void)munmap(block, before);
	block += before;
	(void)munmap(block + size, spare - before);
	/* Wishes: without them the block only is slower, or larger. The end that does not fill a huge page must not get
	 * one: what is planned is what is taken. */
	(void)madvise(block, huge, MADV_HUGEPAGE);
	if (size > huge)
		(void)madvise(block + huge, size - huge, MADV_NOHUGEPAGE);
	return block;
}

void bp_mem_unmap(void *block, size_t bytes)
{
	if (block)
		(void)munmap(block, mapped_size(bytes));
}

void *bp_mem_new(size_t bytes)
{
	size_t size;
	if (!bp_size_align(bytes ? bytes : 1, &size) || !bp_size_add(size, BP_ALIGN, &size) || size > PTRDIFF_MAX)
		return NULL;
	bool map = bytes >= MAP_FROM;
	char *whole = map ? bp_mem_map(size) : aligned_alloc(BP_ALIGN, size);
	if (!whole)
		return NULL;
	memset(whole, 0, size); /* a mapping is zeros already, but now it is in memory too */
	((struct head *)whole)->mapped = map ? size : 0;
	return whole + BP_ALIGN;
}

void bp_mem_free(void *block)
{
	struct head *whole = block ? (struct head *)((char *)block - BP_ALIGN) : NULL;
	if (whole && whole->mapped)
		bp_mem_unmap(whole, whole->mapped);
	else
		free(whole);
}
