/* order.c - see order.h. */
#include "layers/order.h"

#include "layers/blocks.h"

/* A shape as it lies in memory: pixels, and the channels of each. */
struct lie {
	int64_t pixels, channels;
};

static struct lie lie_of(const struct bp_shape *s)
{
	return (struct lie){bp_shape_size(s) / s->dim[0], s->dim[0]};
}

/* PyTorch's order and ours are the same. */
static bool is_plain(const struct lie *l)
{
	return l->pixels == 1 || l->channels == 1;
}

enum bp_status bp_order_plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	(void)err;
	struct lie in = lie_of(&s->node->in[0]), out = lie_of(&s->node->out);
	ret->alias = s->node->keeps_order || in.channels == out.channels || (is_plain(&in) && is_plain(&out));
	return BP_OK;
}

struct move {
	const struct bp_layer_call *call;
	struct lie in, out;
	const bp_real *from;
	bool acc;
	bp_real *to;
};

/* Neither order is plain: each element of the output is looked up. */
static void move_each(const struct move *m, const bp_real *from, bp_real *to)
{
	int64_t pixel = 0, channel = 0;
	for (int64_t c = 0; c < m->out.channels; c++)
		for (int64_t p = 0; p < m->out.pixels; p++) {
			bp_real *y = &to[p * m->out.channels + c];
			*y = from[pixel * m->in.channels + channel] + (m->acc ? *y : 0);
			if (++pixel == m->in.pixels) {
				pixel = 0;
				channel++;
			}
		}
}

static void move_sample(const void *arg, int64_t sample)
{
	const struct move *m = arg;
	int64_t at = sample * m->in.pixels * m->in.channels;
	const struct bp_kernels *k = m->call->ctx->k;
	if (is_plain(&m->out))
		k->transpose((size_t)m->in.pixels, (size_t)m->in.channels, m->from + at, m->acc, m->to + at);
	else if (is_plain(&m->in))
		k->transpose((size_t)m->out.channels, (size_t)m->out.pixels, m->from + at, m->acc, m->to + at);
	else
		move_each(m, m->from + at, m->to + at);
}

static void run(const struct move *m)
{
	int64_t n = m->call->pass->n;
	bp_blocks_run(m->call->ctx, n, n * m->in.pixels * m->in.channels, move_sample, m);
}

void bp_order_forward(const struct bp_layer_call *c)
{
	run(&(struct move){c, lie_of(&c->node->in[0]), lie_of(&c->node->out), c->x[0], false, c->y});
}

void bp_order_backward(const struct bp_layer_call *c)
{
	if (c->dx[0])
		run(&(struct move){
			c, lie_of(&c->node->out), lie_of(&c->node->in[0]), c->dy, c->accumulate[0], c->dx[0]});
}
