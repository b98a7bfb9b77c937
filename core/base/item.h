/*
 * item.h - the roll call of layers, losses, optimizers, schedulers, initialisations and augmentations, and what the
 * bp_item_* functions need of them.
 *
 * Every item is one `const struct bp_<kind>_ops bp_<kind>_<name>` in its own file, whose first member is a
 * `struct bp_item_info info`, and one line of its folder's .def file. Each folder makes one table of them:
 *
 *	static const struct bp_item_info *const infos[] = {
 *	#define LAYER(name) &bp_layer_##name.info,
 *	#include "layers/layers.def"
 *	};
 *	const struct bp_item_table bp_layer_items = BP_ITEM_TABLE(infos);
 *
 * Constant data only; any thread.
 */
#ifndef BP_BASE_ITEM_H
#define BP_BASE_ITEM_H

#include "backprop.h"

struct bp_item_table {
	int count;
	const struct bp_item_info *const *infos;
};
#define BP_ITEM_TABLE(infos)                                                                                           \
	{                                                                                                              \
		(int)(sizeof(infos) / sizeof((infos)[0])), (infos)                                                     \
	}

extern const struct bp_item_table bp_layer_items;     /* layers/layer.c */
extern const struct bp_item_table bp_loss_items;      /* losses/ */
extern const struct bp_item_table bp_optimizer_items; /* optims/ */
extern const struct bp_item_table bp_scheduler_items; /* schedules/ */
extern const struct bp_item_table bp_init_items;      /* inits/ */
extern const struct bp_item_table bp_augment_items;   /* augments/ */

/* Lines of an item's argument table. Each is an element of a static const struct bp_arg[]. */
#define BP_ARG_COUNT(args) ((int)(sizeof(args) / sizeof((args)[0])))

/* Checks type and every argument (kind, bounds, integers, choices, finite); the error names the field. Required
 * arguments that are still 0 fail by their bounds. layer goes into the error; -1 for none. */
enum bp_status bp_item_check(enum bp_item_kind kind, const struct bp_item *item, int layer, struct bp_error *err);

/* How many of a value's numbers are in use: 1, 2, or the length of a list. */
int bp_value_count(const struct bp_arg *arg, const struct bp_value *value);

/* The argument at a known place in the item's own table, for the item's own file. */
static inline int64_t bp_item_int(const struct bp_item *item, int arg)
{
	return (int64_t)item->args[arg].v[0];
}
static inline bool bp_item_bool(const struct bp_item *item, int arg)
{
	return item->args[arg].v[0] != 0;
}
static inline double bp_item_real(const struct bp_item *item, int arg)
{
	return item->args[arg].v[0];
}

#endif
