/*
 * winograd_tiles.c - which convolutions go Winograd's way, and their kernels cut into pieces, and maps into tiles.
 * Called by winograd.c and winograd_weights.c, when a plan is made and by their tasks on any thread.
 *
 * Large kernels are cut into pieces of 3 and 4 taps along each axis, whose convolutions are added: 7x7 into 3x3, 3x4,
 * 4x3 and 4x4, which make 12.25 multiplications of 49. A stride cuts them too: taps that are the stride apart read
 * every pixel of a phase of the map, which is a convolution without a stride; 3x3 with a stride of 2 makes 2x2, 2x1,
 * 1x2 and 1x1, 4.84 multiplications of 9. In backward-data the pixels of one residue are the targets of such a one.
 *
 * Tiles read 6 sources or 5 along an axis, whichever makes fewer products: with 3 taps, 5 targets are 2 tiles of 5
 * places, 8 are 2 of 6. GFLOP/s of AVX-512 with 6 alone, and now, forward: 64 channels of 5x5 maps 144 -> 205, 6x6
 * 204 -> 290; 3x3 with a stride of 2 to 16x16 targets, 64 channels 116 -> 147, 128 channels 126 -> 148 (direct 108 and
 * 119).
 *
 * Pieces that differ in where they read alone are parts of one, and summed as channels are: one product and one
 * transform of targets instead of four. 4x4 with a stride of 2, 64 channels 202 -> 216, 32 186 -> 228, 16 135 -> 184;
 * 6x6 with 64 channels 334 -> 374.
 */
#include "conv/winograd.h"

#include "base/mem.h"

enum {
	AXIS_PIECES = 3,
	JOIN_CHANNELS = 64,  /* of sources, at most, to make parts: of more, a block's do not stay in L2 */
	GROUP_CHANNELS = 16, /* of sources and of targets, at least, where there are groups */
	BUNDLE_CHANNELS = 64 /* of a bundle of them */
};

/* Taps of the pieces of so many; their number, 0: they are too many. Five stay whole: pieces of 3 and 2 would make a
 * fifth fewer multiplications, but were 5 to 10 % slower, for each piece transforms the map again. */
static int cut_taps(int taps, int ret[AXIS_PIECES])
{
	if (taps <= 5) {
		ret[0] = taps;
		return 1;
	}
	const int fours = taps % 3, n = fours + (taps - 4 * fours) / 3;
	for (int i = 0; i < n && n <= AXIS_PIECES; i++)
		ret[i] = i < n - fours ? 3 : 4;
	return n <= AXIS_PIECES ? n : 0;
}

/* Whether an axis can be cut: each phase, into AXIS_PIECES in all. */
static bool can_cut(int taps, int stride, int dilation)
{
	int n = 0, pieces[AXIS_PIECES];
	if (stride > taps || stride > AXIS_PIECES || (stride > 1 && dilation > 1))
		return false;
	for (int phase = 0; phase < stride; phase++) {
		const int more = cut_taps((taps - phase + stride - 1) / stride, pieces);
		if (!more)
			return false;
		n += more;
	}
	return n <= AXIS_PIECES;
}

/* One group, or such that transforms do not outweigh the products. */
static bool wide_groups(const struct bp_conv_shape *s)
{
	return s->groups == 1 || least(s->c, s->oc) / s->groups >= GROUP_CHANNELS;
}

bool bp_conv_can_winograd(const struct bp_conv_shape *s)
{
	return can_cut(s->kh, s->sh, s->dh) && can_cut(s->kw, s->sw, s->dw) && s->kh * s->kw > 1 && wide_groups(s) &&
	       s->pt <= (int64_t)(s->kh - 1) * s->dh && s->pl <= (int64_t)(s->kw - 1) * s->dw;
}

/* An axis of a lattice (plan.h): target i is pixel from + i scale, and reads source at + i step + t tap_step by tap t,
 * which is the kernel's tap k + t ks. */
struct axis {
	int targets, from, scale, at, step, taps, tap_step, k, ks;
};

