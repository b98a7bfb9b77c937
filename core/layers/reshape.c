/*
 * reshape.c - the Reshape layer: torch.reshape(x, (batch, *shape)), elements in PyTorch's order. Called by net.c and
 * exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/order.h"

enum { SHAPE };
static const struct bp_arg args[] = {
	{"shape", BP_ARG_INTS, true, {0}, -1, INT32_MAX, NULL,
		"The new shape without the batch: (features), (channels, length) or (channels, height, width); one -1 "
		"is what is left."},
};

/* The product of the sizes that are given; *ret_open is the place of the -1, or -1. */
static enum bp_status read_shape(const struct bp_value *v, int64_t *ret_size, int *ret_open, struct bp_error *err)
{
	*ret_size = 1;
	*ret_open = -1;
	if (v->n > BP_MAX_DIMS)
		return bp_fail(
			err, BP_EINVAL, -1, "shape", "Reshape makes 1 to %d dimensions, not %d", BP_MAX_DIMS, v->n);
	for (int i = 0; i < v->n; i++) {
		if (v->v[i] == 0)
			return bp_fail(err, BP_EINVAL, -1, "shape", "Reshape would make an empty dimension");
		if (v->v[i] < 0 && *ret_open >= 0)
			return bp_fail(err, BP_EINVAL, -1, "shape", "only one dimension of Reshape can be -1");
		if (v->v[i] < 0)
			*ret_open = i;
		else if (*ret_size > 0)
			*ret_size = bp_elements_mul(*ret_size, (int64_t)v->v[i]);
	}
	return BP_OK;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	const struct bp_value *v = &node->item.args[SHAPE];
	int64_t size = bp_shape_size(&node->in[0]), given;
	int open;
	enum bp_status st = read_shape(v, &given, &open, err);
	if (st)
		return st;
	char text[BP_SHAPE_TEXT];
	if (given < 0 || (open < 0 ? given != size : size % given != 0))
		return bp_fail(err, BP_EINVAL, -1, "shape", "Reshape cannot give the %lld elements of %s that shape",
			(long long)size, bp_shape_text(&node->in[0], text));
	node->out.ndim = v->n;
	for (int i = 0; i < v->n; i++)
		node->out.dim[i] = i == open ? size / given : (int64_t)v->v[i];
	return BP_OK;
}

const struct bp_layer_ops bp_layer_reshape = {
	.info = {"Reshape", "The same elements in another shape, in PyTorch's order.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = bp_order_plan,
	.forward = bp_order_forward,
	.backward = bp_order_backward,
};
