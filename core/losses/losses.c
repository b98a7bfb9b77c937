/* losses.c - the table of losses, built from losses.def. Read by base/item.c and the trainer; any thread. */
#include "losses/loss.h"

#include "base/parallel.h"

/* Below that many outputs in a batch, starting threads costs more than they save. */
enum { PARALLEL = 16384 };

static const struct bp_item_info *const infos[] = {
#define LOSS(id) &bp_loss_##id.info,
#include "losses/losses.def"
};
const struct bp_item_table bp_loss_items = BP_ITEM_TABLE(infos);

static const struct bp_loss_ops *const losses[] = {
#define LOSS(id) &bp_loss_##id,
#include "losses/losses.def"
};

const struct bp_loss_ops *bp_loss_at(int type)
{
	return type >= 0 && type < bp_loss_items.count ? losses[type] : NULL;
}

struct call {
	const struct bp_item *loss;
	const struct bp_kernels *k;
	const struct bp_loss_batch *batch;
};

static void sample(const void *arg, int64_t i)
{
	const struct call *c = arg;
	losses[c->loss->type]->sample(c->loss, c->k, c->batch, (int)i);
}

void bp_loss_run(const struct bp_item *loss, const struct bp_ctx *ctx, const struct bp_loss_batch *b)
{
	struct call c = {loss, ctx->k, b};
	bp_parallel_for(b->n * b->size < PARALLEL ? 1 : ctx->threads, b->n, sample, &c);
}
