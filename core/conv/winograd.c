/*
 * winograd.c - one direction of a 3x3 or 5x5 convolution of stride 1 (forward, or backward-data), or of such a one
 * along one axis, dilated or not, in Winograd's way: with 3x3 a quarter of the multiplications of the direct way, with
 * 5x5 9 of 25 (kernels/winograd.h). Called by conv.c on the trainer's thread; its tasks run on any.
 *
 * First the weights are transformed into panels of nr target channels for each of the places. Then each task takes
 * a block of tiles and a range of panels: it transforms the block's sources, makes for each place the product of
 * tiles x source channels with source x target channels by the register tile of the indirect GEMM, and transforms the
 * sums into the targets. Where one block takes all tiles, each panel belongs to one task, which transforms it itself:
 * with 256 channels on 32 4x4 maps the transformed weights, 9 MiB, went through memory twice otherwise. Tiles do not
 * depend on each other, so the bits do not depend on how they are cut into blocks. Backward-data is a convolution
 * too: of dY, with the taps in reverse and the weights' channels exchanged.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/igemm.h"
#include "kernels/winograd.h"

#include <string.h>

enum {
	PACK_ROWS = 64,        /* rows of a panel that a task transforms */
	TASK_WORK = 500000,    /* multiply-adds that are worth a task */
	TASKS = 8,             /* at least, if the work is worth them */
	EVEN = 4,              /* many blocks are a multiple of so many: 11 were 6 for one thread and 5 for the other */
	BLOCK = 48,            /* tiles of a block: the more, the fewer times all weights are read; the fewer, */
	LARGE_BLOCK = 96,      /* ... the nearer to L2 its values stay. Measured flat from 24 to 96, but with many */
	LARGE_BYTES = 4 << 20, /* ... transformed weights: 256 channels on AVX2 gain 5 % at 96 */
};

struct job {
	const struct bp_conv *cv;
	const struct side *sd;
	struct gemm_call call;
	bp_real *u, *zeros;
	size_t tiles, block, cuts; /* of the batch, of a task; ranges of panels */
};

bool bp_conv_can_winograd(const struct bp_conv_shape *s)
{
	bool known = false;
#define KERNEL_KNOWN(h, w) known = known || (s->kh == (h) && s->kw == (w));
	BP_WINOGRAD_KERNELS(KERNEL_KNOWN)
#undef KERNEL_KNOWN
	return known && s->sh == 1 && s->sw == 1 && s->groups == 1 && s->pt <= (int64_t)(s->kh - 1) * s->dh &&
	       s->pl <= (int64_t)(s->kw - 1) * s->dw;
}

size_t bp_winograd_step(size_t elements)
{
	const size_t line = BP_ALIGN / sizeof(bp_real);
	return (divide_up(elements, line) | 1) * line;
}

/* Tiles along an axis: as many for each residue modulo the dilation. */
static int tiles_along(int targets, int step, int out)
{
	return (int)divide_up(divide_up((size_t)targets, (size_t)step), (size_t)out) * least(step, targets);
}

void bp_winograd_tiles(const struct bp_conv_shape *s, int h, int w, struct winograd_plan *ret)
{
	ret->out_h = bp_winograd_makes(s->kh);
	ret->out_w = bp_winograd_makes(s->kw);
	ret->in_h = bp_winograd_reads(s->kh);
	ret->in_w = bp_winograd_reads(s->kw);
	ret->places = (size_t)ret->in_h * ret->in_w;
	ret->step_h = s->kh == 1 ? 1 : s->dh;
	ret->step_w = s->kw == 1 ? 1 : s->dw;
	ret->down = tiles_along(h, ret->step_h, ret->out_h);
	ret->across = tiles_along(w, ret->step_w, ret->out_w);
}

size_t bp_winograd_zeros(const struct winograd_plan *p, int channels)
{
	const size_t span = p->in_h == 1 ? 0 : (size_t)(p->in_w - 1) * p->step_w + 1; /* maps have a row 0 */
	return round_up(span * channels * sizeof(bp_real), BP_ALIGN);
}

static size_t kernel_taps(const struct bp_conv *cv)
{
	return (size_t)cv->s.kh * cv->s.kw;
}

/* K of the products is summed in pieces of a panel that stay in L1. */
static size_t piece_length(const struct side *sd)
{
	return divide_up(sd->kg, divide_up(sd->kg, sd->depth));
}