/* Tiles of so many reads: as many for each residue modulo the dilation. */
static void cut_tiles(struct winograd_axis *p, int reads)
{
	p->reads = reads;
	p->makes = bp_winograd_makes((struct bp_winograd_axis){p->taps, reads});
	p->tiles = (int)divide_up(divide_up((size_t)p->targets, (size_t)p->step), (size_t)p->makes) *
		   least(p->step, p->targets);
}

static struct winograd_axis piece_of(const struct axis *a, int taps)
{
	struct winograd_axis p = {
		.taps = taps,
		.tap_step = a->step * a->ks,
		.targets = a->targets,
		.from = a->from,
		.scale = a->scale,
		.mul = a->step,
		.step = taps == 1 ? 1 : a->tap_step,
	};
	cut_tiles(&p, taps == 1 ? 1 : BP_WINOGRAD_IN);
	if (taps > 1 && taps < BP_WINOGRAD_TAPS) {
		struct winograd_axis five = p;
		cut_tiles(&five, BP_WINOGRAD_IN - 1);
		p = five.tiles * five.reads < p.tiles * p.reads ? five : p;
	}
	return p;
}

/* Its pieces. Taps of one phase are a stride apart, and read neighbouring sources of those that lie as far apart. With
 * `join`, pieces of equally many taps are parts of one. */
static int axis_pieces(const struct axis *a, bool join, struct winograd_axis ret[AXIS_PIECES])
{
	int n = 0;
	for (int phase = 0; phase < a->step; phase++) {
		int taps[AXIS_PIECES];
		const int pieces = cut_taps((a->taps - phase + a->step - 1) / a->step, taps);
		for (int i = 0, first = phase; i < pieces; first += taps[i++] * a->step) {
			int same = 0;
			while (same < n && !(join && ret[same].taps == taps[i]))
				same++;
			if (same == n)
				ret[n++] = piece_of(a, taps[i]);
			struct winograd_axis *p = &ret[same];
			p->tap[p->parts] = a->k + first * a->ks;
			p->at[p->parts++] = a->at + (int64_t)first * a->tap_step;
		}
	}
	return n;
}

size_t bp_winograd_pieces(const struct side *sd, struct winograd_tiles ret[BP_WINOGRAD_PIECES])
{
	const bool join = sd->kg == sd->in_c && sd->kg <= JOIN_CHANNELS;
	size_t n = 0;
	for (const struct lattice *l = sd->lattices; l < sd->lattices + sd->nlattices; l++) {
		const struct axis y = {l->h, l->y0, l->sy, l->iy, l->isy, l->nky, l->ty, l->ky, l->kys};
		const struct axis x = {l->w, l->x0, l->sx, l->ix, l->isx, l->nkx, l->tx, l->kx, l->kxs};
		struct winograd_axis rows[AXIS_PIECES], cols[AXIS_PIECES];
		const int down = axis_pieces(&y, join, rows), across = axis_pieces(&x, join, cols);
		for (int i = 0; i < down * across; i++) {
			struct winograd_tiles *t = &ret[n++];
			*t = (struct winograd_tiles){.y = rows[i / across], .x = cols[i % across]};
			t->places = (size_t)t->y.reads * t->x.reads;
			t->parts = (size_t)t->y.parts * t->x.parts;
			t->first = i == 0;
			t->last = i + 1 == down * across;
		}
	}
	return n;
}

size_t bp_winograd_products(const struct side *sd)
{
	struct winograd_tiles tiles[BP_WINOGRAD_PIECES];
	size_t products = 0;
	for (size_t i = bp_winograd_pieces(sd, tiles); i-- > 0;)
		products += tiles[i].parts * tiles[i].places * winograd_tiles_of(&tiles[i]);
	return products;
}

