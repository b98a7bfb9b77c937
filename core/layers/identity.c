/* identity.c - the Identity layer: its input, at no cost. Called by net.c and exec.c (layers/layer.h). */
#include "layers/each.h"

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)s, (void)err;
	ret->alias = true;
	return BP_OK;
}

const struct bp_layer_ops bp_layer_identity = {
	.info = {.name = "Identity", .help = "Its input as it is.", .min_inputs = 1, .max_inputs = 1},
	.shape = bp_shape_keep,
	.plan = plan,
};