static void side_plan(const struct bp_conv *cv, struct side *sd)
{
	const size_t vlen = cv->k->vlen, nr = cv->k->nr, mr = cv->k->mr;
	struct winograd_plan *p = &sd->winograd;
	bp_winograd_tiles(&cv->s, sd->out_h, sd->out_w, p);
	const size_t tiles = cv->max_batch * p->down * p->across;
	p->u_step = bp_winograd_step((size_t)sd->panels * sd->kg * nr);
	const bool large = p->u_step * p->places * sizeof(bp_real) > LARGE_BYTES;
	size_t block = round_up(large ? LARGE_BLOCK : BLOCK, mr);
	p->block = block < tiles ? block : tiles;
	p->in_ld = round_up(sd->kg, vlen);
	p->in_step = bp_winograd_step(p->block * p->in_ld);
	p->out_step = bp_winograd_step(p->block * round_up(sd->ng, vlen));
	p->own_step = large && tiles <= BLOCK ? bp_winograd_step(piece_length(sd) * nr) : 0;
	size_t transform = kernel_taps(cv) * PACK_ROWS * nr * sizeof(bp_real);
	size_t block_bytes = (p->in_step + p->out_step) * p->places * sizeof(bp_real) + 2 * p->block * sizeof(void *);
	if (p->own_step)
		p->scratch = round_up(block_bytes, BP_ALIGN) + p->places * p->own_step * sizeof(bp_real) + transform;
	else
		p->scratch = round_up(transform > block_bytes ? transform : block_bytes, BP_ALIGN);
}

/* Of the weights that are transformed ahead. */
static size_t ahead_bytes(const struct side *sd)
{
	return sd->winograd.own_step ? 0 : sd->winograd.u_step * sd->winograd.places * sizeof(bp_real);
}

static size_t side_workspace(const struct side *sd, int threads)
{
	const struct winograd_plan *p = &sd->winograd;
	return ahead_bytes(sd) + bp_winograd_zeros(p, sd->in_c) + (size_t)threads * p->scratch;
}

static size_t pack_pieces(const struct side *sd)
{
	return divide_up(sd->kg, PACK_ROWS);
}

/* n rows of a panel of transformed weights, from `row` on, to u; taps is room for them before. */
static void pack_rows(
	const struct job *j, size_t panel, size_t row, size_t n, struct bp_winograd_weights *w, bp_real *taps)
{
	const struct side *sd = j->sd;
	const struct bp_kernels *k = j->cv->k;
	const size_t oc = j->cv->s.oc, all = kernel_taps(j->cv);
	const int first = (int)panel * k->nr;
	w->kh = j->cv->s.kh;
	w->kw = j->cv->s.kw;
	w->n = n;
	w->u_ld = k->nr;
	w->cols = least(sd->ng - first, k->nr);
	w->w = (bp_real *)j->call.w + row * oc + first;
	w->tap_step = sd->kg * oc;
	w->ld = oc;
	if (sd->transposed) {
		for (size_t t = 0; t < all; t++)
			k->pack_transposed(taps + t * n * k->nr,
				j->call.w + ((all - 1 - t) * sd->ng + first) * oc + row, oc, n, w->cols);
		w->w = taps;
		w->cols = k->nr;
		w->tap_step = n * k->nr;
		w->ld = k->nr;
	}
	k->winograd_weights(w);
}

static void pack_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const size_t panel = i / pack_pieces(sd), row = i % pack_pieces(sd) * PACK_ROWS, left = sd->kg - row;
	struct bp_winograd_weights w = {.u = j->u + (panel * sd->kg + row) * j->cv->k->nr, .step = sd->winograd.u_step};
	pack_rows(j, panel, row, left < PACK_ROWS ? left : PACK_ROWS, &w, scratch);
}

/* Of tile i along an axis. */
static int64_t first_target(int i, int step, int out)
{
	return step == 1 ? (int64_t)i * out : i % step + (int64_t)(i / step) * step * out;
}

struct bp_tile bp_tile_at(const struct winograd_plan *p, size_t i)
{
	const size_t line = i / p->across;
	struct bp_tile t = {line / p->down, (int)(line % p->down), (int)(i % p->across), 0, 0};
	t.y = first_target(t.line, p->step_h, p->out_h);
	t.x = first_target(t.column, p->step_w, p->out_w);
	return t;
}

