/*
 * winograd_tiles.c - kernels cut into pieces, and maps into tiles, for Winograd's way. Called by winograd.c and
 * winograd_weights.c, when a plan is made and by their tasks on any thread.
 *
 * Large kernels are cut into pieces of 3 and 4 taps along each axis, whose convolutions are added: 7x7 into 3x3, 3x4,
 * 4x3 and 4x4, which make 12.25 multiplications of 49. A stride cuts them too: taps that are the stride apart read
 * every pixel of a phase of the map, which is a convolution without a stride; 3x3 with a stride of 2 makes 2x2, 2x1,
 * 1x2 and 1x1, 4.84 multiplications of 9. In backward-data the pixels of one residue are the targets of such a one.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/winograd.h"

enum { AXIS_PIECES = 3 };

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

bool bp_conv_can_winograd(const struct bp_conv_shape *s)
{
	return can_cut(s->kh, s->sh, s->dh) && can_cut(s->kw, s->sw, s->dw) && s->kh * s->kw > 1 && s->groups == 1 &&
	       s->pt <= (int64_t)(s->kh - 1) * s->dh && s->pl <= (int64_t)(s->kw - 1) * s->dw;
}

/* An axis of a lattice (plan.h): target i is pixel from + i scale, and reads source at + i step + t tap_step by tap t,
 * which is the kernel's tap k + t ks. */
struct axis {
	int targets, from, scale, at, step, taps, tap_step, k, ks;
};

/* Tiles along an axis: as many for each residue modulo the dilation. */
static int tiles_along(int targets, int step, int makes)
{
	return (int)divide_up(divide_up((size_t)targets, (size_t)step), (size_t)makes) * least(step, targets);
}

/* Its pieces. Taps of one phase are a stride apart, and read neighbouring sources of those that lie as far apart. */
static int axis_pieces(const struct axis *a, struct winograd_axis ret[AXIS_PIECES])
{
	int n = 0;
	for (int phase = 0; phase < a->step; phase++) {
		int taps[AXIS_PIECES];
		const int pieces = cut_taps((a->taps - phase + a->step - 1) / a->step, taps);
		for (int i = 0, first = phase; i < pieces; first += taps[i++] * a->step) {
			struct winograd_axis p = {
				.taps = taps[i],
				.tap = a->k + first * a->ks,
				.tap_step = a->step * a->ks,
				.targets = a->targets,
				.from = a->from,
				.scale = a->scale,
				.at = a->at + (int64_t)first * a->tap_step,
				.mul = a->step,
				.makes = bp_winograd_makes(taps[i]),
				.reads = bp_winograd_reads(taps[i]),
				.step = taps[i] == 1 ? 1 : a->tap_step,
			};
			p.tiles = tiles_along(p.targets, p.step, p.makes);
			ret[n++] = p;
		}
	}
	return n;
}

size_t bp_winograd_pieces(const struct side *sd, struct winograd_tiles ret[BP_WINOGRAD_PIECES])
{
	size_t n = 0;
	for (const struct lattice *l = sd->lattices; l < sd->lattices + sd->nlattices; l++) {
		const struct axis y = {l->h, l->y0, l->sy, l->iy, l->isy, l->nky, l->ty, l->ky, l->kys};
		const struct axis x = {l->w, l->x0, l->sx, l->ix, l->isx, l->nkx, l->tx, l->kx, l->kxs};
		struct winograd_axis rows[AXIS_PIECES], cols[AXIS_PIECES];
		const int down = axis_pieces(&y, rows), across = axis_pieces(&x, cols);
		for (int i = 0; i < down * across; i++) {
			struct winograd_tiles *t = &ret[n++];
			*t = (struct winograd_tiles){.y = rows[i / across], .x = cols[i % across]};
			t->places = (size_t)t->y.reads * t->x.reads;
			t->first = i == 0;
			t->last = i + 1 == down * across;
		}
	}
	return n;
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
