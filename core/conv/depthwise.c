/*
 * depthwise.c - the passes of a depthwise convolution (one input and one output channel a group). Called by conv.c on
 * the trainer's thread; its tasks run on any.
 *
 * A map is cut into bands of lines. A band of x, with its border and the padding, is copied into scratch, which stays
 * in L2 and makes every tap of every output a plain address; so is the band of dy, spread by the stride, of which
 * backward-data is an ordinary convolution of stride 1 with the kernel turned round. Backward makes dx and the band's
 * share of dW in one go, because both read dy: maps come from memory once. The copies are also where a batch norm
 * before or after is applied (conv.h).
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/depthwise.h"
#include "kernels/norm.h"

#include <string.h>

enum {
	BAND_BYTES = 384 << 10, /* of a band's copies, about: they stay in L2 */
	BANDS = 16,             /* at least, in a small batch: enough for several threads */
	CHUNKS = 32,            /* partial sums of dW */
	SPARSE = 8              /* how many times larger than its maps a padded band may be */
};

struct job {
	const struct bp_conv *cv;
	struct bp_conv_call call;
	size_t bands, chunks; /* bands of a map; parts of the batch's bands */
	bp_real *parts, *bias_parts;
};

/* Lines and columns of scratch for a band of so many output lines. */
static size_t x_lines(const struct bp_conv_shape *s, size_t lines)
{
	return (lines - 1) * s->sh + (size_t)(s->kh - 1) * s->dh + 1;
}
static size_t x_columns(const struct bp_conv_shape *s)
{
	return (size_t)(s->ow - 1) * s->sw + (size_t)(s->kw - 1) * s->dw + 1;
}
/* ... of dy, for so many lines of dx. */
static size_t dy_lines(const struct bp_conv_shape *s, size_t lines)
{
	return lines + (size_t)(s->kh - 1) * s->dh;
}
static size_t dy_columns(const struct bp_conv_shape *s)
{
	return s->w + (size_t)(s->kw - 1) * s->dw;
}
/* Lines of dy that dx or dW of a band of either may read, at most. */
static size_t g_lines(const struct bp_conv_shape *s, size_t lines, size_t dx_lines)
{
	size_t most_lines = lines + dy_lines(s, dx_lines) / s->sh + 2;
	return most_lines < (size_t)s->oh ? most_lines : (size_t)s->oh;
}

struct sizes {
	size_t x, dy, g, dx; /* elements */
};

static struct sizes band_sizes(const struct bp_conv_shape *s, size_t bands)
{
	size_t lines = divide_up(s->oh, bands), dx_lines = divide_up(s->h, bands);
	return (struct sizes){
		.x = x_lines(s, lines) * x_columns(s) * s->c,
		.dy = dy_lines(s, dx_lines) * dy_columns(s) * s->c,
		.g = g_lines(s, lines, dx_lines) * s->ow * s->c,
	};
}

bool bp_depthwise_fits(const struct bp_conv_shape *s)
{
	if (s->groups == 1 || s->c != s->groups || s->oc != s->groups)
		return false;
	struct sizes z = band_sizes(s, least(s->oh, s->h));
	return z.x + z.dy <= SPARSE * ((size_t)s->h * s->w + (size_t)s->oh * s->ow) * s->c;
}

static size_t band_scratch(const struct sizes *z)
{
	return round_up((z->x + z->dy + z->g) * sizeof(bp_real), BP_ALIGN);
}

static void plan(struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->s;
	size_t bands = 1, limit = least(s->oh, s->h);
	struct sizes z = band_sizes(s, 1);
	while (bands < limit && band_scratch(&z) > BAND_BYTES)
		z = band_sizes(s, ++bands);
	cv->bands.bands = bands;
	cv->bands.scratch = band_scratch(&z);
	cv->bands.limit = limit;
	size_t parts = cv->max_batch * bands;
	cv->bands.parts = parts > 2 * BANDS ? parts : 2 * BANDS;
}