void bp_tile_next(const struct winograd_plan *p, struct bp_tile *t)
{
	if (++t->column == p->across) {
		t->column = 0;
		if (++t->line == p->down) {
			t->line = 0;
			t->image++;
		}
		t->y = first_target(t->line, p->step_h, p->out_h);
	}
	t->x = first_target(t->column, p->step_w, p->out_w);
}

/* Pixels of a tile before the one that lies at `end` of an axis or past it, when the first is at `from`: up to n. */
static int pixels_before(int64_t end, int64_t from, int step, int n)
{
	const int64_t before = end <= from ? 0 : step == 1 ? end - from : (end - from + step - 1) / step;
	return before < n ? (int)before : n;
}

void bp_tile_rows(const struct winograd_plan *p, const struct bp_map *m, size_t image, int64_t y, int64_t x, int rows,
	int cols, struct bp_winograd_in *ret)
{
	const bp_real *map = m->at + image * m->h * m->w * m->c;
	ret->lo = pixels_before(0, x, p->step_w, cols);
	ret->hi = pixels_before(m->w, x, p->step_w, cols);
	for (int i = 0; i < rows; i++, y += p->step_h)
		ret->rows[i] = y < 0 || y >= m->h ? m->zeros : map + (y * m->w + x) * m->c;
}

/* A task's block: rows of transformed sources at v and of sums at m, for panels [panel, end). */
struct block {
	const struct job *j;
	size_t first, tiles;
	size_t panel, end;
	size_t out_ld;
	bp_real *v, *m, *own; /* own: transformed weights, and room before that, if the task makes them */
	const bp_real **a;
	bp_real **c;
};

static void block_sources(const struct block *b)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const struct winograd_plan *p = &sd->winograd;
	const struct bp_map map = {j->call.in, j->zeros, sd->in_h, sd->in_w, sd->in_c};
	struct bp_winograd_in in = {
		.kh = j->cv->s.kh,
		.kw = j->cv->s.kw,
		.channels = sd->kg,
		.col_step = (size_t)p->step_w * sd->in_c,
		.step = p->in_step,
		.panel = p->in_ld,
	};
	struct bp_tile t = bp_tile_at(p, b->first);
	for (size_t i = 0; i < b->tiles; i++, bp_tile_next(p, &t)) {
		bp_tile_rows(p, &map, t.image, t.y + sd->lattices->iy, t.x + sd->lattices->ix, p->in_h, p->in_w, &in);
		in.dst = b->v + i * p->in_ld;
		j->cv->k->winograd_input(&in);
	}
}

/* M = or += V U at one place: a piece of a panel, rows [k0, k0 + kc) of U, which lie at b. */
static void block_piece(const struct block *bl, size_t place, size_t panel, size_t k0, size_t kc, const bp_real *b)
{
	const struct side *sd = bl->j->sd;
	const struct winograd_plan *p = &sd->winograd;
	const struct bp_kernels *k = bl->j->cv->k;
	const size_t nr = k->nr, tall = divide_up(bl->tiles, k->mr), rows = bl->tiles / tall, longer = bl->tiles % tall;
	struct bp_igemm g = {
		.cols = (int)round_up(least(sd->ng - (int)(panel * nr), k->nr), k->vlen),
		.taps = 1,
		.kc = kc,
		.k0 = place * p->in_step + k0,
		.b = b,
		.ldb = nr,
		.col = place * p->out_step + (panel - bl->panel) * nr,
		.acc = k0 > 0,
	};
	for (size_t t = 0, from = 0; t < tall; t++, from += (size_t)g.rows) {
		g.rows = (int)(rows + (t < longer));
		g.a = bl->a + from;
		g.c = bl->c + from;
		k->igemm(&g);
	}
}

/* By weights that were transformed ahead. */
static void block_products(const struct block *b)
{
	const struct side *sd = b->j->sd;
	const size_t kg = sd->kg, length = piece_length(sd), nr = b->j->cv->k->nr;
	for (size_t place = 0; place < sd->winograd.places; place++)
		for (size_t panel = b->panel; panel < b->end; panel++)
			for (size_t k0 = 0; k0 < kg; k0 += length)
				block_piece(b, place, panel, k0, kg - k0 < length ? kg - k0 : length,
					b->j->u + place * sd->winograd.u_step + (panel * kg + k0) * nr);
}

