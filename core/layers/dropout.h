/* dropout.h - what the dropout layers share: the numbers that decide. Called by their own files, outside regions. */
#ifndef BP_LAYERS_DROPOUT_H
#define BP_LAYERS_DROPOUT_H

#include "kernels/dropout.h"
#include "layers/layer.h"

enum { BP_DROPOUT_P, BP_DROPOUT_ARGS };
extern const struct bp_arg bp_dropout_args[BP_DROPOUT_ARGS];

/* The seed, drop and scale of a call; the rest is 0. They follow from the pass's seed and step and the layer. */
struct bp_dropout bp_dropout_of(const struct bp_layer_call *c);

#endif
