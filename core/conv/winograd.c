/*
 * winograd.c - one direction of a convolution (forward, or backward-data) in Winograd's way: with 3x3 kernels a quarter
 * of the multiplications of the direct way, with 5x5 9 of 25 (kernels/winograd.h). Called by conv.c on the trainer's
 * thread; its tasks run on any. What follows is done for each piece of the kernel (winograd_tiles.c); of its parts, the
 * source channels stand side by side.
 *
 * First the weights are transformed into panels of target channels for each of the places. Then each task takes
 * a block of tiles and a range of panels: it transforms the block's sources, makes for each place the product of
 * tiles x source channels with source x target channels by the register tile of the indirect GEMM, and transforms the
 * sums into the targets. Where one block takes all tiles, each panel belongs to one task, which transforms it itself:
 * with 256 channels on 32 4x4 maps the transformed weights, 9 MiB, went through memory twice otherwise. Tiles do not
 * depend on each other, so the bits do not depend on how they are cut into blocks. Backward-data is a convolution
 * too: of dY, with the taps in reverse and the weights' channels exchanged. Groups are so many convolutions, of which a
 * task takes a few at a time (bp_winograd_bundle).
 *
 * Between the products a task asks memory for its targets, which are written next, and for the sources of the task
 * after it. Of maps that are in no cache, 16 channels on 512 28x28 maps, that took forward from 134 to 190 GFLOP/s and
 * backward-weights from 126 to 190; a step of ResNet-20 takes 6 % less on one thread and 3 % less on two (AVX-512). The
 * weights that come next are asked for by the products themselves, a line at a time, for weights of 128 channels and
 * more pass by from L3: that gave 128 channels 8 and 5 % (forward and backward-data), 512 on 4x4 maps 28 and 20 %.
 */
#include "conv/winograd.h"

#include "base/mem.h"
#include "kernels/igemm.h"

#include <string.h>

/* Rows of a panel that a task transforms: few enough that 64 channels are two tasks, or a second thread would wait. */
enum { PACK_ROWS = 32 };

struct job {
	const struct bp_conv *cv;
	const struct side *sd;
	const struct winograd_plan *p; /* of the piece */
	struct gemm_call call;
	bp_real *u, *zeros;
	struct winograd_cut cut;
	size_t threads; /* that share the tasks */
};

static size_t piece_taps(const struct winograd_plan *p)
{
	return (size_t)p->tiles.y.taps * p->tiles.x.taps;
}

/* K of the products: the source channels of a group, of each part of the piece. */
static size_t sum_length(const struct side *sd, const struct winograd_plan *p)
{
	return p->tiles.parts * (size_t)sd->kg;
}

/* It is summed in pieces of a panel that stay in L1. */
static size_t slice_length(const struct side *sd, const struct winograd_plan *p)
{
	const size_t all = sum_length(sd, p);
	return divide_up(all, divide_up(all, sd->depth));
}

/* From row to row of a panel of transformed weights: no wider than a group. */
static size_t panel_ld(const struct bp_conv *cv, const struct side *sd)
{
	return sd->panels > 1 ? (size_t)sd->tile.nr : round_up(sd->ng, cv->k->vlen);
}

static void piece_plan(const struct bp_conv *cv, const struct side *sd, struct winograd_plan *p)
{
	const size_t vlen = cv->k->vlen, nr = sd->tile.nr, places = p->tiles.places;
	p->bundle = bp_winograd_bundle(cv);
	p->u_step = bp_winograd_step(side_units(cv, sd) * sum_length(sd, p) * panel_ld(cv, sd));
	const bool own = bp_winograd_cut_plan(cv, sd, p);
	p->in_ld = round_up((p->tiles.parts - 1) * sd->kg + round_up(p->bundle * sd->kg, vlen), vlen);
	p->in_step = bp_winograd_step(p->block * p->in_ld);
	p->out_step = bp_winograd_step(p->block * round_up(p->bundle * sd->ng, vlen));
	p->own_step = own ? bp_winograd_step(slice_length(sd, p) * panel_ld(cv, sd)) : 0;
	size_t transform = piece_taps(p) * PACK_ROWS * nr * sizeof(bp_real);
	size_t block_bytes = (p->in_step + p->out_step) * places * sizeof(bp_real) + 2 * p->block * sizeof(void *);
	if (p->own_step)
		p->scratch = round_up(block_bytes, BP_ALIGN) + places * p->own_step * sizeof(bp_real) + transform;
	else
		p->scratch = round_up(transform > block_bytes ? transform : block_bytes, BP_ALIGN);
}

