/*
 * mem.h - aligned blocks and overflow-checked sizes. Any thread.
 */
#ifndef BP_BASE_MEM_H
#define BP_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

enum { BP_ALIGN = 64 }; /* bytes: a cache line, and the widest vector */

/*
 * A zeroed block aligned to BP_ALIGN, or NULL when there is no memory or bytes is too large; 0 bytes give a block too.
 * Large blocks ask for huge pages: a batch's maps are swept whole, and 4 KiB pages would miss the TLB at every row. A
 * block takes its bytes, less than a page more, and nothing once it is freed.
 * Release with bp_mem_free.
 */
void *bp_mem_new(size_t bytes);
void bp_mem_free(void *block);

/*
 * Zeros that take memory page by page, as they are first touched: a net that is described, and never trained, costs
 * none for its weights, however many a client asks for. Aligned to BP_ALIGN at least; NULL when the system refuses.
 * Release with bp_mem_unmap and the same bytes; NULL is taken.
 */
void *bp_mem_map(size_t bytes);
void bp_mem_unmap(void *block, size_t bytes);

/* False when the result does not fit; *ret is then unchanged. */
static inline bool bp_size_mul(size_t a, size_t b, size_t *ret)
{
	size_t r;
	if (__builtin_mul_overflow(a, b, &r))
		return false;
	*ret = r;
	return true;
}
static inline bool bp_size_add(size_t a, size_t b, size_t *ret)
{
	size_t r;
	if (__builtin_add_overflow(a, b, &r))
		return false;
	*ret = r;
	return true;
}
/* bytes rounded up to a multiple of BP_ALIGN. */
static inline bool bp_size_align(size_t bytes, size_t *ret)
{
	size_t r;
	if (!bp_size_add(bytes, BP_ALIGN - 1, &r))
		return false;
	*ret = r / BP_ALIGN * BP_ALIGN;
	return true;
}

#endif
