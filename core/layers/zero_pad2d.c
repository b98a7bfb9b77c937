/*
 * zero_pad2d.c - the ZeroPad2d layer: rows and columns of zeros around a map; a negative number takes some away. Called
 * by net.c and exec.c (layers/layer.h).
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/blocks.h"
#include "layers/layer.h"

#include <string.h>

enum { PADDING };
static const struct bp_arg args[] = {
	{"padding", BP_ARG_INTS, true, {0}, -65536, 65536, NULL,
		"Zeros at the left, right, top and bottom; one number means all four. Negative ones crop."},
};

enum { LEFT, RIGHT, TOP, BOTTOM, SIDES };

static int64_t side(const struct bp_node *node, int at)
{
	const struct bp_value *v = &node->item.args[PADDING];
	return (int64_t)v->v[v->n == 1 ? 0 : at];
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	const struct bp_shape *in = &node->in[0];
	char text[BP_SHAPE_TEXT];
	int n = node->item.args[PADDING].n;
	if (in->ndim != 3)
		return bp_fail(err, BP_EINVAL, -1, "inputs", "ZeroPad2d needs a map (channels, height, width), not %s",
			bp_shape_text(in, text));
	if (n != 1 && n != SIDES)
		return bp_fail(err, BP_EINVAL, -1, "padding", "ZeroPad2d takes 1 or 4 numbers, not %d", n);
	node->out = *in;
	node->out.dim[1] += side(node, TOP) + side(node, BOTTOM);
	node->out.dim[2] += side(node, LEFT) + side(node, RIGHT);
	if (node->out.dim[1] < 1 || node->out.dim[2] < 1)
		return bp_fail(
			err, BP_EINVAL, -1, "padding", "ZeroPad2d would leave nothing of %s", bp_shape_text(in, text));
	return BP_OK;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	ret->alias = true;
	for (int i = 0; i < SIDES; i++)
		ret->alias &= side(s->node, i) == 0;
	return BP_OK;
}

/* One map laid over another: its row h is the other's row h + down, its column w the other's column w + right. */
struct lay {
	const struct bp_layer_call *call;
	const bp_real *from;
	bool acc;
	bp_real *to;
	int64_t from_rows, from_columns, to_rows, to_columns; /* columns in elements: columns x channels */
	int64_t down, right;                                  /* of `to` against `from` */
};

static void lay_row(const struct lay *l, const bp_real *from, bp_real *to)
{
	int64_t first = l->right < 0 ? -l->right : 0, end = l->from_columns - l->right;
	if (first > l->to_columns)
		first = l->to_columns;
	if (end > l->to_columns)
		end = l->to_columns;
	if (end < first)
		end = first;
	size_t n = (size_t)(end - first);
	if (l->acc && n > 0) {
		const bp_real *x[2] = {to + first, from + first + l->right};
		l->call->ctx->k->sum(n, 2, x, false, to + first);
	}
	if (l->acc)
		return;
	memset(to, 0, (size_t)first * sizeof(*to));
	if (n > 0)
		memcpy(to + first, from + first + l->right, n * sizeof(*to));
	memset(to + end, 0, (size_t)(l->to_columns - end) * sizeof(*to));
}

static void lay_sample(const void *arg, int64_t sample)
{
	const struct lay *l = arg;
	const bp_real *from = l->from + sample * l->from_rows * l->from_columns;
	bp_real *to = l->to + sample * l->to_rows * l->to_columns;
	for (int64_t h = 0; h < l->to_rows; h++, to += l->to_columns) {
		int64_t at = h + l->down;
		if (at >= 0 && at < l->from_rows)
			lay_row(l, from + at * l->from_columns, to);
		else if (!l->acc)
			memset(to, 0, (size_t)l->to_columns * sizeof(*to));
	}
}

static void run(const struct lay *l)
{
	int64_t n = l->call->pass->n;
	bp_blocks_run(l->call->ctx, n, n * l->to_rows * l->to_columns, lay_sample, l);
}

static void forward(const struct bp_layer_call *c)
{
	const struct bp_shape *in = &c->node->in[0], *out = &c->node->out;
	int64_t channels = in->dim[0];
	run(&(struct lay){c, c->x[0], false, c->y, in->dim[1], in->dim[2] * channels, out->dim[1],
		out->dim[2] * channels, -side(c->node, TOP), -side(c->node, LEFT) * channels});
}

static void backward(const struct bp_layer_call *c)
{
	const struct bp_shape *in = &c->node->in[0], *out = &c->node->out;
	int64_t channels = in->dim[0];
	if (c->dx[0])
		run(&(struct lay){c, c->dy, c->accumulate[0], c->dx[0], out->dim[1], out->dim[2] * channels, in->dim[1],
			in->dim[2] * channels, side(c->node, TOP), side(c->node, LEFT) * channels});
}

const struct bp_layer_ops bp_layer_zero_pad2d = {
	.info = {"ZeroPad2d", "Zeros around a map.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.forward = forward,
	.backward = backward,
};