static void side_plan(const struct bp_conv *cv, struct side *sd)
{
	struct winograd_tiles tiles[BP_WINOGRAD_PIECES];
	sd->pieces = bp_winograd_pieces(sd, tiles);
	for (size_t i = 0; i < sd->pieces; i++) {
		sd->winograd[i].tiles = tiles[i];
		piece_plan(cv, sd, &sd->winograd[i]);
	}
}

/* Of the weights that are transformed ahead. */
static size_t ahead_bytes(const struct winograd_plan *p)
{
	return p->own_step ? 0 : p->u_step * p->tiles.places * sizeof(bp_real);
}

static size_t side_workspace(const struct side *sd, int threads)
{
	size_t bytes = 0;
	for (const struct winograd_plan *p = sd->winograd; p < sd->winograd + sd->pieces; p++) {
		const size_t own =
			ahead_bytes(p) + bp_winograd_zeros(&p->tiles, sd->in_c) + (size_t)threads * p->scratch;
		bytes = own > bytes ? own : bytes;
	}
	return bytes;
}

/* Tasks that transform the rows of a part of a unit. */
static size_t pack_tasks(const struct side *sd)
{
	return divide_up(sd->kg, PACK_ROWS);
}

/* n rows of a unit (a group's panel) of transformed weights, from `row` of a part on, to u; taps is room for them
 * before. */
static void pack_rows(const struct job *j, size_t unit, size_t part, size_t row, size_t n,
	struct bp_winograd_weights *w, bp_real *taps)
{
	const struct side *sd = j->sd;
	const struct bp_kernels *k = j->cv->k;
	const struct winograd_axis *y = &j->p->tiles.y, *x = &j->p->tiles.x;
	const size_t group = unit / sd->panels, oc = j->cv->s.oc, tap_size = oc * j->cv->s.c / j->cv->s.groups;
	const int first = (int)(unit % sd->panels) * sd->tile.nr, kw = j->cv->s.kw;
	w->y = (struct bp_winograd_axis){y->taps, y->reads};
	w->x = (struct bp_winograd_axis){x->taps, x->reads};
	const size_t down = part / x->parts, across = part % x->parts;
	const int tap_y = y->tap[down], tap_x = x->tap[across];
	w->n = n;
	w->u_ld = panel_ld(j->cv, sd);
	w->cols = least(sd->ng - first, sd->tile.nr);
	if (!sd->transposed) {
		w->w = (bp_real *)j->call.w + (size_t)(tap_y * kw + tap_x) * tap_size + row * oc + group * sd->ng +
		       first;
		w->tap_step = x->tap_step * tap_size;
		w->line_step = (size_t)y->tap_step * kw * tap_size;
		w->ld = oc;
	} else {
		for (int t = 0; t < y->taps * x->taps; t++) {
			const int tap = (tap_y + t / x->taps * y->tap_step) * kw + tap_x + t % x->taps * x->tap_step;
			k->pack_transposed(taps + t * n * sd->tile.nr, sd->tile.nr,
				j->call.w + tap * tap_size + first * oc + group * sd->kg + row, oc, n, w->cols);
		}
		w->w = taps;
		w->cols = (int)w->u_ld;
		w->tap_step = n * sd->tile.nr;
		w->line_step = x->taps * w->tap_step;
		w->ld = sd->tile.nr;
	}
	k->winograd_weights(w);
}

static void pack_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const size_t all = pack_tasks(sd), parts = j->p->tiles.parts, unit = i / all / parts, part = i / all % parts;
	const size_t row = i % all * PACK_ROWS, left = sd->kg - row;
	struct bp_winograd_weights w = {
		.u = j->u + ((unit * parts + part) * sd->kg + row) * panel_ld(j->cv, sd), .step = j->p->u_step};
	pack_rows(j, unit, part, row, left < PACK_ROWS ? left : PACK_ROWS, &w, scratch);
}

/* A task's block: rows of transformed sources at v and of sums at m, for units [unit, end): of one group, or all of
 * some. */
