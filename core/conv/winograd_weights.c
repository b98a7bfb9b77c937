/*
 * winograd_weights.c - the gradient through the weights of a convolution in Winograd's way (winograd.c). Called by
 * conv.c on the trainer's thread; its tasks run on any.
 *
 * It is the adjoint of what winograd.c does: with V = B^T x B and M' = A dY A^T for each tile, U' = V^T M' summed over
 * tiles at each of the places, and dW = G^T U' G. The tiles of the batch are cut into chunks and the source channels
 * into ranges: a task is a chunk and a range, keeps its U' to itself, sweeps the chunk block by block, and at its end
 * makes its part of the chunk's dW. The chunks' dW are added in their order. Ranges follow from the channels, chunks
 * from the tiles of the batch, hence so do the bits.
 */
#include "conv/winograd.h"

#include "base/mem.h"
#include "kernels/outer.h"

#include <string.h>

enum {
	BLOCK = 48,       /* tiles of a sweep at most: V and M' stay near L2 while U' passes by; but with ... */
	LARGE_BLOCK = 96, /* ... a large U', loading and storing it counts more: 256 channels on AVX2 gain 20 % */
	LARGE_BYTES = 4 << 20,
	SHORT_CHUNK = 64,         /* tiles that are worth a chunk, whose U' has to be transformed */
	RANGE_BYTES = 10 << 20,   /* of a task's U': each range more transforms dY again (256 channels on AVX2: 5 ranges
				   * 1.9, 2 ranges 2.1, one 2.4 times as fast as direct) */
	PARTIAL_BYTES = 24 << 20, /* of all partial dW */
	MAX_CHUNKS = 16,          /* a power of two, as all numbers of chunks: they divide among 2 or 4 threads */
	FEW_TASKS = 4, /* at least, by more ranges where few tiles make few chunks: 256 channels on 32 4x4 maps were one
			* task, 4 % of a step of ResNet-18 for a second thread to wait */
	TASKS = 16,
	TASK_WORK = 500000, /* multiply-adds that are worth a task */
};

struct job {
	const struct bp_conv *cv;
	struct bp_conv_call call;
	struct chunks chunks;
	bp_real *zeros;
};

static size_t weights_size(const struct bp_conv *cv)
{
	return (size_t)cv->s.kh * cv->s.kw * cv->forward.kg * cv->s.oc;
}

static size_t groups_of(const struct bp_conv *cv)
{
	return (size_t)cv->s.groups;
}

/* Ranges are of whole groups, or of the only one's source channels: how many of these there are. */
static size_t range_parts(const struct bp_conv *cv)
{
	return groups_of(cv) > 1 ? groups_of(cv) : (size_t)cv->s.c;
}

void bp_winograd_weights_plan(struct bp_conv *cv)
{
	const struct side *sd = &cv->forward;
	const size_t vlen = cv->k->vlen, nr = sd->tile.nr, c = cv->s.c, ng = sd->ng, groups = groups_of(cv);
	struct winograd_weights_plan *p = &cv->winograd_weights;
	size_t places = 0, tiles = SIZE_MAX; /* of a tile, at most; of a piece, at least */
	p->pieces = bp_winograd_pieces(sd, p->tiles);
	p->parts = 1;
	for (size_t i = 0; i < p->pieces; i++) {
		places = p->tiles[i].places > places ? p->tiles[i].places : places;
		p->parts = p->tiles[i].parts > p->parts ? p->tiles[i].parts : p->parts;
		tiles = winograd_tiles_of(&p->tiles[i]) < tiles ? winograd_tiles_of(&p->tiles[i]) : tiles;
	}
	p->least = tiles;
	tiles *= cv->max_batch;
	p->u_ld = round_up(ng, vlen);
	size_t fit = PARTIAL_BYTES / (weights_size(cv) * sizeof(bp_real));
	p->max_chunks = 1;
	while (p->max_chunks < MAX_CHUNKS && 2 * p->max_chunks <= fit && 2 * p->max_chunks * SHORT_CHUNK <= tiles)
		p->max_chunks *= 2;
	p->ranges = groups > 1 ? divide_up(groups, bp_winograd_bundle(cv))
			       : divide_up(places * p->parts * c * p->u_ld * sizeof(bp_real), RANGE_BYTES);
	if (p->ranges * p->max_chunks < FEW_TASKS)
		p->ranges = divide_up(FEW_TASKS, p->max_chunks);
	const size_t parts = range_parts(cv);
	p->ranges = p->ranges < parts ? p->ranges : parts;
	const size_t rows = divide_up(parts, p->ranges) * (c / parts);
	p->block = places * p->parts * rows * p->u_ld * sizeof(bp_real) > LARGE_BYTES ? LARGE_BLOCK : BLOCK;
	p->block = p->block < tiles ? p->block : tiles;
	p->x_ld = round_up((p->parts - 1) * rows + round_up(rows, vlen), vlen);
	p->x_step = bp_winograd_step(p->block * p->x_ld);
	/* Groups follow on each other in one panel, which is read to the end of a vector. */
	p->panel = groups > 1 ? round_up(rows / sd->kg * ng, vlen) : nr;
	p->panel_step = p->block * p->panel;
	p->dy_step = bp_winograd_step((groups > 1 ? 1 : sd->panels) * p->panel_step + vlen);
	p->u_step = bp_winograd_step(p->parts * rows * p->u_ld);
	p->scratch = (p->x_step + p->dy_step + p->u_step) * places * sizeof(bp_real);
}

