/*
 * depthwise.c - the passes of a depthwise convolution: one input channel a group, and one output channel or several;
 * and of one whose groups are narrower than a vector (grouped.c). Called by conv.c on the trainer's thread; its tasks
 * run on any.
 *
 * A map is cut into bands of lines. Forward copies a band's lines of x, with the padding, into scratch, each just
 * before the first outputs that read it: every tap of every output is a plain address, and what is read again and again
 * lies in L1. Backward does the same with lines of dy, and goes along the lines of dx, by the lattices of side.c: dx
 * and the input's share of dW come from the same values of dy, so that x, dx and dy go through the processor once. The
 * copies are also where a batch norm before or after is applied (conv.h). Against copies of whole bands of x and of dy
 * with zeros between its pixels, and a pass each for dx, dW and the norm's sums, it took 7 % off the step of a
 * depthwise-separable net (AVX-512, one thread).
 *
 * While the kernels are at work on a line, they ask for what the next one reads and writes: memory is what these passes
 * wait for. On a Zen 4 that made steps of the same net 18 % faster, blocks of MobileNetV2 27 %, of EfficientNet 13 %.
 *
 * With a channel multiplier m, the copies of x have each channel m times, what would be their gradient is summed by m,
 * and in between it is a depthwise convolution of all output channels: 64 channels on 32x32 maps, 3x3, m = 2 went from
 * 1.7 to 50, 37 and 32 GFLOP/s (forward, dx, dW; AVX-512, one thread) over an indirect GEMM of two columns.
 */
#include "conv/bands.h"

#include "base/mem.h"
#include "kernels/depthwise.h"

