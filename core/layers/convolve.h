/* convolve.h - what convolutions and Linear share: everything but their shapes. Called by conv_map.c and linear.c. */
#ifndef BP_LAYERS_CONVOLVE_H
#define BP_LAYERS_CONVOLVE_H

#include "layers/layer.h"

/* Completes weight (ndim, dim and order are the caller's) and adds a bias of so many elements (0: none), both drawn as
 * PyTorch does: kaiming_uniform(a = sqrt 5) and U(-1 / sqrt(fan_in), ..), which are the same bound. Returns how many.
 */
int bp_convolve_params(
	const struct bp_param *weight, int64_t fan_in, int64_t bias, struct bp_param ret[BP_LAYER_PARAMS]);
/* Plans the passes below, with all that they do for the layers beside this one; or `alone`, a convolution for passes of
 * the layer's own, which do nothing for others. */
enum bp_status bp_convolve_plan(const struct bp_layer_setup *s, const struct bp_conv_shape *shape,
	struct bp_layer_plan *ret, struct bp_error *err);
enum bp_status bp_convolve_plan_alone(const struct bp_layer_setup *s, const struct bp_conv_shape *shape,
	struct bp_layer_plan *ret, struct bp_error *err);
void bp_convolve_free(void *own);
void bp_convolve_forward(const struct bp_layer_call *c);
void bp_convolve_backward(const struct bp_layer_call *c);

#endif