/* Bands of a map: by the shape, and more in a small batch. */
static size_t bands_of(const struct bp_conv *cv, size_t n)
{
	size_t few = divide_up(BANDS, n), bands = cv->bands.bands > few ? cv->bands.bands : few;
	return bands < cv->bands.limit ? bands : cv->bands.limit;
}

static size_t parts(const struct bp_conv *cv, size_t n)
{
	return n * bands_of(cv, n);
}

static size_t max_parts(const struct bp_conv *cv)
{
	return cv->bands.parts;
}

static size_t part_rows(const struct bp_conv *cv, size_t n, size_t part, bool backward)
{
	const struct bp_conv_shape *s = &cv->s;
	size_t bands = bands_of(cv, n), b = part % bands, height = backward ? s->h : s->oh;
	return ((b + 1) * height / bands - b * height / bands) * (backward ? s->w : s->ow);
}

static size_t part_bytes(const struct bp_conv *cv, size_t elements)
{
	return round_up((cv->bands.parts < CHUNKS ? cv->bands.parts : CHUNKS) * elements * sizeof(bp_real), BP_ALIGN);
}

static size_t weights_size(const struct bp_conv_shape *s)
{
	return (size_t)s->kh * s->kw * s->c;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	(void)pass;
	return part_bytes(cv, weights_size(&cv->s)) + part_bytes(cv, cv->s.c) + (size_t)threads * cv->bands.scratch;
}

/* A band: lines [o0, o1) of y and [i0, i1) of dx, of one map. */
struct band {
	size_t image, part, o0, o1, i0, i1;
};

static struct band band_at(const struct job *j, size_t part)
{
	const struct bp_conv_shape *s = &j->cv->s;
	size_t b = part % j->bands;
	return (struct band){part / j->bands, part, b * s->oh / j->bands, (b + 1) * s->oh / j->bands,
		b * s->h / j->bands, (b + 1) * s->h / j->bands};
}

static void clear(bp_real *p, size_t n)
{
	memset(p, 0, n * sizeof *p);
}

/* One line of x, padded: columns -pl .. -pl + x_columns. */
static void x_line(const struct job *j, const bp_real *x, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t c = s->c, columns = x_columns(s), left = least(s->pl, (int)columns);
	const size_t inside = columns - left < (size_t)s->w ? columns - left : (size_t)s->w;
	clear(ret, left * c);
	if (j->call.before) {
		struct bp_norm p = *j->call.before;
		p.rows = inside;
		j->cv->k->norm_apply(&p, x, ret + left * c);
	} else {
		memcpy(ret + left * c, x, inside * c * sizeof *x);
	}
	clear(ret + (left + inside) * c, (columns - left - inside) * c);
}

/* What the taps of the band's outputs read, padding included. */
static void load_x(const struct job *j, const struct band *b, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t width = x_columns(s) * s->c, lines = x_lines(s, b->o1 - b->o0);
	const bp_real *map = j->call.x + b->image * s->h * s->w * s->c;
	ptrdiff_t y = (ptrdiff_t)(b->o0 * s->sh) - s->pt;
	for (size_t i = 0; i < lines; i++, y++, ret += width) {
		if (y < 0 || y >= s->h)
			clear(ret, width);
		else
			x_line(j, map + y * s->w * s->c, ret);
	}
}

static struct bp_depthwise_line forward_line(const struct bp_conv_shape *s, const bp_real *x)
{
	return (struct bp_depthwise_line){.points = s->ow,
		.channels = s->c,
		.kh = s->kh,
		.kw = s->kw,
		.x = x,
		.line_step = s->dh * x_columns(s) * s->c,
		.step = (size_t)s->sw * s->c,
		.tap_step = (size_t)s->dw * s->c};
}

