/* max_pool.c - see max_pool.h. */
#include "layers/max_pool.h"

#include "base/shape.h"
#include "base/status.h"

enum bp_status bp_max_pool_check(const struct bp_window w[2], const char *field, struct bp_error *err)
{
	if (w[0].kernel * w[1].kernel >= BP_POOL_NO_TAP)
		return bp_fail(err, BP_ELIMIT, -1, field, "a window has at most %d places", BP_POOL_NO_TAP - 1);
	return BP_OK;
}

enum bp_status bp_max_pool_plan(
	const struct bp_layer_setup *s, const struct bp_window w[2], struct bp_layer_plan *ret, struct bp_error *err)
{
	struct bp_pool *pool = NULL;
	enum bp_status st = bp_pool_new(w, s->node->out.dim[0], &pool, err);
	ret->own = pool;
	ret->takes_relu = true;
	ret->saved = bp_shape_size(&s->node->out) * s->max_batch * (int64_t)sizeof(uint16_t);
	return st;
}

static void forward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	const bp_real *x = c->x[0] + sample * bp_shape_size(&c->node->in[0]);
	int64_t at = (sample * p->v.out_count + row) * p->h.out_count * p->c;
	c->ctx->k->max_pool(p, row, x, c->takes_relu, c->y + at, c->saved ? (uint16_t *)c->saved + at : NULL);
}

static void backward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	const struct bp_pool *p = c->own;
	int64_t at = sample * bp_shape_size(&c->node->out);
	bp_real *dx = c->dx[0] + (sample * p->v.in + row) * p->h.in * p->c;
	c->ctx->k->max_pool_grad(p, row, c->dy + at, (const uint16_t *)c->saved + at, c->accumulate[0], dx);
}

void bp_max_pool_forward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	bp_rows_run(c, p->v.out_count, bp_pool_row_work(p), forward_row);
}

void bp_max_pool_backward(const struct bp_layer_call *c)
{
	const struct bp_pool *p = c->own;
	if (c->dx[0])
		bp_rows_run(c, p->v.in, (int64_t)p->h.in * p->c, backward_row);
}
