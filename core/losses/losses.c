/* losses.c - the table of losses, built from losses.def. Read by base/item.c and the trainer; any thread. */
#include "losses/loss.h"

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
