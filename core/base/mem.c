/* mem.c - aligned blocks, with huge pages for large ones. Called wherever core allocates, on any thread. */
#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

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
