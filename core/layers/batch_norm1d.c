/* batch_norm1d.c - the BatchNorm1d layer. Called by net.c and exec.c (layers/layer.h). */
#include "base/status.h"
#include "layers/norm_batch.h"

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	if (node->in[0].ndim > 2)
		return bp_fail(err, BP_EINVAL, -1, "inputs",
			"BatchNorm1d needs features or a sequence (channels, length), not 3 dimensions");
	node->out = node->in[0];
	return BP_OK;
}

const struct bp_layer_ops bp_layer_batch_norm1d = {
	.info = {"BatchNorm1d", "Normalises each feature, or channel of a sequence, over the batch.", bp_norm_args,
		BP_NORM_ARGS, 1, 1},
	.fuses_acts = true,
	.shape = shape,
	.params = bp_norm_params,
	.plan = bp_norm_plan,
	.norm_side = bp_norm_side,
	.forward = bp_norm_forward,
	.backward = bp_norm_backward,
};
