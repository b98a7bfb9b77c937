/*
 * max_pool.h - the plan and passes of pooling layers that take the maximum. Called by the files of those layers.
 *
 * Forward keeps for each output which place of its window was the maximum, so that backward needs neither x nor y.
 * Where x is a ReLU's output and that maximum is 0, it keeps that there was none: the gradient stops at the ReLU.
 */
#ifndef BP_LAYERS_MAX_POOL_H
#define BP_LAYERS_MAX_POOL_H

#include "layers/window.h"

/* Which place was the maximum is kept in 16 bits: whether that is enough for the windows; the error names the field. */
enum bp_status bp_max_pool_check(const struct bp_window w[2], const char *field, struct bp_error *err);
enum bp_status bp_max_pool_plan(
	const struct bp_layer_setup *s, const struct bp_window w[2], struct bp_layer_plan *ret, struct bp_error *err);
void bp_max_pool_forward(const struct bp_layer_call *c);
void bp_max_pool_backward(const struct bp_layer_call *c);

#endif