static size_t part_bytes(const struct bp_conv *cv, size_t elements)
{
	return round_up(cv->winograd_weights.max_chunks * elements * sizeof(bp_real), BP_ALIGN);
}

static size_t zeros_bytes(const struct bp_conv *cv)
{
	size_t bytes = 0;
	for (size_t i = 0; i < cv->winograd_weights.pieces; i++) {
		const size_t own = bp_winograd_zeros(&cv->winograd_weights.tiles[i], most(cv->s.c, cv->s.oc));
		bytes = own > bytes ? own : bytes;
	}
	return bytes;
}

size_t bp_winograd_weights_workspace(const struct bp_conv *cv, int threads)
{
	return part_bytes(cv, weights_size(cv)) + part_bytes(cv, cv->s.oc) + zeros_bytes(cv) +
	       (size_t)threads * cv->winograd_weights.scratch;
}

/* What a task works on: source channels [from, end), of the only group or all of `groups` groups; their output
 * gradients' channels, `targets` from `to` on; tiles [first, first + tiles) of the sweep. */
struct place {
	const struct job *j;
	const struct winograd_tiles *piece;
	size_t from, end;
	size_t groups, to, targets;
	size_t first, tiles;
	bp_real *v, *m, *u;
	struct ahead ahead; /* the maps of the next sweep */
};

static struct place place_at(const struct job *j, size_t piece, size_t range)
{
	const struct winograd_weights_plan *p = &j->cv->winograd_weights;
	const size_t parts = range_parts(j->cv), each = j->cv->s.c / parts, ng = j->cv->forward.ng;
	const size_t first = range * parts / p->ranges, last = (range + 1) * parts / p->ranges;
	const bool grouped = groups_of(j->cv) > 1;
	const size_t groups = grouped ? last - first : 1;
	return (struct place){
		.j = j,
		.piece = &p->tiles[piece],
		.from = first * each,
		.end = last * each,
		.groups = groups,
		.to = grouped ? first * ng : 0,
		.targets = groups * ng,
	};
}

static struct bp_map sources_of(const struct place *pl)
{
	const struct bp_conv_shape *s = &pl->j->cv->s;
	const struct winograd_axis *y = &pl->piece->y, *x = &pl->piece->x;
	return (struct bp_map){pl->j->call.x + pl->from, pl->j->zeros, s->h, s->w, s->c, (int64_t)y->mul * y->step,
		(int64_t)x->mul * x->step};
}

static struct bp_map targets_of(const struct place *pl)
{
	const struct bp_conv_shape *s = &pl->j->cv->s;
	return (struct bp_map){
		pl->j->call.dy + pl->to, pl->j->zeros, s->oh, s->ow, s->oc, pl->piece->y.step, pl->piece->x.step};
}

