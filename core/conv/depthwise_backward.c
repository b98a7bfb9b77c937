/*
 * depthwise_backward.c - both gradients of a depthwise convolution, band by band (depthwise.c says how). Its tasks run
 * on any thread.
 */
#include "conv/bands.h"

#include "kernels/depthwise.h"

/* Line y of dy, or zeros, the norm after taken off, with zeros on both sides. */
static void load_dy(const struct bands_job *j, size_t image, ptrdiff_t y, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bands_plan *p = &j->cv->bands;
	const size_t c = s->oc, line = (size_t)s->ow * c, before = p->left * c, width = p->columns * c;
	if (y < 0 || y >= s->oh) {
		clear(ret, width);
		return;
	}
	const size_t at = (image * s->oh + (size_t)y) * line;
	clear(ret, before);
	if (j->call.after) {
		const struct bp_norm n = norm_of(j->call.after, s->ow);
		j->cv->k->norm_grad(&n, j->call.y + at, j->call.dy + at, false, ret + before);
	} else {
		memcpy(ret + before, j->call.dy + at, line * sizeof *ret);
	}
	clear(ret + before + line, width - before - line);
}

/* The lattices of line i of dx: one for each residue of its columns. */
static const struct lattice *line_lattices(const struct bp_conv *cv, size_t i, size_t *ret_n)
{
	const size_t down = least(cv->s.sh, cv->s.h);
	*ret_n = cv->backward.nlattices / down;
	return cv->backward.lattices + i % down * *ret_n;
}

/* Where line i of x and of dx are for the kernels: in memory, or in `room`, as wide as y: copies of both for a
 * multiplier, of x for groups with a norm before. */
struct inputs {
	const bp_real *x;
	bp_real *dx;
	bool acc;
};

static struct inputs inputs_start(const struct bands_job *j, size_t at, bp_real *room)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	const size_t n = (size_t)s->w * s->c, m = multiplier(s);
	const bp_real *x = call->dw ? call->x + at : NULL;
	if (m > 1) {
		if (x)
			j->cv->k->repeat(n, m, x, room);
		return (struct inputs){x ? room : NULL, call->dx ? room + n * m : NULL, false};
	}
	if (x && call->before && has_groups(j->cv)) {
		const struct bp_norm norm = norm_of(call->before, s->w);
		j->cv->k->norm_apply(&norm, x, room);
		x = room;
	}
	return (struct inputs){x, call->dx ? call->dx + at : NULL, call->accumulate};
}

/* part: of the sums for the norm before, or NULL; the kernels of groups leave them to us. */
static void inputs_end(const struct bands_job *j, size_t at, const struct inputs *in, bp_real *part)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t m = multiplier(s);
	if (m > 1 && j->call.dx)
		j->cv->k->fold((size_t)s->w * s->c, m, in->dx, j->call.accumulate, j->call.dx + at);
	if (part && has_groups(j->cv)) {
		const struct bp_norm norm = norm_of(j->call.before, s->w);
		j->cv->k->norm_grad_sums(&norm, j->call.x + at, in->dx, true, part, part + s->c);
	}
}

/* Of what is read and written after line i of dx, n elements from `done`: the next line of x and of dx, and the line of
 * dy that is copied then, if one is. */
static void backward_ahead(
	const struct bands_job *j, const struct band *b, size_t i, size_t done, size_t n, struct lines_ahead *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	const size_t length = (size_t)s->ow * s->oc, next = i + 1;
	*ret = (struct lines_ahead){0};
	if (multiplier(s) == 1) {
		const size_t at = (b->image * s->h + next) * s->w * s->c + done;
		lines_add(ret, call->dw ? call->x + at : NULL, n, n);
		lines_add(ret, call->dx ? call->dx + at : NULL, n, n);
	}
	const ptrdiff_t row = (ptrdiff_t)(next / s->sh + j->cv->bands.span) + j->cv->bands.top;
	if (next % s->sh == 0 && row >= 0 && done < length) {
		const size_t at = (b->image * s->oh + (size_t)row) * length + done;
		lines_add(ret, call->dy + at, n, n);
		lines_add(ret, call->after ? call->y + at : NULL, n, n);
	}
}