/* By weights that the task transforms piece by piece. */
static void block_own_products(const struct block *b)
{
	const struct side *sd = b->j->sd;
	const size_t kg = sd->kg, length = piece_length(sd), nr = b->j->cv->k->nr, step = sd->winograd.own_step;
	for (size_t panel = b->panel; panel < b->end; panel++)
		for (size_t k0 = 0; k0 < kg; k0 += length) {
			const size_t kc = kg - k0 < length ? kg - k0 : length;
			for (size_t row = 0; row < kc; row += PACK_ROWS) {
				struct bp_winograd_weights w = {.u = b->own + row * nr, .step = step};
				pack_rows(b->j, panel, k0 + row, kc - row < PACK_ROWS ? kc - row : PACK_ROWS, &w,
					b->own + sd->winograd.places * step);
			}
			for (size_t place = 0; place < sd->winograd.places; place++)
				block_piece(b, place, panel, k0, kc, b->own + place * step);
		}
}

static void block_targets(const struct block *b)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const struct winograd_plan *p = &sd->winograd;
	const size_t first = b->panel * j->cv->k->nr, end = b->end * j->cv->k->nr, c = sd->out_c, w = sd->out_w;
	struct bp_winograd_out out = {
		.kh = j->cv->s.kh,
		.kw = j->cv->s.kw,
		.channels = (end < c ? end : c) - first,
		.step = p->out_step,
		.row_step = p->step_h * w * c,
		.col_step = p->step_w * c,
		.bias = j->call.bias ? j->call.bias + first : NULL,
		.acc = j->call.acc,
		.relu = j->call.relu,
	};
	struct bp_tile t = bp_tile_at(p, b->first);
	for (size_t i = 0; i < b->tiles; i++, bp_tile_next(p, &t)) {
		out.src = b->m + i * b->out_ld;
		out.rows = pixels_before(sd->out_h, t.y, p->step_h, p->out_h);
		out.cols = pixels_before(sd->out_w, t.x, p->step_w, p->out_w);
		const size_t at = ((t.image * sd->out_h + t.y) * w + t.x) * c + first;
		out.dst = j->call.out + at;
		out.through = j->call.through ? j->call.through + at : NULL;
		j->cv->k->winograd_output(&out);
	}
}

static void block_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const struct winograd_plan *p = &sd->winograd;
	const size_t cut = i % j->cuts, first = i / j->cuts * j->block, left = j->tiles - first, panels = sd->panels;
	struct block b = {
		.j = j,
		.first = first,
		.tiles = left < j->block ? left : j->block,
		.panel = cut * panels / j->cuts,
		.end = (cut + 1) * panels / j->cuts,
		.v = scratch,
		.m = (bp_real *)scratch + p->places * p->in_step,
	};
	const size_t cols = (b.end - b.panel) * j->cv->k->nr, all = round_up(sd->ng, j->cv->k->vlen);
	b.out_ld = cols < all ? cols : all;
	b.a = (const bp_real **)(b.m + p->places * p->out_step);
	b.c = (bp_real **)(b.a + p->block);
	for (size_t t = 0; t < b.tiles; t++) {
		b.a[t] = b.v + t * p->in_ld;
		b.c[t] = b.m + t * b.out_ld;
	}
	block_sources(&b);
	if (p->own_step) {
		b.own = (bp_real *)((char *)scratch + p->scratch) - p->places * p->own_step -
			kernel_taps(j->cv) * PACK_ROWS * j->cv->k->nr;
		block_own_products(&b);
	} else {
		block_products(&b);
	}
	block_targets(&b);
}

/* Blocks of tiles, at least half as large as planned, and cuts of the panels where those make too few tasks: each cut
 * transforms the block's sources again. */
static void cut_work(struct job *j, size_t multiply_adds)
{
	const struct winograd_plan *p = &j->sd->winograd;
	const size_t panels = j->sd->panels, half = divide_up(p->block, 2);
	size_t want = multiply_adds / TASK_WORK, blocks = divide_up(j->tiles, p->block), most_blocks = j->tiles / half;
	want = want < 1 ? 1 : want > TASKS ? TASKS : want;
	most_blocks = most_blocks < want ? most_blocks : want;
	blocks = blocks < most_blocks ? most_blocks : blocks;
	blocks = blocks > EVEN ? round_up(blocks, EVEN) : blocks;
	if (p->own_step)
		blocks = 1;
	j->block = divide_up(j->tiles, blocks);
	j->cuts = divide_up(want, divide_up(j->tiles, j->block));
	j->cuts = j->cuts < panels ? j->cuts : panels;
}

