/* optims.c - the table of optimizers, built from optims.def. Read by base/item.c and the trainer; any thread. */
#include "optims/optim.h"

static const struct bp_item_info *const infos[] = {
#define OPTIM(id) &bp_optim_##id.info,
#include "optims/optims.def"
};
const struct bp_item_table bp_optimizer_items = BP_ITEM_TABLE(infos);

static const struct bp_optim_ops *const optims[] = {
#define OPTIM(id) &bp_optim_##id,
#include "optims/optims.def"
};

const struct bp_optim_ops *bp_optim_at(int type)
{
	return type >= 0 && type < bp_optimizer_items.count ? optims[type] : NULL;
}

double bp_optim_lr(const struct bp_item *item)
{
	return bp_item_arg(BP_OPTIMIZER, item, "lr")->v[0];
}