static void block_transform(const struct place *pl)
{
	const struct winograd_weights_plan *p = &pl->j->cv->winograd_weights;
	const struct winograd_axis *y = &pl->piece->y, *x = &pl->piece->x;
	const struct bp_kernels *k = pl->j->cv->k;
	const struct bp_map from = sources_of(pl), to = targets_of(pl);
	struct bp_winograd_in xs = {
		.y = {y->taps, y->reads},
		.x = {x->taps, x->reads},
		.channels = pl->end - pl->from,
		.step = p->x_step,
		.panel = p->x_ld,
	};
	struct bp_winograd_in ys = {
		.y = {y->taps, y->reads},
		.x = {x->taps, x->reads},
		.channels = pl->targets,
		.step = p->dy_step,
		.panel = p->panel,
		.panel_step = p->panel_step,
	};
	struct bp_tile t = bp_tile_at(pl->piece, pl->first);
	for (size_t i = 0; i < pl->tiles; i++, bp_tile_next(pl->piece, &t)) {
		xs.dst = pl->v + i * p->x_ld;
		for (size_t part = 0; part < pl->piece->parts; part++, xs.dst += xs.channels) {
			bp_tile_part(&from, pl->piece, &t, part, &xs);
			k->winograd_input(&xs);
		}
		bp_tile_rows(&to, t.image, t.y, t.x, y->makes, x->makes, &ys);
		ys.dst = pl->m + i * p->panel;
		k->winograd_gradient(&ys);
	}
}

/* Of a group's U': its source channels, of each part. */
static size_t u_rows(const struct place *pl)
{
	return pl->piece->parts * (pl->end - pl->from) / pl->groups;
}

/* U' = or += V^T M' at every place. That of the next one is asked for meanwhile, which takes as many bytes as there
 * are: 128 channels gain 5 %, 256 2 %. */
static void block_sums(struct place *pl, bool acc)
{
	const struct bp_conv *cv = pl->j->cv;
	const struct bp_kernels *k = cv->k;
	const struct winograd_weights_plan *p = &cv->winograd_weights;
	const size_t rows = u_rows(pl), tall = divide_up(rows, cv->forward.tile.mr), nr = cv->forward.tile.nr;
	const size_t panels = cv->forward.panels, ng = cv->forward.ng, step = groups_of(cv) > 1 ? nr : p->panel_step;
	for (size_t place = 0; place < pl->piece->places; place++) {
		const char *next = (const char *)(pl->u + (place + 1) % pl->piece->places * p->u_step);
		for (size_t unit = 0; unit < pl->groups * panels; unit++) {
			const size_t group = unit / panels, panel = unit % panels;
			const struct bp_run run = {pl->v + place * p->x_step + group * rows, 0, pl->tiles};
			struct bp_outer o = {
				.cols = (int)round_up(least((int)(ng - panel * nr), (int)nr), k->vlen),
				.nruns = 1,
				.runs = &run,
				.x_step = p->x_ld,
				.dy = pl->m + place * p->dy_step + group * ng + panel * step,
				.dy_step = p->panel,
				.ldc = p->u_ld,
				.acc = acc,
			};
			bp_real *u = pl->u + place * p->u_step + group * rows * p->u_ld + panel * nr;
			for (size_t t = 0; t < tall; t++) {
				o.x_off = t * rows / tall;
				o.rows = (int)((t + 1) * rows / tall - o.x_off);
				o.c = u + o.x_off * p->u_ld;
				o.ahead = next;
				k->outer(&o);
				next += pl->tiles * BP_OUTER_AHEAD;
				bp_ahead_ask(&pl->ahead);
			}
		}
	}
}

/* The chunk's share of the pixels, for the bias. */
static void chunk_bias(const struct job *j, size_t chunk, bp_real *db)
{
	const struct bp_conv_shape *s = &j->cv->s;
	const size_t pixels = (size_t)j->call.n * s->oh * s->ow, oc = s->oc;
	const size_t first = chunk * pixels / j->chunks.n, end = (chunk + 1) * pixels / j->chunks.n;
	j->cv->k->column_sums(end - first, oc, j->call.dy + first * oc, oc, false, db);
}

/* The maps of the sweep that comes after this one, up to tile `end`. */
static void block_ahead(struct place *pl, size_t end)
{
	const struct bp_conv *cv = pl->j->cv;
	const size_t first = pl->first + pl->tiles, left = end - first;
	const size_t times =
		pl->piece->places * pl->groups * cv->forward.panels * divide_up(u_rows(pl), cv->forward.tile.mr);
	const size_t tiles = left < pl->tiles ? left : pl->tiles;
	const struct bp_map from = sources_of(pl), to = targets_of(pl);
	pl->ahead = (struct ahead){0};
	bp_tiles_ahead(&pl->ahead, pl->piece, true, &from, first, tiles, pl->end - pl->from, times);
	bp_tiles_ahead(&pl->ahead, pl->piece, false, &to, first, tiles, pl->targets, times);
}