static void forward_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	struct band b = band_at(j, i);
	bp_real *y = call->y + (b.image * s->oh + b.o0) * s->ow * s->c;
	struct bp_depthwise d = {
		.line = forward_line(s, scratch),
		.w = call->w,
		.w_step = s->c,
		.y = y,
		.bias = call->bias,
		.relu = call->act == BP_ACT_RELU,
	};
	load_x(j, &b, scratch);
	for (size_t o = b.o0; o < b.o1; o++) {
		j->cv->k->depthwise(&d);
		d.line.x += s->sh * x_columns(s) * s->c;
		d.y += (size_t)s->ow * s->c;
	}
	if (call->parts) {
		bp_real *part = call->parts + i * BP_NORM_STATS * s->c;
		bp_real *const stats[BP_NORM_STATS] = {part, part + s->c, part + 2 * s->c};
		j->cv->k->norm_stats((b.o1 - b.o0) * s->ow, s->c, y, stats);
	}
}

/* Lines of dy that the band reads, the norm after taken off; *ret_first is the first. In place when there is none. */
static const bp_real *load_dy(const struct job *j, const struct band *b, bp_real *room, size_t *ret_first)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const ptrdiff_t reach = (ptrdiff_t)(s->kh - 1) * s->dh, top = (ptrdiff_t)b->i0 + s->pt - reach;
	size_t first = top <= 0 ? 0 : (size_t)top / s->sh, end = (b->i1 - 1 + s->pt) / s->sh + 1;
	first = first < b->o0 ? first : b->o0;
	end = end > b->o1 ? end : b->o1;
	end = end < (size_t)s->oh ? end : (size_t)s->oh;
	*ret_first = first;
	const size_t at = (b->image * s->oh + first) * s->ow * s->c;
	if (!j->call.after)
		return j->call.dy + at;
	struct bp_norm p = *j->call.after;
	p.rows = (end - first) * s->ow;
	j->cv->k->norm_grad(&p, j->call.y + at, j->call.dy + at, false, room);
	return room;
}

/* Spreads dy's lines from g (line `first`) by the stride, with zeros between and around, as dx's taps read them. */
static void spread_dy(const struct job *j, const struct band *b, const bp_real *g, size_t first, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t c = s->c, columns = dy_columns(s), lines = dy_lines(s, b->i1 - b->i0);
	ptrdiff_t u = (ptrdiff_t)b->i0 + s->pt - (ptrdiff_t)(s->kh - 1) * s->dh;
	for (size_t i = 0; i < lines; i++, u++, ret += columns * c) {
		if (u < 0 || u % s->sh || u / s->sh >= s->oh) {
			clear(ret, columns * c);
			continue;
		}
		const bp_real *line = g + (u / s->sh - first) * s->ow * c;
		ptrdiff_t v = s->pl - (ptrdiff_t)(s->kw - 1) * s->dw;
		for (size_t q = 0; q < columns;) {
			ptrdiff_t o = v >= 0 && v % s->sw == 0 ? v / s->sw : -1;
			size_t n = 1;
			if (o < 0 || o >= s->ow) {
				clear(ret + q * c, c);
			} else {
				/* Without a stride, the rest of the line at once. */
				if (s->sw == 1)
					n = columns - q < (size_t)(s->ow - o) ? columns - q : (size_t)(s->ow - o);
				memcpy(ret + q * c, line + o * c, n * c * sizeof *ret);
			}
			q += n;
			v += (ptrdiff_t)n;
		}
	}
}

static void band_dx(const struct job *j, const struct band *b, const bp_real *spread)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	const size_t taps = (size_t)s->kh * s->kw, width = dy_columns(s) * s->c,
		     at = (b->image * s->h + b->i0) * s->w * s->c;
	struct bp_depthwise d = {
		.line = {.points = s->w,
			.channels = s->c,
			.kh = s->kh,
			.kw = s->kw,
			.x = spread,
			.line_step = s->dh * width,
			.step = s->c,
			.tap_step = (size_t)s->dw * s->c},
		.w = call->w + (taps - 1) * s->c,
		.w_step = -(ptrdiff_t)s->c,
		.y = call->dx + at,
		.acc = call->accumulate,
	};
	for (size_t i = b->i0; i < b->i1; i++) {
		j->cv->k->depthwise(&d);
		d.line.x += width;
		d.y += (size_t)s->w * s->c;
	}
	if (call->parts) {
		bp_real *part = call->parts + b->part * BP_NORM_STATS * s->c;
		struct bp_norm p = *call->before;
		p.rows = (b->i1 - b->i0) * s->w;
		j->cv->k->norm_grad_sums(&p, call->x + at, call->dx + at, part, part + s->c);
	}
}

