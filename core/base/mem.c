/* mem.c - aligned blocks, with huge pages for large ones. Called wherever core allocates, on any thread. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
	HUGE_PAGE = 2 << 20,
	HUGE_FROM = 4 << 20 /* bytes: below this, the part of a huge page that is lost would weigh too much */
};

void *bp_mem_new(size_t bytes)
{
	size_t align = bytes >= HUGE_FROM ? HUGE_PAGE : BP_ALIGN, size;
	if (!bp_size_add(bytes ? bytes : 1, align - 1, &size) || size > PTRDIFF_MAX)
		return NULL;
	size = size / align * align;
	void *block = aligned_alloc(align, size);
	if (!block)
		return NULL;
	if (align == HUGE_PAGE)
		(void)madvise(block, size, MADV_HUGEPAGE); /* a wish: without it the block only is slower */
	memset(block, 0, size);
	return block;
}

void bp_mem_free(void *block)
{
	free(block);
}

/* Whole pages, huge ones for a large block; 0 when bytes is too large. */
static size_t mapped_size(size_t bytes)
{
	size_t page = bytes >= HUGE_FROM ? HUGE_PAGE : (size_t)sysconf(_SC_PAGESIZE), size;
	if (!bp_size_add(bytes ? bytes : 1, page - 1, &size) || size > PTRDIFF_MAX - HUGE_PAGE)
		return 0;
	return size / page * page;
}

void *bp_mem_map(size_t bytes)
{
	size_t size = mapped_size(bytes), spare = bytes >= HUGE_FROM ? HUGE_PAGE : 0;
	if (!size)
		return NULL;
	char *block = mmap(NULL, size + spare, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (block == MAP_FAILED || !spare)
		return block == MAP_FAILED ? NULL : block;
	/* A huge page's worth more, of which the ends are given back, is what it takes to be aligned to one. */
	size_t before = (HUGE_PAGE - (uintptr_t)block % HUGE_PAGE) % HUGE_PAGE;
	if (before)
		(void)munmap(block, before);
	(void)munmap(block + before + size, spare - before);
	(void)madvise(block + before, size, MADV_HUGEPAGE);
	return block + before;
}

void bp_mem_unmap(void *block, size_t bytes)
{
	if (block)
		(void)munmap(block, mapped_size(bytes));
}