struct block {
	const struct job *j;
	size_t first, tiles;
	size_t unit, end;
	size_t out_ld;
	bp_real *v, *m, *own; /* own: transformed weights, and room before that, if the task makes them */
	const bp_real **a;
	bp_real **c;
	struct ahead ahead; /* its targets, and the sources of the block after it, asked for between its products */
};

/* The group's first source channel. */
static size_t unit_source(const struct side *sd, size_t unit)
{
	return unit / sd->panels * sd->kg;
}

/* The unit's first target channel; those of a group, and of a block, follow on each other. */
static size_t unit_target(const struct job *j, size_t unit)
{
	const struct side *sd = j->sd;
	return unit / sd->panels * sd->ng + unit % sd->panels * sd->tile.nr;
}

static int unit_targets(const struct job *j, size_t unit)
{
	return least(j->sd->ng - (int)(unit % j->sd->panels) * j->sd->tile.nr, j->sd->tile.nr);
}

/* Of units [unit, end). */
static size_t block_source_channels(const struct side *sd, size_t unit, size_t end)
{
	return unit_source(sd, end - 1) + sd->kg - unit_source(sd, unit);
}

/* Target channels of them. */
static size_t block_target_channels(const struct job *j, size_t unit, size_t end)
{
	return unit_target(j, end - 1) + unit_targets(j, end - 1) - unit_target(j, unit);
}

/* From the unit's group on. */
static struct bp_map sources_of(const struct job *j, size_t unit)
{
	const struct winograd_axis *y = &j->p->tiles.y, *x = &j->p->tiles.x;
	return (struct bp_map){
		.at = j->call.in + unit_source(j->sd, unit),
		.zeros = j->zeros,
		.h = j->sd->in_h,
		.w = j->sd->in_w,
		.c = j->sd->in_c,
		.step_y = (int64_t)y->mul * y->step,
		.step_x = (int64_t)x->mul * x->step,
	};
}

static void block_sources(const struct block *b)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const struct winograd_plan *p = j->p;
	const struct winograd_axis *y = &p->tiles.y, *x = &p->tiles.x;
	const struct bp_map map = sources_of(j, b->unit);
	struct bp_winograd_in in = {
		.y = {y->taps, y->reads},
		.x = {x->taps, x->reads},
		.channels = block_source_channels(sd, b->unit, b->end),
		.step = p->in_step,
		.panel = p->in_ld,
	};
	struct bp_tile t = bp_tile_at(&p->tiles, b->first);
	for (size_t i = 0; i < b->tiles; i++, bp_tile_next(&p->tiles, &t)) {
		in.dst = b->v + i * p->in_ld;
		for (size_t part = 0; part < p->tiles.parts; part++, in.dst += sd->kg) {
			bp_tile_part(&map, &p->tiles, &t, part, &in);
			j->cv->k->winograd_input(&in);
		}
	}
}

/* M = or += V U at one place: a slice of a unit, rows [k0, k0 + kc) of U, which lie at b. As much of what comes after
 * them is asked for. */
static void block_slice(struct block *bl, size_t place, size_t unit, size_t k0, size_t kc, const bp_real *b)
{
	const struct side *sd = bl->j->sd;
	const struct winograd_plan *p = bl->j->p;
	const struct bp_kernels *k = bl->j->cv->k;
	const size_t tall = divide_up(bl->tiles, sd->tile.mr), rows = bl->tiles / tall, longer = bl->tiles % tall;
	const int cols = unit_targets(bl->j, unit);
	struct bp_igemm g = {
		.cols = bl->j->cv->s.groups > 1 ? cols : (int)round_up(cols, k->vlen),
		.taps = 1,
		.kc = kc,
		.k0 = place * p->in_step + unit_source(sd, unit) - unit_source(sd, bl->unit) + k0,
		.b = b,
		.ldb = panel_ld(bl->j->cv, sd),
		.col = place * p->out_step + unit_target(bl->j, unit) - unit_target(bl->j, bl->unit),
		.acc = k0 > 0,
	};
	const char *next = (const char *)(b + kc * g.ldb), *end = (const char *)(b + 2 * kc * g.ldb);
	for (size_t t = 0, from = 0; t < tall; t++, from += (size_t)g.rows) {
		g.rows = (int)(rows + (t < longer));
		g.a = bl->a + from;
		g.c = bl->c + from;
		g.ahead = next < end ? next : NULL;
		next += kc * BP_IGEMM_AHEAD;
		k->igemm(&g);
		bp_ahead_ask(&bl->ahead);
	}
}

