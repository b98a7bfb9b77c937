/* layer.c - the tables of layer types, built from layers.def. */
#include "layers/layer.h"

const struct bp_layer_ops *const bp_layers[] = {
#define LAYER(name) &bp_layer_##name,
#include "layers/layers.def"
};

static const struct bp_item_info *const infos[] = {
#define LAYER(name) &bp_layer_##name.info,
#include "layers/layers.def"
};
const struct bp_item_table bp_layer_items = BP_ITEM_TABLE(infos);
