/*
 * winograd_cut.c - how the tiles of a direction in Winograd's way (winograd.c) are cut into blocks, and the statistics
 * for batch norms that are taken of a block's targets while they lie in L2. Called by winograd.c and conv.c, on any
 * thread.
 *
 * Where the tiles of a direction cover the map, blocks are of whole lines of them: their targets follow on each other
 * in memory, and are a part of the statistics (conv.h). Blocks depend on the shapes and the batch alone, hence so do
 * the statistics' bits.
 */
#include "conv/winograd.h"

enum {
	TASK_WORK = 500000,    /* multiply-adds that are worth a task */
	TASKS = 8,             /* at least, if the work is worth them */
	EVEN = 4,              /* many blocks are a multiple of so many: 11 were 6 for one thread and 5 for the other */
	BLOCK = 48,            /* tiles of a block: the more, the fewer times all weights are read; the fewer, */
	LARGE_BLOCK = 96,      /* ... the nearer to L2 its values stay. Measured flat from 24 to 96, but with many */
	LARGE_BYTES = 4 << 20, /* ... transformed weights: 256 channels on AVX2 gain 5 % at 96 */
};

/* Whether lines of tiles are stretches of the map: neither strided nor dilated. */
static bool covers(const struct side *sd, const struct winograd_tiles *t)
{
	const struct winograd_axis *y = &t->y, *x = &t->x;
	return y->scale == 1 && x->scale == 1 && y->step == 1 && x->step == 1 && y->targets == sd->out_h &&
	       x->targets == sd->out_w;
}

bool bp_winograd_cut_plan(const struct bp_conv *cv, const struct side *sd, struct winograd_plan *p)
{
	const size_t tiles = cv->max_batch * winograd_tiles_of(&p->tiles), line = (size_t)p->tiles.x.tiles;
	const bool large = p->u_step * p->tiles.places * sizeof(bp_real) > LARGE_BYTES;
	const size_t block = round_up(large ? LARGE_BLOCK : BLOCK, sd->tile.mr);
	const bool own = large && tiles <= BLOCK;
	p->block = block;
	p->lines = !own && covers(sd, &p->tiles) && line <= 2 * block;
	if (p->lines)
		p->block = line > block ? line : block / line * line;
	p->block = p->block < tiles ? p->block : tiles;
	return own;
}

/* Parts that the units can be cut into: panels of the only group, or whole groups. */
static size_t unit_parts(const struct bp_conv *cv, const struct side *sd)
{
	return (size_t)(cv->s.groups > 1 ? cv->s.groups : sd->panels);
}

struct winograd_cut bp_winograd_cut(
	const struct bp_conv *cv, const struct side *sd, const struct winograd_plan *p, size_t n)
{
	const size_t tiles = n * winograd_tiles_of(&p->tiles), line = p->lines ? p->tiles.x.tiles : 1;
	const size_t lines = tiles / line, each = p->block / line, least_cuts = divide_up(cv->s.groups, p->bundle);
	struct winograd_cut c = {.tiles = tiles,
		.work = tiles * p->tiles.places * p->tiles.parts * cv->s.groups * sd->kg * sd->ng,
		.unit_parts = unit_parts(cv, sd)};
	size_t want = c.work / TASK_WORK, blocks = divide_up(lines, each), most_blocks = lines / divide_up(each, 2);
	want = want < 1 ? 1 : want > TASKS ? TASKS : want;
	most_blocks = most_blocks < want ? most_blocks : want;
	blocks = blocks < most_blocks ? most_blocks : blocks;
	blocks = blocks > EVEN ? round_up(blocks, EVEN) : blocks;
	if (p->own_step)
		blocks = 1;
	c.block = divide_up(lines, blocks) * line;
	c.blocks = divide_up(tiles, c.block);
	c.cuts = divide_up(want, c.blocks);
	c.cuts = c.cuts > least_cuts ? c.cuts : least_cuts;
	c.cuts = c.cuts < c.unit_parts ? c.cuts : c.unit_parts;
	return c;
}

/* Pixels of the targets before tile `tile`, which begins a line or is past the last. */
static size_t pixels_before(const struct side *sd, const struct winograd_tiles *t, size_t tile)
{
	const size_t line = tile / t->x.tiles, image = line / t->y.tiles, y = line % t->y.tiles * t->y.makes;
	return (image * sd->out_h + y) * sd->out_w;
}

/* A block's pixels, of lines of tiles: the first, and how many there are. */
struct stretch {
	size_t at, rows;
};

static struct stretch block_pixels(
	const struct side *sd, const struct winograd_plan *p, const struct winograd_cut *c, size_t block)
{
	const size_t first = block * c->block, end = first + c->block < c->tiles ? first + c->block : c->tiles;
	const size_t at = pixels_before(sd, &p->tiles, first);
	return (struct stretch){at, pixels_before(sd, &p->tiles, end) - at};
}

void bp_winograd_part(const struct bp_conv *cv, const struct side *sd, const struct winograd_plan *p,
	const struct winograd_cut *c, const struct gemm_call *call, size_t block)
{
	const size_t channels = sd->out_c;
	const struct stretch s = block_pixels(sd, p, c, block);
	bp_real *part = call->parts + block * BP_NORM_STATS * channels;
	const bp_real *out = call->out + s.at * channels;
	if (call->norm) {
		const struct bp_norm norm = norm_of(call->norm, s.rows);
		cv->k->norm_grad_sums(&norm, call->norm_x + s.at * channels, out, false, part, part + channels);
	} else {
		cv->k->norm_stats(
			s.rows, channels, out, false, (bp_real *const[]){part, part + channels, part + 2 * channels});
	}
}

/* The direction whose targets the statistics are of. */
static const struct side *side_of(const struct bp_conv *cv, bool backward)
{
	return backward ? &cv->backward : &cv->forward;
}

/* They are taken when the last piece is added. */
static const struct winograd_plan *last_piece(const struct side *sd)
{
	return &sd->winograd[sd->pieces - 1];
}

static size_t max_parts(const struct bp_conv *cv, bool backward)
{
	const struct winograd_plan *p = last_piece(side_of(cv, backward));
	const size_t blocks = divide_up(cv->max_batch * winograd_tiles_of(&p->tiles), p->block);
	return p->lines ? round_up(blocks > TASKS ? blocks : TASKS, EVEN) : 0;
}

static size_t parts(const struct bp_conv *cv, size_t n, bool backward)
{
	const struct side *sd = side_of(cv, backward);
	return bp_winograd_cut(cv, sd, last_piece(sd), n).blocks;
}

static size_t part_rows(const struct bp_conv *cv, size_t n, size_t part)
{
	const struct side *sd = &cv->forward;
	const struct winograd_plan *p = last_piece(sd);
	const struct winograd_cut c = bp_winograd_cut(cv, sd, p, n);
	return block_pixels(sd, p, &c, part).rows;
}

const struct way_norms bp_winograd_norms = {false, max_parts, parts, part_rows};