/*
 * Whether Winograd's way takes a pass. 3x3 on AVX2: 1.55 times as fast as direct with 16 channels, 1.4 with 8 ->
 * 64, 2.2 with 32, 2.7 with 64, 3 with 128 and more; less where tiles reach beyond a small map, because direct skips
 * the taps there (zone.c): with 64 channels forward 0.5 times on 2x2, 1.5 on 3x3, 1.65 on 4x4, 1.4 on 5x5, 2.1 on 6x6.
 * These follow the multiplications that it saves. Backward-weights gains sooner: 2 times on 3x3, 1.7 on 5x5. Narrower
 * layers, little work in any net, keep the smaller rounding, though with 8 to 12 channels it is 1.3 to 1.6 times as
 * fast: a small net then left the curve of its losses that double precision and PyTorch take.
 * 5x5, AVX-512 and AVX2, forward and backward-weights: 1.4 and 1.3 times with 16 channels, 1.65 and 1.55 with 32, 1.75
 * and 1.55 with 64; on small maps 1.2 and 1.05 on 7x7, 0.93 on 5x5, 1.13 and 1.35 on 4x4. With 64 channels on 17x17,
 * 4x4 2.5 and 2.2, 6x6, 7x7, 9x9 and 11x11 1.75 to 1.95 and 1.7 to 1.9; on small maps again where it saves more than a
 * fifth. On one axis, 3 taps: 0.9 times with 16 channels, 1.1 with 32, 1.5 with 64, 1.7 with 128; 5 taps: 1.05 with 32,
 * 1.3 with 64; 7 and 9 taps 1.35 with 50 and 64. With a stride of 2, 16 to 64 channels: 7x7 1.8 to 2.4, 5x5 1.5 to 2.2,
 * 4x4 1.0 to 1.9; 3x3, of which nothing remains but pieces of one and two taps, 0.65 to 1.0 with 16 to 32 channels, 1.1
 * to 1.45 with 64 and more (AVX-512; 1.0 to 1.3 on AVX2), 0.75 on 3x3 targets, which do not fit. In groups, 3x3: of 32
 * channels 2.1 times with 3 groups, 1.35 with 16; of 16 channels, where the maps, in no cache, are most of the
 * time, 1.2 with 16 groups and 1.5 with 32.
 */
bool bp_winograd_fits(const struct bp_conv *cv, enum pass pass)
{
	/* Source channels, weights of a tap, and what direct has to multiply more, from where on it takes a pass. */
	static const struct from {
		int channels, products;
		size_t percent[PASSES];
	} three = {8, 256, {150, 150, 110}}, other = {8, 256, {125, 125, 125}}, strided = {8, 256, {200, 200, 200}},
	  wide = {64, 4096, {135, 135, 150}}, line = {32, 1024, {150, 150, 150}};
	const struct bp_conv_shape *s = &cv->s;
	const struct side *sd = pass == PASS_DATA ? &cv->backward : &cv->forward;
	if (s->algorithm != BP_CONV_AUTO)
		return s->algorithm == BP_CONV_WINOGRAD;
	const int64_t weights = (int64_t)sd->kg * sd->ng;
	const bool three_by_three = s->kh == 3 && s->kw == 3, strides = s->sh > 1 || s->sw > 1;
	const bool is_wide = sd->kg >= wide.channels && weights >= wide.products;
	const struct from *from = s->kh == 1 || s->kw == 1 ? &line
				  : strides                ? (is_wide ? &wide : &strided)
				  : three_by_three         ? &three
							   : &other;
	if (!bp_conv_can_winograd(s) || sd->dot_rows || sd->kg < from->channels || weights < from->products)
		return false;
	return sd->inside * 100 > bp_winograd_products(sd) * from->percent[pass];
}

size_t bp_winograd_bundle(const struct bp_conv *cv)
{
	const size_t fit = BUNDLE_CHANNELS / (size_t)most(cv->forward.kg, cv->forward.ng), groups = cv->s.groups;
	return fit < 1 ? 1 : fit < groups ? fit : groups;
}

size_t bp_winograd_step(size_t elements)
{
	const size_t line = BP_ALIGN / sizeof(bp_real);
	return (divide_up(elements, line) | 1) * line;
}