static void run(const struct bp_conv *cv, const struct side *sd, const struct bp_ctx *ctx, const struct gemm_call *call,
	void *ws)
{
	const struct winograd_plan *p = &sd->winograd;
	struct job j = {.cv = cv, .sd = sd, .call = *call, .u = ws};
	j.zeros = (bp_real *)((char *)ws + ahead_bytes(sd));
	memset(j.zeros, 0, bp_winograd_zeros(p, sd->in_c));
	j.tiles = call->n * p->down * p->across;
	const size_t work = j.tiles * p->places * sd->kg * sd->ng;
	cut_work(&j, work);
	const struct phase phases[] = {
		{pack_pieces(sd) * sd->panels, pack_task}, {divide_up(j.tiles, j.block) * j.cuts, block_task}};
	const int own = p->own_step > 0;
	struct work w = {&j, phases + own, 2 - own, (char *)j.zeros + bp_winograd_zeros(p, sd->in_c), p->scratch};
	bp_work_run(ctx, work, &w);
}

/*
 * Whether Winograd's way takes a pass. 3x3 on AVX2: 1.55 times as fast as direct with 16 channels, 1.4 with 8 ->
 * 64, 2.2 with 32, 2.7 with 64, 3 with 128 and more; less where tiles reach beyond a small map, because direct skips
 * the taps there (zone.c): with 64 channels forward 0.3 times on 2x2, 0.85 on 3x3, 1.65 on 4x4, 0.9 on 5x5, 1.4 on 6x6.
 * These follow the multiplications that it saves. Backward-weights gains sooner: 1.4 times on 3x3, 1.1 on 5x5. With 8
 * to 12 channels it is 1.3 to 1.6 times as fast. With 8 to 12 channels it is 1.3 to 1.6 times as fast. Narrower layers,
 * little work in any net, keep the smaller rounding. 5x5, AVX-512 and AVX2, forward and backward-weights: 1.4 and 1.3
 * times with 16 channels, 1.65 and 1.55 with 32, 1.75 and 1.55 with 64; on small maps 1.2 and 1.05 on 7x7, 0.93 on
 * 5x5, 1.13 and 1.35 on 4x4. On one axis, 3 taps: 0.9 times with 16 channels, 1.1 with 32, 1.5 with 64, 1.7 with 128; 5
 * taps: 1.05 with 32, 1.3 with 64.
 */
static bool fits(const struct bp_conv *cv, enum pass pass)
{
	/* Source channels, weights of a tap, and what direct has to multiply more, from where on it takes a pass. */
	static const struct from {
		int channels, products;
		size_t percent[PASSES];
	} three = {8, 64, {150, 150, 110}}, five = {8, 128, {125, 125, 125}}, line = {32, 1024, {150, 150, 150}};
	const struct bp_conv_shape *s = &cv->s;
	const struct side *sd = pass == PASS_DATA ? &cv->backward : &cv->forward;
	if (s->algorithm != BP_CONV_AUTO)
		return s->algorithm == BP_CONV_WINOGRAD;
	const struct from *from = s->kh == 1 || s->kw == 1 ? &line : s->kh == 3 ? &three : &five;
	if (!bp_conv_can_winograd(s) || sd->kg < from->channels || (int64_t)sd->kg * sd->ng < from->products)
		return false;
	struct winograd_plan tiles;
	bp_winograd_tiles(s, sd->out_h, sd->out_w, &tiles);
	return sd->inside * 100 > tiles.places * tiles.down * tiles.across * from->percent[pass];
}

static void plan(struct bp_conv *cv)
{
	side_plan(cv, &cv->forward);
	side_plan(cv, &cv->backward);
	bp_winograd_weights_plan(cv);
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	if (pass == PASS_WEIGHTS)
		return bp_winograd_weights_workspace(cv, threads);
	return side_workspace(pass == PASS_FORWARD ? &cv->forward : &cv->backward, threads);
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct gemm_call g = forward_operands(cv, call);
	run(cv, &cv->forward, ctx, &g, ws);
}

static void data(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct gemm_call g = data_operands(cv, call);
	run(cv, &cv->backward, ctx, &g, ws);
}

const struct way bp_way_winograd = {
	.fits = fits,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = bp_winograd_weights_run,
	.data = data,
	.takes_relu = true,
};
