/* blocks.c - see blocks.h. */
#include "layers/blocks.h"

#include "base/parallel.h"

void bp_blocks_run(const struct bp_ctx *ctx, int64_t blocks, int64_t elements, bp_block_fn fn, const void *arg)
{
	bp_parallel_for(elements < BP_SERIAL_ELEMENTS ? 1 : ctx->threads, blocks, fn, arg);
}