size_t bp_winograd_zeros(const struct winograd_tiles *w, int channels)
{
	const size_t span = (size_t)(w->x.reads - 1) * w->x.mul * w->x.step + 1;
	return round_up(span * channels * sizeof(bp_real), BP_ALIGN);
}

/* Of tile i along an axis. */
static int64_t first_target(int i, const struct winograd_axis *a)
{
	const int step = a->step;
	return step == 1 ? (int64_t)i * a->makes : i % step + (int64_t)(i / step) * step * a->makes;
}

struct bp_tile bp_tile_at(const struct winograd_tiles *w, size_t i)
{
	const size_t line = i / w->x.tiles;
	struct bp_tile t = {line / w->y.tiles, (int)(line % w->y.tiles), (int)(i % w->x.tiles), 0, 0};
	t.y = first_target(t.line, &w->y);
	t.x = first_target(t.column, &w->x);
	return t;
}

void bp_tile_next(const struct winograd_tiles *w, struct bp_tile *t)
{
	if (++t->column == w->x.tiles) {
		t->column = 0;
		if (++t->line == w->y.tiles) {
			t->line = 0;
			t->image++;
		}
		t->y = first_target(t->line, &w->y);
	}
	t->x = first_target(t->column, &w->x);
}

int bp_tile_inside(int64_t end, int64_t from, int64_t step, int n)
{
	const int64_t before = end <= from ? 0 : step == 1 ? end - from : (end - from + step - 1) / step;
	return before < n ? (int)before : n;
}

void bp_tile_rows(
	const struct bp_map *m, size_t image, int64_t y, int64_t x, int rows, int cols, struct bp_winograd_in *ret)
{
	const bp_real *map = m->at + image * m->h * m->w * m->c;
	ret->col_step = (size_t)m->step_x * m->c;
	ret->lo = bp_tile_inside(0, x, m->step_x, cols);
	ret->hi = bp_tile_inside(m->w, x, m->step_x, cols);
	for (int i = 0; i < rows; i++, y += m->step_y)
		ret->rows[i] = y < 0 || y >= m->h ? m->zeros : map + (y * m->w + x) * m->c;
}

void bp_tile_part(const struct bp_map *m, const struct winograd_tiles *w, const struct bp_tile *t, size_t part,
	struct bp_winograd_in *ret)
{
	const struct winograd_axis *y = &w->y, *x = &w->x;
	bp_tile_rows(m, t->image, y->at[part / x->parts] + t->y * y->mul, x->at[part % x->parts] + t->x * x->mul,
		y->reads, x->reads, ret);
}

void bp_tiles_ahead(struct ahead *ret, const struct winograd_tiles *w, bool sources, const struct bp_map *m,
	size_t first, size_t count, size_t channels, size_t times)
{
	if (!count)
		return;
	const struct winograd_axis *y = &w->y;
	const struct bp_tile from = bp_tile_at(w, first), to = bp_tile_at(w, first + count - 1);
	const int64_t start = sources ? y->at[0] : y->from, mul = sources ? y->mul : y->scale;
	const int64_t apart = sources ? y->at[y->parts - 1] - y->at[0] : 0;
	const int64_t span = (int64_t)((sources ? y->reads : y->makes) - 1) * mul * y->step + 1 + apart;
	int64_t top = start + from.y * mul, end = start + to.y * mul + span;
	top = top < 0 ? 0 : top > m->h ? m->h : top;
	end = end < 0 ? 0 : end > m->h ? m->h : end;
	const int64_t lines = ((int64_t)to.image - (int64_t)from.image) * m->h + end - top;
	if (lines <= 0)
		return;
	const size_t pixels = (size_t)lines * m->w, c = m->c;
	const bp_real *at = m->at + (from.image * m->h + (size_t)top) * m->w * c;
	if (channels == c)
		bp_ahead_add(ret, at, pixels * c, times);
	else
		bp_ahead_add_runs(ret, at, channels, pixels, c, times);
}
