/* losses.c - the table of losses, built from losses.def. Read by base/item.c and the trainer; any thread. */
#include "losses/loss.h"

#include "base/parallel.h"

enum {
	PARALLEL = 16384, /* outputs of a batch; below, starting threads costs more than they save */
	PIECE = 16        /* samples of a thread's piece of it: whole vectors of them */
};

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

static void piece(const void *arg, int64_t i)
{
	const struct call *c = arg;
	struct bp_loss_batch b = *c->batch;
	const int64_t first = i * PIECE, at = first * b.size;
	b.n = b.n - first < PIECE ? (int)(b.n - first) : PIECE;
	b.out += at;
	b.labels = b.labels ? b.labels + first : NULL;
	b.targets = b.targets ? b.targets + at : NULL;
	b.ret_rows += first;
	b.ret_gradient = b.ret_gradient ? b.ret_gradient + at : NULL;
	losses[c->loss->type]->samples(c->loss, c->k, &b);
}

void bp_loss_run(const struct bp_item *loss, const struct bp_ctx *ctx, const struct bp_loss_batch *b)
{
	struct call c = {loss, ctx->k, b};
	if (b->n * b->size < PARALLEL)
		losses[loss->type]->samples(loss, ctx->k, b);
	else
		bp_parallel_for(ctx->threads, (b->n + PIECE - 1) / PIECE, piece, &c);
}