enum {
	BAND_BYTES = 384 << 10, /* of a band's copies, about: they stay in L2 */
	BANDS = 16,             /* at least, in a small batch: enough for several threads */
	CHUNKS = 32,            /* partial sums of dW */
	SPARSE = 8              /* how many times larger than its maps a padded band may be */
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

bool bp_depthwise_fits(const struct bp_conv_shape *s, const struct bp_kernels *k)
{
	if (s->groups == 1 || (s->c != s->groups && !bp_grouped_fits(s, k)))
		return false;
	const size_t bands = least(s->oh, s->h), x = x_lines(s, divide_up(s->oh, bands)) * x_columns(s);
	const size_t dy = dy_lines(s, divide_up(s->h, bands)) * dy_columns(s);
	return x + dy <= SPARSE * ((size_t)s->h * s->w + (size_t)s->oh * s->ow);
}

/* The rows and columns of dy that the lines of dx read: lattices begin at row `top` at least, and reach `span` further
 * at most; `left` columns lie before dy's first. */
static void plan_dy(struct bp_conv *cv)
{
	struct bands_plan *p = &cv->bands;
	int top = 0, bottom = 0, left = 0, right = cv->s.ow;
	for (int i = 0; i < cv->backward.nlattices; i++) {
		const struct lattice *l = &cv->backward.lattices[i];
		if (lattice_taps(l) == 0)
			continue;
		top = least(top, l->iy);
		bottom = most(bottom, l->iy + (l->nky - 1) * l->ty);
		left = least(left, l->ix);
		right = most(right, l->ix + (l->nkx - 1) * l->tx + l->w);
	}
	p->top = top;
	p->span = (size_t)(bottom - top);
	p->left = (size_t)-left;
	p->columns = (size_t)(right - left);
}

/* Bytes of scratch of a thread: lines of x or of dy. */
static size_t band_scratch(const struct bp_conv *cv, size_t bands)
{
	const struct bp_conv_shape *s = &cv->s;
	const size_t x = x_lines(s, divide_up(s->oh, bands)) * x_columns(s);
	const size_t rows = (divide_up(s->h, bands) + s->sh - 2) / s->sh + cv->bands.span + 1;
	const size_t dy = rows * cv->bands.columns + spare_lines(cv) * s->w;
	return round_up((x > dy ? x : dy) * s->oc * sizeof(bp_real), BP_ALIGN);
}

static void plan(struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->s;
	size_t bands = 1, limit = least(s->oh, s->h);
	plan_dy(cv);
	while (bands < limit && band_scratch(cv, bands) > BAND_BYTES)
		bands++;
	cv->bands.bands = bands;
	cv->bands.scratch = band_scratch(cv, bands);
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

static size_t parts(const struct bp_conv *cv, size_t n, bool backward)
{
	(void)backward;
	return n * bands_of(cv, n);
}

/* With a channel multiplier norms are left alone. */
static size_t max_parts(const struct bp_conv *cv, bool backward)
{
	(void)backward;
	return multiplier(&cv->s) > 1 ? 0 : cv->bands.parts;
}

static size_t part_rows(const struct bp_conv *cv, size_t n, size_t part)
{
	const size_t bands = bands_of(cv, n), b = part % bands, height = cv->s.oh;
	return ((b + 1) * height / bands - b * height / bands) * cv->s.ow;
}

static size_t part_bytes(const struct bp_conv *cv, size_t elements)
{
	return round_up((cv->bands.parts < CHUNKS ? cv->bands.parts : CHUNKS) * elements * sizeof(bp_real), BP_ALIGN);
}

/* Of the weights as the kernels of groups want them. */
static size_t turned_bytes(const struct bp_conv *cv)
{
	return has_groups(cv) ? round_up(weights_size(cv) * sizeof(bp_real), BP_ALIGN) : 0;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	(void)pass;
	return turned_bytes(cv) + part_bytes(cv, weights_size(cv)) + part_bytes(cv, cv->s.oc) +
	       (size_t)threads * cv->bands.scratch;
}

/* One line of x, padded: columns -pl .. -pl + x_columns. */
static void x_line(const struct bands_job *j, const bp_real *x, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t c = s->oc, columns = x_columns(s), left = least(s->pl, (int)columns);
	const size_t inside = columns - left < (size_t)s->w ? columns - left : (size_t)s->w;
	clear(ret, left * c);
	if (j->call.before) {
		const struct bp_norm p = norm_of(j->call.before, inside);
		j->cv->k->norm_apply(&p, x, ret + left * c);
	} else if (multiplier(s) > 1) {
		j->cv->k->repeat(inside * s->c, multiplier(s), x, ret + left * c);
	} else {
		memcpy(ret + left * c, x, inside * c * sizeof *x);
	}
	clear(ret + (left + inside) * c, (columns - left - inside) * c);
}

/* Line y of the map, or zeros. */
static void load_x(const struct bands_job *j, size_t image, ptrdiff_t y, bp_real *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	if (y < 0 || y >= s->h)
		clear(ret, x_columns(s) * s->oc);
	else
		x_line(j, j->call.x + (image * s->h + (size_t)y) * s->w * s->c, ret);
}

static struct bp_depthwise_line forward_line(const struct bp_conv_shape *s, const bp_real *x)
{
	return (struct bp_depthwise_line){.points = s->ow,
		.channels = s->oc,
		.kh = s->kh,
		.kw = s->kw,
		.x = x,
		.line_step = s->dh * x_columns(s) * s->oc,
		.step = (size_t)s->sw * s->oc,
		.tap_step = (size_t)s->dw * s->oc};
}

static void turn_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct bands_job *j = job;
	bp_grouped_turn(j->cv, !j->call.dx, i, j->call.w, j->turned + i * bp_grouped_panel(j->cv));
}

/* What comes after a line of y: the rows of x, from the batch's `row`, that are copied then, and the next line. */
static void forward_ahead(const struct bands_job *j, ptrdiff_t row, const bp_real *y, struct lines_ahead *ret)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t length = (size_t)s->ow * s->oc, wide = (size_t)s->w * s->c;
	*ret = (struct lines_ahead){0};
	if (multiplier(s) == 1 && row >= 0)
		lines_add(ret, j->call.x + (size_t)row * wide, s->sh * wide, length);
	lines_add(ret, y + length, length, length);
}

