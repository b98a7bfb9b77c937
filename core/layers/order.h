/*
 * order.h - layers that give a sample another shape: in PyTorch's order (channel, row, column) every element stays
 * where it is, and so it may move inside, where maps are channels-last. Called by flatten.c and reshape.c.
 */
#ifndef BP_LAYERS_ORDER_H
#define BP_LAYERS_ORDER_H

#include "layers/layer.h"

/* The plan and passes of a node whose in[0] and out have the same number of elements. Free when nothing moves. */
enum bp_status bp_order_plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err);
void bp_order_forward(const struct bp_layer_call *c);
void bp_order_backward(const struct bp_layer_call *c);

#endif
