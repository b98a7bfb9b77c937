/* blocks.c - see blocks.h. */
#include "layers/blocks.h"

void bp_blocks_run(const struct bp_ctx *ctx, int64_t blocks, int64_t elements, bp_block_fn fn, const void *arg)
{
	int threads = ctx->threads;
	if (threads > blocks)
		threads = (int)blocks;
	if (threads <= 1 || elements < BP_SERIAL_ELEMENTS) {
		for (int64_t b = 0; b < blocks; b++)
			fn(arg, b);
		return;
	}
#pragma omp parallel for schedule(static) num_threads(threads)
	for (int64_t b = 0; b < blocks; b++)
		fn(arg, b);
}