/* Line i of dx, and its share of dW, from lines of dy of which `rows` has number `first`. */
static void backward_line(const struct bands_job *j, const struct band *b, size_t i, bp_real *rows, ptrdiff_t first,
	bp_real *dw, bp_real *part)
{
	const struct bp_conv *cv = j->cv;
	const struct bp_conv_call *call = &j->call;
	const size_t c = cv->s.oc, width = cv->bands.columns * c, tap = tap_weights(cv);
	const size_t at = (b->image * cv->s.h + i) * cv->s.w * cv->s.c;
	const bp_real *weights = j->turned ? j->turned : call->w;
	bp_real *room = (bp_real *)((char *)rows + cv->bands.scratch) - spare_lines(cv) * cv->s.w * c;
	const struct inputs in = inputs_start(j, at, room);
	struct lines_ahead ahead;
	size_t n, done = 0;
	const struct lattice *l = line_lattices(cv, i, &n);
	for (const struct lattice *end = l + n; l < end; done += l->w * c, l++) {
		const ptrdiff_t row = (ptrdiff_t)(i / cv->s.sh) + l->iy - first;
		const ptrdiff_t w = ((ptrdiff_t)l->ky * cv->s.kw + l->kx) * (ptrdiff_t)tap;
		const bool none = lattice_taps(l) == 0;
		struct bp_depthwise_backward d = {
			.points = l->w,
			.channels = c,
			.kh = none ? 0 : l->nky,
			.kw = l->nkx,
			.g = none ? rows
				  : rows + row * (ptrdiff_t)width + ((ptrdiff_t)cv->bands.left + l->ix) * (ptrdiff_t)c,
			.g_line = (ptrdiff_t)(l->ty * width),
			.g_tap = (ptrdiff_t)(l->tx * c),
			.w = none || !weights ? weights : weights + w,
			.dw = none || !dw ? dw : dw + w,
			.w_line = (ptrdiff_t)l->kys * cv->s.kw * (ptrdiff_t)tap,
			.w_tap = l->kxs * (ptrdiff_t)tap,
			.x = in.x ? in.x + l->x0 * c : NULL,
			.dx = in.dx ? in.dx + l->x0 * c : NULL,
			.step = l->sx * c,
			.acc = in.acc,
			.norm = call->before,
			.sum = part,
			.dot = part ? part + c : NULL,
			.ahead = ahead.at,
		};
		backward_ahead(j, b, i, done, l->w * c, &ahead);
		if (j->turned)
			bp_grouped_backward(cv, &d);
		else
			cv->k->depthwise_backward(&d);
	}
	inputs_end(j, at, &in, part);
}

/* The band's own lines of dy into the gradient of the bias. */
static void band_bias(const struct bands_job *j, const struct band *b, bp_real *room, bool acc, bp_real *db)
{
	const struct bp_conv_shape *s = &j->cv->s;
	for (size_t o = b->o0; o < b->o1; o++) {
		load_dy(j, b->image, (ptrdiff_t)o, room);
		j->cv->k->column_sums(s->ow, s->oc, room + j->cv->bands.left * s->oc, s->oc, acc || o > b->o0, db);
	}
}

static void band_backward(const struct bands_job *j, const struct band *b, bp_real *rows, bp_real *dw)
{
	const struct bp_conv *cv = j->cv;
	const size_t c = cv->s.oc, width = cv->bands.columns * c;
	const ptrdiff_t first = (ptrdiff_t)(b->i0 / cv->s.sh) + cv->bands.top;
	bp_real *part = j->call.parts ? j->call.parts + b->part * BP_NORM_STATS * c : NULL;
	if (part)
		clear(part, 2 * c);
	for (size_t i = b->i0, made = 0; i < b->i1; i++) {
		for (; made <= i / cv->s.sh - b->i0 / cv->s.sh + cv->bands.span; made++)
			load_dy(j, b->image, first + (ptrdiff_t)made, rows + made * width);
		backward_line(j, b, i, rows, first, dw, part);
	}
}

/* A chunk of bands: dx of each, and their sum of dW. */
void bp_bands_backward_task(const void *job, size_t i, void *scratch)
{
	const struct bands_job *j = job;
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t all = j->call.n * j->bands, size = weights_size(j->cv), first = i * all / j->chunks;
	bp_real *dw = j->call.dw ? j->parts + i * size : NULL, *db = j->call.db ? j->bias_parts + i * s->oc : NULL;
	if (dw)
		clear(dw, size);
	for (size_t part = first; part < (i + 1) * all / j->chunks; part++) {
		const struct band b = band_at(j, part);
		band_backward(j, &b, scratch, dw);
		if (db)
			band_bias(j, &b, scratch, part > first, db);
	}
}

/* Adds the chunks' sums: of each panel of weights, then of the bias. */
void bp_bands_sum_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct bands_job *j = job;
	const struct bp_conv *cv = j->cv;
	const size_t size = weights_size(cv), panel = size / panel_count(cv), at = i * panel, c = cv->s.oc;
	if (at == size) {
		cv->k->column_sums(j->chunks, c, j->bias_parts, c, false, j->call.db);
		return;
	}
	bp_real *ret = j->turned ? j->turned + at : j->call.dw;
	cv->k->column_sums(j->chunks, panel, j->parts + at, size, false, ret);
	if (j->turned)
		bp_grouped_turn_back(cv, i, ret, j->call.dw);
}