static void forward_task(const void *job, size_t i, void *scratch)
{
	const struct bands_job *j = job;
	const struct bp_conv_shape *s = &j->cv->s;
	const struct bp_conv_call *call = &j->call;
	struct band b = band_at(j, i);
	struct lines_ahead ahead;
	bp_real *y = call->y + (b.image * s->oh + b.o0) * s->ow * s->oc;
	struct bp_depthwise d = {
		.line = forward_line(s, scratch),
		.w = j->turned ? j->turned : call->w,
		.w_step = (ptrdiff_t)tap_weights(j->cv),
		.y = y,
		.bias = call->bias,
		.relu = call->act == BP_ACT_RELU,
		.ahead = ahead.at,
	};
	const size_t width = x_columns(s) * s->oc, reach = x_lines(s, 1), c = s->oc;
	bp_real *part = call->parts ? call->parts + i * BP_NORM_STATS * c : NULL;
	bp_real *const stats[BP_NORM_STATS] = {part, part ? part + c : NULL, part ? part + 2 * c : NULL};
	const ptrdiff_t top = (ptrdiff_t)(b.o0 * s->sh) - s->pt;
	for (size_t o = b.o0, made = 0; o < b.o1; o++) {
		for (; made < (o - b.o0) * s->sh + reach; made++)
			load_x(j, b.image, top + (ptrdiff_t)made, (bp_real *)scratch + made * width);
		forward_ahead(j, (ptrdiff_t)(b.image * s->h + made) + top, d.y, &ahead);
		if (j->turned)
			bp_grouped_forward(j->cv, &d);
		else
			j->cv->k->depthwise(&d);
		if (part)
			j->cv->k->norm_stats(s->ow, c, d.y, o > b.o0, stats);
		d.line.x += s->sh * width;
		d.y += s->ow * c;
	}
}

static size_t multiply_adds(const struct bp_conv *cv, size_t n)
{
	return n * cv->s.oh * cv->s.ow * cv->s.kh * cv->s.kw * group_channels(&cv->s) * cv->s.oc;
}

static struct bands_job start(const struct bp_conv *cv, const struct bp_conv_call *call, void *ws)
{
	return (struct bands_job){
		.cv = cv, .call = *call, .bands = bands_of(cv, call->n), .turned = has_groups(cv) ? ws : NULL};
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct bands_job j = start(cv, call, ws);
	const struct phase phases[] = {{j.turned ? panel_count(cv) : 0, turn_task}, {call->n * j.bands, forward_task}};
	struct work w = {&j, phases, 2, (char *)ws + turned_bytes(cv), cv->bands.scratch};
	bp_work_run(ctx, multiply_adds(cv, call->n), &w);
}

static void backward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct bands_job j = start(cv, call, ws);
	j.parts = (bp_real *)((char *)ws + turned_bytes(cv));
	j.bias_parts = (bp_real *)((char *)j.parts + part_bytes(cv, weights_size(cv)));
	j.chunks = call->n * j.bands < CHUNKS ? call->n * j.bands : CHUNKS;
	const struct phase phases[] = {
		{j.turned && call->dx ? panel_count(cv) : 0, turn_task},
		{j.chunks, bp_bands_backward_task},
		{call->dw ? panel_count(cv) + (call->db ? 1 : 0) : 0, bp_bands_sum_task},
	};
	struct work w = {&j, phases, 3, (char *)j.bias_parts + part_bytes(cv, cv->s.oc), cv->bands.scratch};
	bp_work_run(ctx, multiply_adds(cv, call->n), &w);
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return cv->s.oc == cv->s.groups && bp_depthwise_fits(&cv->s, cv->k);
}

static bool fits_wider(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return bp_depthwise_fits(&cv->s, cv->k);
}

static const struct way_norms norms = {true, max_parts, parts, part_rows};
const struct way bp_way_depthwise = {
	.fits = fits,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = backward,
	.norms = &norms,
};

/* With a channel multiplier, or several channels in a group. */
const struct way bp_way_grouped = {
	.fits = fits_wider,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = backward,
	.norms = &norms,
};
