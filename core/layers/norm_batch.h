/* norm_batch.h - batch normalisation over the last, contiguous axis; BatchNorm1d and BatchNorm2d differ by the shapes
 * they take. Called by those two files. */
#ifndef BP_LAYERS_NORM_BATCH_H
#define BP_LAYERS_NORM_BATCH_H

#include "layers/layer.h"

/* The argument table of both. */
enum { BP_NORM_EPS, BP_NORM_MOMENTUM, BP_NORM_AFFINE, BP_NORM_ARGS };
extern const struct bp_arg bp_norm_args[BP_NORM_ARGS];

int bp_norm_params(const struct bp_node *node, struct bp_param ret[BP_LAYER_PARAMS]);
enum bp_status bp_norm_plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err);
void bp_norm_side(const struct bp_node *node, enum bp_act act, void *saved, struct bp_norm_side *ret);
void bp_norm_forward(const struct bp_layer_call *c);
void bp_norm_backward(const struct bp_layer_call *c);

#endif
