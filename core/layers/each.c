/* each.c - see each.h. */
#include "layers/each.h"

#include "base/shape.h"
#include "layers/blocks.h"

enum bp_status bp_shape_keep(struct bp_node *node, struct bp_error *err)
{
	(void)err;
	node->out = node->in[0];
	return BP_OK;
}

struct each {
	const struct bp_layer_call *call;
	bp_each_fn fn;
	int64_t elements;
};

static void run_block(const void *arg, int64_t block)
{
	const struct each *e = arg;
	e->fn(e->call, block * BP_BLOCK_ELEMENTS, (size_t)bp_block_length(e->elements, BP_BLOCK_ELEMENTS, block));
}

void bp_each_run(const struct bp_layer_call *c, bp_each_fn fn)
{
	struct each e = {c, fn, bp_shape_size(&c->node->out) * c->pass->n};
	bp_blocks_run(c->ctx, bp_blocks_count(e.elements, BP_BLOCK_ELEMENTS), e.elements, run_block, &e);
}

static void undo(const struct bp_layer_call *c, int64_t at, size_t n)
{
	c->ctx->k->relu_grad(n, c->y + at, c->dy + at, false, c->dy + at);
}

void bp_relu_undo(const struct bp_layer_call *c)
{
	bp_each_run(c, undo);
}