/* By weights that were transformed ahead. */
static void block_products(struct block *b)
{
	const struct side *sd = b->j->sd;
	const struct winograd_plan *p = b->j->p;
	const size_t all = sum_length(sd, p), length = slice_length(sd, p), ld = panel_ld(b->j->cv, sd);
	for (size_t place = 0; place < p->tiles.places; place++)
		for (size_t unit = b->unit; unit < b->end; unit++)
			for (size_t k0 = 0; k0 < all; k0 += length)
				block_slice(b, place, unit, k0, all - k0 < length ? all - k0 : length,
					b->j->u + place * p->u_step + (unit * all + k0) * ld);
}

/* Rows [k0, k0 + kc) of a unit's transformed weights, of which those of a part follow on each other. */
static void own_slice(const struct block *b, size_t unit, size_t k0, size_t kc)
{
	const struct winograd_plan *p = b->j->p;
	const size_t kg = b->j->sd->kg;
	for (size_t at = k0, n; at < k0 + kc; at += n) {
		struct bp_winograd_weights w = {
			.u = b->own + (at - k0) * panel_ld(b->j->cv, b->j->sd), .step = p->own_step};
		n = kg - at % kg < k0 + kc - at ? kg - at % kg : k0 + kc - at;
		n = n < PACK_ROWS ? n : PACK_ROWS;
		pack_rows(b->j, unit, at / kg, at % kg, n, &w, b->own + p->tiles.places * p->own_step);
	}
}

/* By weights that the task transforms slice by slice. */
static void block_own_products(struct block *b)
{
	const struct side *sd = b->j->sd;
	const struct winograd_plan *p = b->j->p;
	const size_t all = sum_length(sd, p), length = slice_length(sd, p);
	for (size_t unit = b->unit; unit < b->end; unit++)
		for (size_t k0 = 0; k0 < all; k0 += length) {
			const size_t kc = all - k0 < length ? all - k0 : length;
			own_slice(b, unit, k0, kc);
			for (size_t place = 0; place < p->tiles.places; place++)
				block_slice(b, place, unit, k0, kc, b->own + place * p->own_step);
		}
}

static void block_targets(const struct block *b)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const struct winograd_plan *p = j->p;
	const struct winograd_axis *y = &p->tiles.y, *x = &p->tiles.x;
	const size_t first = unit_target(j, b->unit), c = sd->out_c, w = sd->out_w;
	struct bp_winograd_out out = {
		.y = {y->taps, y->reads},
		.x = {x->taps, x->reads},
		.channels = block_target_channels(j, b->unit, b->end),
		.step = p->out_step,
		.row_step = (size_t)y->scale * y->step * w * c,
		.col_step = (size_t)x->scale * x->step * c,
		.bias = j->call.bias ? j->call.bias + first : NULL,
		.acc = j->call.acc,
		.relu = j->call.relu,
	};
	struct bp_tile t = bp_tile_at(&p->tiles, b->first);
	for (size_t i = 0; i < b->tiles; i++, bp_tile_next(&p->tiles, &t)) {
		out.src = b->m + i * b->out_ld;
		out.rows = bp_tile_inside(y->targets, t.y, y->step, y->makes);
		out.cols = bp_tile_inside(x->targets, t.x, x->step, x->makes);
		const size_t line = t.image * sd->out_h + y->from + t.y * y->scale;
		const size_t at = (line * w + x->from + t.x * x->scale) * c + first;
		out.dst = j->call.out + at;
		out.through = j->call.through ? j->call.through + at : NULL;
		j->cv->k->winograd_output(&out);
	}
}

/* A task's tiles and units; no tiles when there is none such. */
static struct block block_at(const struct job *j, size_t task)
{
	const struct winograd_cut *c = &j->cut;
	const size_t parts = c->unit_parts, each = side_units(j->cv, j->sd) / parts, cut = task % c->cuts;
	const size_t first = task / c->cuts * c->block, left = first < c->tiles ? c->tiles - first : 0;
	return (struct block){
		.j = j,
		.first = first,
		.tiles = left < c->block ? left : c->block,
		.unit = cut * parts / c->cuts * each,
		.end = (cut + 1) * parts / c->cuts * each,
	};
}

