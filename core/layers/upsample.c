/*
 * upsample.c - the Upsample layer: larger (or smaller) maps by the nearest pixel or by linear interpolation, as PyTorch
 * defines them. Called by net.c and exec.c (layers/layer.h).
 *
 * Along each axis an output place is a weighted sum of one or two input places. Backward reads the same lists by input
 * place, so that each place of dx is written once.
 */
#include "base/shape.h"
#include "base/status.h"
#include "kernels/resample.h"
#include "layers/window.h"

#include <math.h>
#include <stdlib.h>

enum { SIZE, SCALE_FACTOR, MODE, ALIGN_CORNERS };
enum { NEAREST, LINEAR, BILINEAR };
static const struct bp_arg args[] = {
	{"size", BP_ARG_PAIR, false, {BP_UNSET, BP_UNSET}, 1, 65536, NULL,
		"Height and width, or length, of the output."},
	{"scale_factor", BP_ARG_REAL, false, {BP_UNSET}, 1e-3, 1e3, NULL,
		"How many times larger the output is, when size is not given."},
	{"mode", BP_ARG_CHOICE, false, {NEAREST}, 0, BILINEAR, "nearest|linear|bilinear",
		"The nearest pixel; or between neighbours, linear for sequences and bilinear for maps."},
	{"align_corners", BP_ARG_BOOL, false, {0}, 0, 1, NULL,
		"Whether the corner pixels keep their values when interpolating."},
};

enum { MAX_SIDE = 1 << 22 }; /* so that tables stay small */

static int64_t mode_of(const struct bp_node *node)
{
	return bp_item_int(&node->item, MODE);
}

static bool is_set(const struct bp_node *node, int arg)
{
	return node->item.args[arg].v[0] != BP_UNSET;
}

static enum bp_status check(const struct bp_node *node, struct bp_error *err)
{
	const int ndim = node->in[0].ndim;
	const double *size = node->item.args[SIZE].v;
	int64_t mode = mode_of(node);
	if (ndim < 2)
		return bp_fail(err, BP_EINVAL, -1, "inputs", "Upsample needs a map or a sequence");
	if ((mode == LINEAR && ndim != 2) || (mode == BILINEAR && ndim != 3))
		return bp_fail(err, BP_EINVAL, -1, "mode", "mode linear is for sequences, bilinear for maps");
	if (is_set(node, SIZE) == is_set(node, SCALE_FACTOR))
		return bp_fail(err, BP_EINVAL, -1, is_set(node, SIZE) ? "scale_factor" : "size",
			"one of size and scale_factor must be given");
	if (ndim == 2 && size[0] != size[1])
		return bp_fail(err, BP_EINVAL, -1, "size", "the size of a sequence is one number");
	if (mode == NEAREST && bp_item_bool(&node->item, ALIGN_CORNERS))
		return bp_fail(err, BP_EINVAL, -1, "align_corners", "align_corners needs mode linear or bilinear");
	return BP_OK;
}

static enum bp_status shape(struct bp_node *node, struct bp_error *err)
{
	enum bp_status st = check(node, err);
	if (st)
		return st;
	const struct bp_shape *in = &node->in[0];
	node->out = *in;
	for (int d = 1; d < in->ndim; d++) {
		double size = node->item.args[SIZE].v[d - 1];
		if (!is_set(node, SIZE))
			size = floor((double)in->dim[d] * bp_item_real(&node->item, SCALE_FACTOR));
		if (size < 1)
			return bp_fail(err, BP_EINVAL, -1, "scale_factor", "nothing is left of %lld %s",
				(long long)in->dim[d], d == in->ndim - 1 ? "columns" : "rows");
		if (size > MAX_SIDE || in->dim[d] > MAX_SIDE)
			return bp_fail(err, BP_ELIMIT, -1, is_set(node, SIZE) ? "size" : "scale_factor",
				"maps have at most %d rows and columns here", MAX_SIDE);
		node->out.dim[d] = (int64_t)size;
	}
	return BP_OK;
}

/* An axis. */
struct side {
	int64_t in, out;
	int64_t mode;
	bool align_corners;
	double scale; /* input places of an output place */
};

/* Where output place o lies: between input place *ret_first and the one after it, whose share is *ret_next. */
static void place(const struct side *s, int64_t o, int64_t *ret_first, double *ret_next)
{
	*ret_next = 0;
	if (s->mode == NEAREST) {
		/* PyTorch multiplies in single precision, except by 1 and by 2. */
		int64_t at = (int64_t)floorf((float)o * (float)s->scale);
		if (s->out == s->in || s->out == 2 * s->in)
			at = s->out == s->in ? o : o / 2;
		*ret_first = at < s->in - 1 ? at : s->in - 1;
		return;
	}
	double at = s->align_corners ? s->scale * (double)o : s->scale * ((double)o + 0.5) - 0.5;
	at = at < 0 ? 0 : at;
	*ret_first = (int64_t)at < s->in - 1 ? (int64_t)at : s->in - 1;
	double share = at - (double)*ret_first;
	if (*ret_first < s->in - 1)
		*ret_next = share > 1 ? 1 : share;
}

