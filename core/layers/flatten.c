/*
 * flatten.c - the Flatten layer: a map becomes a vector in PyTorch's order (channel, row, column), so that the weights
 * of a layer after it match PyTorch's; or stays as it lies, where these lie for that (net.c). Called by net.c and
 * exec.c (layers/layer.h).
 */
#include "base/status.h"
#include "layers/order.h"

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	int64_t size = bp_shape_size(&node->in[0]);
	if (size > INT32_MAX)
		return bp_fail(err, BP_ELIMIT, -1, "inputs", "Flatten would make more than 2^31 - 1 features");
	node->out = (struct bp_shape){1, {size}};
	return BP_OK;
}

const struct bp_layer_ops bp_layer_flatten = {
	.info = {.name = "Flatten", .help = "All of a sample as one vector.", .min_inputs = 1, .max_inputs = 1},
	.flattens = true,
	.shape = shape,
	.plan = bp_order_plan,
	.forward = bp_order_forward,
	.backward = bp_order_backward,
};
