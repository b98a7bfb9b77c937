/*
 * winograd_tiles.c - kernels cut into pieces, and maps into tiles, for Winograd's way. Called by winograd.c and
 * winograd_weights.c, when a plan is made and by their tasks on any thread.
 *
 * Large kernels are cut into pieces of 3 and 4 taps along each axis, whose convolutions are added: 7x7 into 3x3, 3x4,
 * 4x3 and 4x4, which make 12.25 multiplications of 49.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/winograd.h"

enum { AXIS_PIECES = 3 };

/* Taps of the pieces of an axis; their number, 0: it is too long, or of two taps. Five stay whole: pieces of 3 and 2
 * would make a fifth fewer multiplications, but were 5 to 10 % slower, for each piece transforms the map again. */
static int cut_axis(int taps, int ret[AXIS_PIECES])
{
	if (taps <= 5) {
		ret[0] = taps;
		return taps != 2;
	}
	const int fours = taps % 3, n = fours + (taps - 4 * fours) / 3;
	for (int i = 0; i < n && n <= AXIS_PIECES; i++)
		ret[i] = i < n - fours ? 3 : 4;
	return n <= AXIS_PIECES ? n : 0;
}

static bool has_transforms(int kh, int kw)
{
	bool known = false;
#define KERNEL_KNOWN(h, w) known = known || (kh == (h) && kw == (w));
	BP_WINOGRAD_KERNELS(KERNEL_KNOWN)
#undef KERNEL_KNOWN
	return known;
}

/* Tiles along an axis: as many for each residue modulo the dilation. */
static int tiles_along(int targets, int step, int out)
{
	return (int)divide_up(divide_up((size_t)targets, (size_t)step), (size_t)out) * least(step, targets);
}

static struct winograd_tiles piece_tiles(const struct bp_conv_shape *s, int h, int w, int kh, int kw)
{
	struct winograd_tiles t = {
		.kh = kh,
		.kw = kw,
		.out_h = bp_winograd_makes(kh),
		.out_w = bp_winograd_makes(kw),
		.in_h = bp_winograd_reads(kh),
		.in_w = bp_winograd_reads(kw),
		.step_h = kh == 1 ? 1 : s->dh,
		.step_w = kw == 1 ? 1 : s->dw,
	};
	t.places = (size_t)t.in_h * t.in_w;
	t.down = tiles_along(h, t.step_h, t.out_h);
	t.across = tiles_along(w, t.step_w, t.out_w);
	return t;
}

size_t bp_winograd_pieces(const struct bp_conv_shape *s, int h, int w, struct winograd_tiles ret[BP_WINOGRAD_PIECES])
{
	int rows[AXIS_PIECES], cols[AXIS_PIECES];
	const int down = cut_axis(s->kh, rows), across = cut_axis(s->kw, cols);
	size_t n = 0;
	for (int i = 0, top = 0; i < down; top += rows[i++])
		for (int j = 0, left = 0; j < across; left += cols[j++], n++) {
			if (!has_transforms(rows[i], cols[j]))
				return 0;
			ret[n] = piece_tiles(s, h, w, rows[i], cols[j]);
			ret[n].top = top;
			ret[n].left = left;
		}
	return n;
}

bool bp_conv_can_winograd(const struct bp_conv_shape *s)
{
	struct winograd_tiles pieces[BP_WINOGRAD_PIECES];
	return s->sh == 1 && s->sw == 1 && s->groups == 1 && s->pt <= (int64_t)(s->kh - 1) * s->dh &&
	       s->pl <= (int64_t)(s->kw - 1) * s->dw && bp_winograd_pieces(s, s->oh, s->ow, pieces);
}

size_t bp_winograd_step(size_t elements)
{
	const size_t line = BP_ALIGN / sizeof(bp_real);
	return (divide_up(elements, line) | 1) * line;
}

size_t bp_winograd_zeros(const struct winograd_tiles *w, int channels)
{
	const size_t span = w->in_h == 1 ? 0 : (size_t)(w->in_w - 1) * w->step_w + 1; /* maps have a row 0 */
	return round_up(span * channels * sizeof(bp_real), BP_ALIGN);
}

/* Of tile i along an axis. */
static int64_t first_target(int i, int step, int out)
{
	return step == 1 ? (int64_t)i * out : i % step + (int64_t)(i / step) * step * out;
}

struct bp_tile bp_tile_at(const struct winograd_tiles *w, size_t i)
{
	const size_t line = i / w->across;
	struct bp_tile t = {line / w->down, (int)(line % w->down), (int)(i % w->across), 0, 0};
	t.y = first_target(t.line, w->step_h, w->out_h);
	t.x = first_target(t.column, w->step_w, w->out_w);
	return t;
}

void bp_tile_next(const struct winograd_tiles *w, struct bp_tile *t)
{
	if (++t->column == w->across) {
		t->column = 0;
		if (++t->line == w->down) {
			t->line = 0;
			t->image++;
		}
		t->y = first_target(t->line, w->step_h, w->out_h);
	}
	t->x = first_target(t->column, w->step_w, w->out_w);
}

int bp_tile_inside(int64_t end, int64_t from, int step, int n)
{
	const int64_t before = end <= from ? 0 : step == 1 ? end - from : (end - from + step - 1) / step;
	return before < n ? (int)before : n;
}

void bp_tile_rows(const struct winograd_tiles *w, const struct bp_map *m, size_t image, int64_t y, int64_t x, int rows,
	int cols, struct bp_winograd_in *ret)
{
	const bp_real *map = m->at + image * m->h * m->w * m->c;
	ret->lo = bp_tile_inside(0, x, w->step_w, cols);
	ret->hi = bp_tile_inside(m->w, x, w->step_w, cols);
	for (int i = 0; i < rows; i++, y += w->step_h)
		ret->rows[i] = y < 0 || y >= m->h ? m->zeros : map + (y * m->w + x) * m->c;
}