static struct side side_of(const struct bp_node *node, int64_t in, int64_t out)
{
	struct side s = {.in = in, .out = out, .mode = mode_of(node)};
	s.align_corners = bp_item_bool(&node->item, ALIGN_CORNERS);
	if (s.align_corners)
		s.scale = out > 1 ? (double)(in - 1) / (double)(out - 1) : 0;
	else if (is_set(node, SCALE_FACTOR))
		s.scale = 1 / bp_item_real(&node->item, SCALE_FACTOR);
	else
		s.scale = (double)in / (double)out;
	return s;
}

struct own {
	struct bp_resample forward, backward;
};

static bool axis_new(struct bp_resample_axis *a, int64_t in, int64_t out, int64_t entries)
{
	a->in = (int)in;
	a->out = (int)out;
	a->begin = calloc((size_t)out + 1, sizeof(*a->begin));
	a->from = calloc((size_t)entries, sizeof(*a->from));
	a->weight = calloc((size_t)entries, sizeof(*a->weight));
	return a->begin && a->from && a->weight;
}

static void axis_done(struct bp_resample_axis *a)
{
	free(a->begin);
	free(a->from);
	free(a->weight);
}

static void own_free(void *own)
{
	struct own *o = own;
	if (!o)
		return;
	axis_done(&o->forward.v);
	axis_done(&o->forward.h);
	axis_done(&o->backward.v);
	axis_done(&o->backward.h);
	free(o);
}

static void axis_fill(const struct side *s, struct bp_resample_axis *a)
{
	int32_t n = 0;
	for (int64_t o = 0; o < s->out; o++) {
		int64_t first;
		double next;
		place(s, o, &first, &next);
		a->from[n] = (int32_t)first;
		a->weight[n++] = (bp_real)(1 - next);
		if (next > 0) {
			a->from[n] = (int32_t)first + 1;
			a->weight[n++] = (bp_real)next;
		}
		a->begin[o + 1] = n;
	}
}

/* From the lists of inputs by output to the lists of outputs by input, in ascending order of outputs. */
static void axis_turn(const struct bp_resample_axis *a, struct bp_resample_axis *back)
{
	for (int32_t k = 0; k < a->begin[a->out]; k++)
		back->begin[a->from[k] + 1]++;
	for (int i = 0; i < a->in; i++)
		back->begin[i + 1] += back->begin[i];
	for (int o = 0; o < a->out; o++)
		for (int32_t k = a->begin[o]; k < a->begin[o + 1]; k++) {
			int32_t at = back->begin[a->from[k]]++;
			back->from[at] = o;
			back->weight[at] = a->weight[k];
		}
	for (int i = a->in; i > 0; i--)
		back->begin[i] = back->begin[i - 1];
	back->begin[0] = 0;
}

static bool axes_new(const struct side *s, struct bp_resample_axis *a, struct bp_resample_axis *back)
{
	int64_t entries = 2 * s->out;
	if (!axis_new(a, s->in, s->out, entries) || !axis_new(back, s->out, s->in, entries))
		return false;
	axis_fill(s, a);
	axis_turn(a, back);
	return true;
}

static enum bp_status plan(const struct bp_layer_setup *s, struct bp_layer_plan *ret, struct bp_error *err)
{
	const struct bp_shape *in = &s->node->in[0], *out = &s->node->out;
	struct own *own = calloc(1, sizeof(*own));
	struct side v = side_of(s->node, bp_shape_h(in), bp_shape_h(out));
	struct side h = side_of(s->node, bp_shape_w(in), bp_shape_w(out));
	if (!own || !axes_new(&v, &own->forward.v, &own->backward.v) ||
		!axes_new(&h, &own->forward.h, &own->backward.h)) {
		own_free(own);
		return bp_fail(err, BP_ENOMEM, -1, "", "out of memory");
	}
	own->forward.c = own->backward.c = (int)bp_shape_c(in);
	ret->own = own;
	return BP_OK;
}

static void run_row(const struct bp_layer_call *c, const struct bp_resample *p, int64_t sample, int row, bool backward)
{
	const int64_t from = sample * p->v.in * p->h.in * p->c, to = (sample * p->v.out + row) * p->h.out * p->c;
	if (backward)
		c->ctx->k->resample(p, row, c->dy + from, c->accumulate[0], c->dx[0] + to);
	else
		c->ctx->k->resample(p, row, c->x[0] + from, false, c->y + to);
}

static void forward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	run_row(c, &((const struct own *)c->own)->forward, sample, row, false);
}

static void backward_row(const struct bp_layer_call *c, int64_t sample, int row)
{
	run_row(c, &((const struct own *)c->own)->backward, sample, row, true);
}

static void forward(const struct bp_layer_call *c)
{
	const struct bp_resample *p = &((const struct own *)c->own)->forward;
	bp_rows_run(c, p->v.out, (int64_t)p->h.out * p->c, forward_row);
}

static void backward(const struct bp_layer_call *c)
{
	const struct bp_resample *p = &((const struct own *)c->own)->backward;
	if (c->dx[0])
		bp_rows_run(c, p->v.out, (int64_t)p->h.out * p->c, backward_row);
}

const struct bp_layer_ops bp_layer_upsample = {
	.info = {"Upsample", "Larger maps, from the nearest pixel or between neighbours.", args, BP_ARG_COUNT(args), 1,
		1},
	.shape = shape,
	.plan = plan,
	.plan_free = own_free,
	.forward = forward,
	.backward = backward,
};