static void band_dw(const struct job *j, const struct band *b, const bp_real *x, const bp_real *dy, bp_real *dw)
{
	const struct bp_conv_shape *s = &j->cv->s;
	struct bp_depthwise_weights d = {.line = forward_line(s, x), .dy = dy, .dw = dw};
	for (size_t o = b->o0; o < b->o1; o++) {
		j->cv->k->depthwise_weights(&d);
		d.line.x += s->sh * x_columns(s) * s->c;
		d.dy += (size_t)s->ow * s->c;
	}
}

/* A chunk of bands: dx of each, and their sum of dW. */
static void backward_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	const size_t all = call->n * j->bands, size = weights_size(s), line = (size_t)s->ow * s->c;
	const struct sizes z = band_sizes(s, j->bands);
	bp_real *x = scratch, *spread = x + z.x, *room = spread + z.dy;
	bp_real *dw = j->parts + i * size, *db = call->db ? j->bias_parts + i * s->c : NULL;
	if (call->dw)
		clear(dw, size);
	for (size_t part = i * all / j->chunks; part < (i + 1) * all / j->chunks; part++) {
		struct band b = band_at(j, part);
		size_t first;
		const bp_real *g = load_dy(j, &b, room, &first), *own = g + (b.o0 - first) * line;
		if (call->dx) {
			spread_dy(j, &b, g, first, spread);
			band_dx(j, &b, spread);
		}
		if (call->dw) {
			load_x(j, &b, x);
			band_dw(j, &b, x, own, dw);
		}
		if (db)
			j->cv->k->column_sums((b.o1 - b.o0) * s->ow, s->c, own, s->c, part > i * all / j->chunks, db);
	}
}

/* Adds the chunks' sums: of the weights, then of the bias. */
static void sum_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	const size_t size = weights_size(&j->cv->s), c = j->cv->s.c;
	if (i == 0)
		j->cv->k->column_sums(j->chunks, size, j->parts, size, false, j->call.dw);
	else
		j->cv->k->column_sums(j->chunks, c, j->bias_parts, c, false, j->call.db);
}

static size_t multiply_adds(const struct bp_conv *cv, size_t n)
{
	return n * cv->s.oh * cv->s.ow * weights_size(&cv->s);
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct job j = {.cv = cv, .call = *call, .bands = bands_of(cv, call->n)};
	const struct phase phase = {call->n * j.bands, forward_task};
	struct work w = {&j, &phase, 1, ws, cv->bands.scratch};
	bp_work_run(ctx, multiply_adds(cv, call->n), &w);
}

static void backward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct job j = {.cv = cv, .call = *call, .bands = bands_of(cv, call->n), .parts = ws};
	j.bias_parts = (bp_real *)((char *)ws + part_bytes(cv, weights_size(&cv->s)));
	j.chunks = call->n * j.bands < CHUNKS ? call->n * j.bands : CHUNKS;
	const struct phase phases[] = {{j.chunks, backward_task}, {call->dw ? call->db ? 2 : 1 : 0, sum_task}};
	struct work w = {&j, phases, 2, (char *)j.bias_parts + part_bytes(cv, cv->s.c), cv->bands.scratch};
	bp_work_run(ctx, multiply_adds(cv, call->n), &w);
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return bp_depthwise_fits(&cv->s);
}

static const struct way_norms norms = {max_parts, parts, part_rows};
const struct way bp_way_depthwise = {
	.fits = fits,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = backward,
	.norms = &norms,
};
