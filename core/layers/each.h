/*
 * each.h - what element-wise layers share: the output's shape is the input's, and a pass goes over all elements in
 * blocks. Called by layers' own files, outside parallel regions.
 */
#ifndef BP_LAYERS_EACH_H
#define BP_LAYERS_EACH_H

#include "layers/layer.h"

/* ops->shape of a layer that changes no shape. */
enum bp_status bp_shape_keep(struct bp_node *node, struct bp_error *err);

/* One block: n elements from element `at` of the arrays in c, n a multiple of 64 but for the last. */
typedef void (*bp_each_fn)(const struct bp_layer_call *c, int64_t at, size_t n);

/* Calls fn over the output's elements of the whole batch. */
void bp_each_run(const struct bp_layer_call *c, bp_each_fn fn);

/* dy = 0 where y <= 0: takes a fused ReLU off the gradient. */
void bp_relu_undo(const struct bp_layer_call *c);

#endif