/* Of a group, or of a part, dW from U'. */
static void chunk_gradients(const struct place *pl, size_t group, size_t part, bp_real *dw)
{
	const struct bp_conv *cv = pl->j->cv;
	const struct winograd_weights_plan *p = &cv->winograd_weights;
	const struct winograd_axis *y = &pl->piece->y, *x = &pl->piece->x;
	const size_t kg = cv->forward.kg, ng = cv->forward.ng, oc = cv->s.oc, kw = cv->s.kw;
	const size_t rows = (pl->end - pl->from) / pl->groups, down = part / x->parts, across = part % x->parts;
	const struct bp_winograd_weights w = {
		.y = {y->taps, y->reads},
		.x = {x->taps, x->reads},
		.n = rows,
		.cols = (int)ng,
		.w = dw + ((y->tap[down] * kw + x->tap[across]) * kg + pl->from % kg) * oc + pl->to + group * ng,
		.line_step = y->tap_step * kw * kg * oc,
		.tap_step = x->tap_step * kg * oc,
		.ld = oc,
		.u = pl->u + (group + part) * rows * p->u_ld,
		.step = p->u_step,
		.u_ld = p->u_ld,
	};
	cv->k->winograd_weights_gradient(&w);
}

static void chunk_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct bp_conv *cv = j->cv;
	const struct winograd_weights_plan *p = &cv->winograd_weights;
	const size_t range = i % p->ranges, chunk = i / p->ranges % j->chunks.n, piece = i / p->ranges / j->chunks.n;
	struct place pl = place_at(j, piece, range);
	const size_t tiles = j->call.n * winograd_tiles_of(pl.piece), each = divide_up(tiles, j->chunks.n);
	const size_t end = (chunk + 1) * each < tiles ? (chunk + 1) * each : tiles;
	const size_t block = divide_up(each, divide_up(each, p->block));
	pl.v = scratch;
	pl.m = pl.v + pl.piece->places * p->x_step;
	pl.u = pl.m + pl.piece->places * p->dy_step;
	for (pl.first = chunk * each; pl.first < end; pl.first += block) {
		pl.tiles = end - pl.first < block ? end - pl.first : block;
		block_transform(&pl);
		block_ahead(&pl, end);
		block_sums(&pl, pl.first > chunk * each);
	}
	for (size_t group = 0; group < pl.groups; group++)
		for (size_t part = 0; part < pl.piece->parts; part++)
			chunk_gradients(&pl, group, part, chunk_dw(&j->chunks, chunk));
	if (j->call.db && range == 0 && piece == 0)
		chunk_bias(j, chunk, chunk_db(&j->chunks, chunk));
}

static void sum_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	bp_chunks_sum(j->cv->k, &j->chunks, i);
}

/* As many chunks as are worth it, none of them empty: `tiles` are the fewest of a piece. */
static size_t count_chunks(const struct winograd_weights_plan *p, size_t tiles, size_t multiply_adds)
{
	size_t want = multiply_adds / TASK_WORK, n = 1;
	want = divide_up(want < 1 ? 1 : want > TASKS ? TASKS : want, p->ranges * p->pieces);
	while (n < want && n < p->max_chunks && 2 * n * SHORT_CHUNK <= tiles)
		n *= 2;
	return n;
}

void bp_winograd_weights_run(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct winograd_weights_plan *p = &cv->winograd_weights;
	const size_t size = weights_size(cv);
	size_t work = 0;
	for (size_t i = 0; i < p->pieces; i++)
		work += call->n * winograd_tiles_of(&p->tiles[i]) * p->tiles[i].places * p->tiles[i].parts *
			cv->forward.kg * cv->s.oc;
	struct job j = {.cv = cv, .call = *call};
	j.chunks = (struct chunks){
		.n = count_chunks(p, (size_t)call->n * p->least, work),
		.size = size,
		.channels = cv->s.oc,
		.dw = ws,
		.ret_dw = call->dw,
		.ret_db = call->db,
	};
	j.chunks.db = (bp_real *)((char *)ws + part_bytes(cv, size));
	j.zeros = (bp_real *)((char *)j.chunks.db + part_bytes(cv, cv->s.oc));
	memset(j.zeros, 0, zeros_bytes(cv));
	const struct phase phases[] = {
		{p->pieces * j.chunks.n * p->ranges, chunk_task}, {bp_chunks_tasks(&j.chunks), sum_task}};
	struct work w = {&j, phases, 2, (char *)j.zeros + zeros_bytes(cv), p->scratch};
	bp_work_run(ctx, work, &w);
}
