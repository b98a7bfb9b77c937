/*
 * max_pool2d.c - the MaxPool2d layer. Called by net.c and exec.c (layers/layer.h).
 *
 * Forward keeps for each output which place of its window was the maximum, so that backward needs neither x nor y.
 */
#include "base/shape.h"
#include "base/status.h"
#include "layers/window.h"

enum { KERNEL_SIZE, STRIDE, PADDING, DILATION, CEIL_MODE };
static const struct bp_arg args[] = {
	{"kernel_size", BP_ARG_PAIR, true, {0}, 1, 4096, NULL, "Height and width of the window."},
	{"stride", BP_ARG_PAIR, false, {BP_UNSET, BP_UNSET}, 1, 65536, NULL,
		"Step of the window; kernel_size when not given."},
	{"padding", BP_ARG_PAIR, false, {0, 0}, 0, 2048, NULL, "Places on each side that never are the maximum."},
	{"dilation", BP_ARG_PAIR, false, {1, 1}, 1, 65536, NULL, "Distance between the places of a window."},
	{"ceil_mode", BP_ARG_BOOL, false, {0}, 0, 1, NULL, "Whether windows may hang over the end."},
};

static void windows(const struct bp_node *node, struct bp_window ret[2])
{
	const struct bp_value *a = node->item.args;
	for (int i = 0; i < 2; i++) {
		double stride = a[STRIDE].v[0] == BP_UNSET ? a[KERNEL_SIZE].v[i] : a[STRIDE].v[i];
		ret[i] = (struct bp_window){.in = node->in[0].dim[1 + i],
			.out = node->out.dim[1 + i],
			.kernel = (int64_t)a[KERNEL_SIZE].v[i],
			.stride = (int64_t)stride,
			.padding = (int64_t)a[PADDING].v[i],
			.dilation = (int64_t)a[DILATION].v[i]};
	}
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	struct bp_window w[2];
	windows(node, w);
	/* Which place was the maximum is kept in 16 bits. */
	if (w[0].kernel * w[1].kernel >= BP_POOL_NO_TAP)
		return bp_fail(err, BP_ELIMIT, -1, "kernel_size", "a window has at most %d places", BP_POOL_NO_TAP - 1);
	return bp_pool_shape(node, w, bp_item_bool(&node->item, CEIL_MODE), err);
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_window w[2];
	struct bp_pool *pool = NULL;
	windows(s->node, w);
	enum bp_status st = bp_pool_new(w, s->node->out.dim[0], &pool, err);
	ret->own = pool;
	ret->saved = bp_shape_size(&s->node->out) * s->max_batch * (int64_t)sizeof(uint16_t);
	return st;
}

static void forward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	const bp_real *x = c->x[0] + sample * bp_shape_size(&c->node->in[0]);
	int64_t at = (sample * p->v.out_count + row) * p->h.out_count * p->c;
	c->ctx->k->max_pool(p, row, x, c->y + at, c->saved ? (uint16_t *)c->saved + at : NULL);
}

static void backward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	int64_t at = sample * bp_shape_size(&c->node->out);
	bp_real *dx = c->dx[0] + (sample * p->v.in + row) * p->h.in * p->c;
	c->ctx->k->max_pool_grad(p, row, c->dy + at, (const uint16_t *)c->saved + at, c->accumulate[0], dx);
}

static void forward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	bp_rows_run(c, p->v.out_count, bp_pool_row_work(p), forward_row);
}

static void backward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	if (c->dx[0])
		bp_rows_run(c, p->v.in, (int64_t)p->h.in * p->c, backward_row);
}

const struct bp_layer_ops bp_layer_max_pool2d = {
	.info = {"MaxPool2d", "The maximum of each window.", args, BP_ARG_COUNT(args), 1, 1},
	.shape = shape,
	.plan = plan,
	.plan_free = bp_pool_free,
	.forward = forward,
	.backward = backward,
};
