/*
 * blocks.h - runs a layer's work in fixed blocks, on one thread or many. How work is cut is the caller's and must
 * depend on shapes alone; then any number of threads gives the same bits. Called by layers' passes, outside parallel
 * regions.
 */
#ifndef BP_LAYERS_BLOCKS_H
#define BP_LAYERS_BLOCKS_H

#include "kernels/kernels.h"

enum {
	BP_BLOCK_ELEMENTS = 16384,  /* a good size of a block: its operands stay in the second-level cache */
	BP_SERIAL_ELEMENTS = 32768, /* less work than that is not worth a parallel region */
};

/* block: which; arg: what bp_blocks_run was given. Each block writes elements of its own. */
typedef void (*bp_block_fn)(const void *arg, int64_t block);

/* Calls fn for each block in 0..blocks-1, on several threads when the work is at least BP_SERIAL_ELEMENTS elements. */
void bp_blocks_run(const struct bp_ctx *ctx, int64_t blocks, int64_t elements, bp_block_fn fn, const void *arg);

/* How many blocks of size `size` cover n, and the length of one of them. */
static inline int64_t bp_blocks_count(int64_t n, int64_t size)
{
	return (n + size - 1) / size;
}
static inline int64_t bp_block_length(int64_t n, int64_t size, int64_t block)
{
	int64_t left = n - block * size;
	return left < size ? left : size;
}

#endif