/* What the block writes after its products, and what is then read by the task that comes next. */
static void block_ahead(struct block *b, const struct block *next)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const struct winograd_tiles *w = &j->p->tiles;
	const size_t times = w->places * (b->end - b->unit) * divide_up(sum_length(sd, j->p), slice_length(sd, j->p)) *
			     divide_up(b->tiles, sd->tile.mr);
	const struct bp_map to = {
		.at = j->call.out + unit_target(j, b->unit), .h = sd->out_h, .w = sd->out_w, .c = sd->out_c};
	const struct bp_map from = sources_of(j, next->unit);
	bp_tiles_ahead(&b->ahead, w, false, &to, b->first, b->tiles, block_target_channels(j, b->unit, b->end), times);
	bp_tiles_ahead(&b->ahead, w, true, &from, next->first, next->tiles,
		block_source_channels(sd, next->unit, next->end), times);
}

static void block_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct winograd_plan *p = j->p;
	const struct block next = block_at(j, i + j->threads); /* as it is, when threads are equally fast */
	struct block b = block_at(j, i);
	b.v = scratch;
	b.m = b.v + p->tiles.places * p->in_step;
	b.out_ld = round_up(block_target_channels(j, b.unit, b.end), j->cv->k->vlen);
	b.a = (const bp_real **)(b.m + p->tiles.places * p->out_step);
	b.c = (bp_real **)(b.a + p->block);
	for (size_t t = 0; t < b.tiles; t++) {
		b.a[t] = b.v + t * p->in_ld;
		b.c[t] = b.m + t * b.out_ld;
	}
	block_sources(&b);
	block_ahead(&b, &next);
	if (p->own_step) {
		b.own = (bp_real *)((char *)scratch + p->scratch) - p->tiles.places * p->own_step -
			piece_taps(p) * PACK_ROWS * j->sd->tile.nr;
		block_own_products(&b);
	} else {
		block_products(&b);
	}
	block_targets(&b);
	if (j->call.parts && j->cut.cuts == 1)
		bp_winograd_part(j->cv, j->sd, p, &j->cut, &j->call, i);
}

/* A block's statistics, where its targets were made by more than one task. */
static void part_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	bp_winograd_part(j->cv, j->sd, j->p, &j->cut, &j->call, i);
}

static void run_piece(const struct bp_conv *cv, const struct side *sd, const struct winograd_plan *p,
	const struct bp_ctx *ctx, const struct gemm_call *call, void *ws)
{
	struct job j = {.cv = cv, .sd = sd, .p = p, .call = *call, .u = ws, .threads = (size_t)ctx->threads};
	const size_t zeros = bp_winograd_zeros(&p->tiles, sd->in_c);
	j.zeros = (bp_real *)((char *)ws + ahead_bytes(p));
	memset(j.zeros, 0, zeros);
	j.cut = bp_winograd_cut(cv, sd, p, call->n);
	const struct phase phases[] = {{pack_tasks(sd) * p->tiles.parts * side_units(cv, sd), pack_task},
		{j.cut.blocks * j.cut.cuts, block_task}, {call->parts && j.cut.cuts > 1 ? j.cut.blocks : 0, part_task}};
	const int own = p->own_step > 0;
	struct work w = {&j, phases + own, 3 - own, (char *)j.zeros + zeros, p->scratch};
	bp_work_run(ctx, j.cut.work, &w);
}

/* Results of pieces with the same targets are added; what else is done to a sum is done once. */
static void run(const struct bp_conv *cv, const struct side *sd, const struct bp_ctx *ctx, const struct gemm_call *call,
	void *ws)
{
	for (const struct winograd_plan *p = sd->winograd; p < sd->winograd + sd->pieces; p++) {
		struct gemm_call piece = *call;
		piece.acc = call->acc || !p->tiles.first;
		piece.bias = p->tiles.last ? call->bias : NULL;
		piece.relu = p->tiles.last && call->relu;
		piece.through = p->tiles.last ? call->through : NULL;
		piece.parts = p->tiles.last ? call->parts : NULL;
		run_piece(cv, sd, p, ctx, &piece, ws);
	}
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
	.fits = bp_winograd_fits,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = bp_winograd_weights_run,
	.data = data,
	.norms = &bp_winograd_norms,
	.takes_relu = true,
};
