/*
 * weights.c - the gradient through the weights of a convolution, and through its bias. Called by conv.c on the
 * trainer's thread; its tasks run on any.
 *
 * dW[tap][c][o] is the sum over output pixels of x[source of the pixel through the tap][c] * dy[pixel][o]. The pixels
 * of the batch are cut into chunks, each with a partial dW of its own, and the rows (tap, c) x panels of dW into
 * ranges: a task is a chunk and a range, so every partial element has one writer. A task sweeps its chunk block by
 * block, so that the block's values stay in L2 while all its tiles pass over them. At the end the chunks' sums are
 * added in their order. Chunks depend on the shape and the batch alone, hence so do the bits.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/outer.h"

enum {
	BLOCK_PIXELS = 256,    /* of a sweep: long enough that tiles are rarely loaded and stored */
	RUN_BYTES = 128 << 10, /* of a block's lists of runs, about */
	PATCH_CHANNELS = 4,    /* with more in a group, patches cost more than they save: 6 -> 6 5x5 26 -> 37 GFLOP/s */
	PATCH_BYTES = 96 << 10,  /* of a block's patches: 7x7x3 kernels gain 13 % over blocks of the size of L1 */
	PARTIAL_BYTES = 8 << 20, /* of all partial sums */
	MAX_CHUNKS = 16,
	TASKS = 32,
	TASK_WORK = 500000, /* multiply-adds that are worth a task */
	PACK_TILES = 4,     /* a panel of dY is copied when so many tiles will read it */
	SUM_ELEMENTS = 4096 /* of dW, of a task that adds the chunks */
};

struct job {
	const struct bp_conv *cv;
	struct bp_conv_call call;
	size_t pixels, chunk; /* of the batch; of a chunk */
	struct chunks chunks;
	size_t cuts;      /* ranges of tiles */
	size_t taps, kc;  /* rows of dW in a group: as the tiles see them */
	size_t tap_tiles; /* tiles of rows of one tap */
	bp_real *zeros;
};

/* Where a thread keeps what it works on. */
struct place {
	struct bp_run *runs; /* plan.runs of each tap */
	size_t *nruns;       /* of each tap */
	bp_real *dy;         /* a panel of dY, or NULL when read in place */
	bp_real *patches;
	/* The next block's dY: asked for between the tiles, or from `next` on with each pixel. One tile of a first
	 * layer has all of it, and waited a quarter of its time when it asked at once: 1 -> 32 channels, 3x3 46 -> 57
	 * GFLOP/s. */
	struct ahead ahead;
	const char *next;
	size_t next_step; /* bytes that a tile asks for with each pixel */
};

static size_t zeros_size(const struct bp_conv *cv)
{
	const struct side *sd = &cv->forward;
	return cv->weights.patches
		       ? round_up(((size_t)sd->lattices->nkx * sd->kg + cv->k->vlen) * sizeof(bp_real), BP_ALIGN)
		       : 0;
}

void bp_weights_plan(struct bp_conv *cv)
{
	const struct side *sd = &cv->forward;
	const struct lattice *l = sd->lattices;
	struct weights_plan *p = &cv->weights;
	p->patches = sd->kg <= PATCH_CHANNELS && bp_side_wants_patches(sd);
	const size_t taps = p->patches ? 1 : lattice_taps(l), row = lattice_taps(l) * sd->kg;
	size_t points = cv->max_batch * cv->fold * lattice_points(l), block = BLOCK_PIXELS;
	if (p->patches)
		block = PATCH_BYTES / (row * sizeof(bp_real));
	block = block < 1 ? 1 : block < BLOCK_PIXELS ? block : BLOCK_PIXELS;
	while (!p->patches && block > 16 && taps * (block / l->w + 2) * sizeof(struct bp_run) > RUN_BYTES)
		block /= 2;
	block = block < points ? block : points;
	p->block = (int)block;
	p->runs = block / l->w + 2 < block ? block / l->w + 2 : block;
	p->size = row * sd->out_c;
	size_t fit = PARTIAL_BYTES / (p->size * sizeof(bp_real)), most_chunks = divide_up(divide_up(points, block), 2);
	fit = fit < 1 ? 1 : fit > MAX_CHUNKS ? MAX_CHUNKS : fit;
	p->max_chunks = (int)(fit < most_chunks ? fit : most_chunks);
	size_t bytes = round_up(taps * (p->runs * sizeof(struct bp_run) + sizeof(size_t)), BP_ALIGN);
	bytes += block * sd->tile.nr * sizeof(bp_real);
	bytes += p->patches ? (block * row + cv->k->vlen) * sizeof(bp_real) : 0;
	p->scratch = round_up(bytes, BP_ALIGN);
}

static size_t part_bytes(const struct bp_conv *cv, size_t elements)
{
	return round_up((size_t)cv->weights.max_chunks * elements * sizeof(bp_real), BP_ALIGN);
}

size_t bp_weights_workspace(const struct bp_conv *cv, int threads)
{
	return part_bytes(cv, cv->weights.size) + part_bytes(cv, cv->forward.out_c) + zeros_size(cv) +
	       (size_t)threads * cv->weights.scratch;
}

static struct place place_at(const struct job *j, void *scratch)
{
	const struct weights_plan *p = &j->cv->weights;
	struct place pl = {.runs = scratch};
	pl.nruns = (size_t *)(pl.runs + j->taps * p->runs);
	char *next = (char *)scratch + round_up(j->taps * (p->runs * sizeof(struct bp_run) + sizeof(size_t)), BP_ALIGN);
	pl.dy = (bp_real *)next;
	pl.patches = pl.dy + (size_t)p->block * j->cv->forward.tile.nr;
	return pl;
}

/* Appends a run, or lengthens the last one when it goes on where that ends. */
static void run_add(struct bp_run *runs, size_t *nruns, struct bp_run r, size_t x_step)
{
	struct bp_run *last = *nruns ? &runs[*nruns - 1] : NULL;
	if (last && last->first + last->count == r.first && last->x + last->count * x_step == r.x)
		last->count += r.count;
	else
		runs[(*nruns)++] = r;
}

/* For each tap, the pixels of the block that read inside the map. */
static void find_runs(const struct job *j, size_t first, size_t count, struct place *pl)
{
	const struct side *sd = &j->cv->forward;
	const struct lattice *l = sd->lattices;
	const size_t x_step = (size_t)l->isx * sd->in_c;
	for (size_t t = 0; t < j->taps; t++)
		pl->nruns[t] = 0;
	for (struct walk w = bp_walk_start(l, first, count); bp_walk_next(&w);) {
		const struct segment *g = &w.seg;
		const bp_real *image = j->call.x + g->image * sd->in_h * sd->in_w * sd->in_c;
		for (size_t t = 0; t < j->taps; t++) {
			int b = (int)(t % l->nkx), y = l->iy + g->j * l->isy + (int)(t / l->nkx) * l->ty;
			int lo = most(l->lo[b], g->i), hi = least(l->hi[b], g->i + g->count);
			if (y < 0 || y >= sd->in_h || lo >= hi)
				continue;
			size_t pixel = (size_t)y * sd->in_w + (size_t)(l->ix + lo * l->isx + b * l->tx);
			struct bp_run r = {image + pixel * sd->in_c, g->at + (lo - g->i), (size_t)(hi - lo)};
			run_add(pl->runs + t * j->cv->weights.runs, &pl->nruns[t], r, x_step);
		}
	}
}

/* What a task adds up: rows of tiles [first, end) of one panel of a group. */
struct range {
	size_t group, panel, first, end;
};

/* The block's tiles of a range into the chunk's partial dW. */
static void sweep(
	const struct job *j, struct place *pl, const struct range *r, size_t pixel, size_t count, bool acc, bp_real *dw)
{
	const struct bp_conv *cv = j->cv;
	const struct side *sd = &cv->forward;
	const int nr = sd->tile.nr, at = (int)r->panel * nr;
	const size_t column = r->group * sd->ng + at, oc = sd->out_c;
	struct bp_outer p = {
		.cols = least(sd->ng - at, nr),
		.x_step = cv->weights.patches ? j->kc : (size_t)sd->lattices->isx * sd->in_c,
		.dy = j->call.dy + pixel * oc + column,
		.dy_step = oc,
		.ldc = oc,
		.acc = acc,
	};
	if (p.cols % cv->k->vlen || r->end - r->first >= PACK_TILES) {
		cv->k->pack(pl->dy, nr, p.dy, oc, count, p.cols);
		p.dy = pl->dy;
		p.dy_step = nr;
	}
	for (size_t i = r->first; i < r->end; i++) {
		size_t tap = i / j->tap_tiles, t = i % j->tap_tiles;
		size_t from = t * j->kc / j->tap_tiles, to = (t + 1) * j->kc / j->tap_tiles;
		p.rows = (int)(to - from);
		p.runs = pl->runs + tap * cv->weights.runs;
		p.nruns = pl->nruns[tap];
		p.x_off = from + (cv->weights.patches ? 0 : r->group * sd->kg);
		p.c = dw + (tap * j->kc + from) * oc + column;
		p.ahead = pl->next;
		p.ahead_step = pl->next_step;
		cv->k->outer(&p);
		if (pl->next)
			pl->next += count * pl->next_step;
		bp_ahead_ask(&pl->ahead);
	}
}

static void block_patches(const struct job *j, size_t group, size_t first, size_t count, struct place *pl)
{
	const struct side *sd = &j->cv->forward;
	size_t batch = j->call.n * j->cv->fold * sd->in_h * sd->in_w * sd->in_c;
	struct patches pt = {j->call.x + group * sd->kg, j->call.x + batch, j->zeros, pl->patches};
	bp_lattice_patches(j->cv, sd, sd->lattices, first, count, &pt);
	pl->runs[0] = (struct bp_run){pl->patches, 0, count};
	pl->nruns[0] = 1;
}

/* Tiles are counted group by group, panel by panel, tap by tap, then by channels. */
static void block_tiles(
	const struct job *j, struct place *pl, size_t first, size_t count, size_t cut, bp_real *dw, bool acc)
{
	const struct side *sd = &j->cv->forward;
	const size_t rows = j->taps * j->tap_tiles, tiles = side_units(j->cv, sd) * rows;
	const size_t end = (cut + 1) * tiles / j->cuts;
	size_t group = SIZE_MAX;
	for (size_t i = cut * tiles / j->cuts; i < end;) {
		size_t unit = i / rows, base = unit * rows, stop = base + rows < end ? base + rows : end;
		struct range r = {unit / sd->panels, unit % sd->panels, i - base, stop - base};
		if (j->cv->weights.patches && r.group != group)
			block_patches(j, r.group, first, count, pl);
		group = r.group;
		sweep(j, pl, &r, first, count, acc, dw);
		i = stop;
	}
}

/* For dY of n pixels while the block before them is worked on. */
static void ask_ahead(const struct job *j, size_t pixel, size_t n, struct place *pl)
{
	const struct bp_conv *cv = j->cv;
	const size_t oc = cv->forward.out_c, tiles = side_units(cv, &cv->forward) * j->taps * j->tap_tiles;
	const bp_real *dy = j->call.dy + pixel * oc;
	pl->ahead = (struct ahead){0};
	pl->next = NULL;
	if (j->cuts > 1 || n == 0)
		return;
	if (cv->weights.patches && cv->k->vlen * sizeof(bp_real) == 64) {
		pl->next = (const char *)dy;
		pl->next_step = divide_up(oc * sizeof *dy, tiles);
	} else {
		bp_ahead_add(&pl->ahead, dy, n * oc, tiles);
	}
}

static void chunk_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct bp_conv *cv = j->cv;
	const size_t chunk = i / j->cuts, cut = i % j->cuts, oc = cv->forward.out_c, block = cv->weights.block;
	const size_t first = chunk * j->chunk, end = first + j->chunk < j->pixels ? first + j->chunk : j->pixels;
	bp_real *dw = chunk_dw(&j->chunks, chunk);
	bp_real *db = chunk_db(&j->chunks, chunk);
	struct place pl = place_at(j, scratch);
	for (size_t at = first; at < end; at += block) {
		size_t count = end - at < block ? end - at : block, next = end - at - count;
		ask_ahead(j, at + count, next < block ? next : block, &pl);
		if (!cv->weights.patches)
			find_runs(j, at, count, &pl);
		block_tiles(j, &pl, at, count, cut, dw, at > first);
		if (j->call.db && cut == 0)
			cv->k->column_sums(count, oc, j->call.dy + at * oc, oc, at > first, db);
	}
}

/* The last one is for the bias. */
size_t bp_chunks_tasks(const struct chunks *c)
{
	return c->n == 1 || !c->ret_dw ? 0 : divide_up(c->size, SUM_ELEMENTS) + (c->ret_db ? 1 : 0);
}

void bp_chunks_sum(const struct bp_kernels *k, const struct chunks *c, size_t task)
{
	const size_t at = task * SUM_ELEMENTS;
	if (at >= c->size) {
		k->column_sums(c->n, c->channels, c->db, c->channels, false, c->ret_db);
		return;
	}
	size_t n = c->size - at < SUM_ELEMENTS ? c->size - at : SUM_ELEMENTS;
	k->column_sums(c->n, n, c->dw + at, c->size, false, c->ret_dw + at);
}

static void sum_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	bp_chunks_sum(j->cv->k, &j->chunks, i);
}

/* Chunks of whole blocks, and cuts of the tiles where those make too few tasks. */
static void cut_work(struct job *j, size_t multiply_adds)
{
	const struct bp_conv *cv = j->cv;
	size_t block = cv->weights.block, blocks = divide_up(j->pixels, block), want = multiply_adds / TASK_WORK;
	want = want < 1 ? 1 : want > TASKS ? TASKS : want;
	size_t chunks = want < (size_t)cv->weights.max_chunks ? want : (size_t)cv->weights.max_chunks;
	chunks = chunks < divide_up(blocks, 2) ? chunks : divide_up(blocks, 2);
	j->chunk = divide_up(blocks, chunks) * block;
	j->chunks.n = divide_up(j->pixels, j->chunk);
	size_t tiles = side_units(cv, &cv->forward) * j->taps * j->tap_tiles;
	if (cv->weights.patches && want > j->chunks.n && j->chunks.n >= MAX_CHUNKS / 2)
		want = j->chunks.n; /* every cut would gather the chunk's patches again */
	j->cuts = divide_up(want, j->chunks.n);
	j->cuts = j->cuts < tiles ? j->cuts : tiles;
}

void bp_weights_run(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct side *sd = &cv->forward;
	struct job j = {.cv = cv, .call = *call, .pixels = call->n * cv->fold * lattice_points(sd->lattices)};
	j.taps = cv->weights.patches ? 1 : lattice_taps(sd->lattices);
	j.kc = cv->weights.patches ? lattice_taps(sd->lattices) * sd->kg : (size_t)sd->kg;
	j.tap_tiles = divide_up(j.kc, sd->tile.mr);
	j.chunks = (struct chunks){
		.size = cv->weights.size, .channels = sd->out_c, .dw = ws, .ret_dw = call->dw, .ret_db = call->db};
	j.chunks.db = (bp_real *)((char *)ws + part_bytes(cv, cv->weights.size));
	j.zeros = (bp_real *)((char *)j.chunks.db + part_bytes(cv, sd->out_c));
	for (size_t i = 0; i < zeros_size(cv) / sizeof(bp_real); i++)
		j.zeros[i] = 0;
	size_t work = j.pixels * cv->weights.size;
	cut_work(&j, work);
	const struct phase phases[] = {{j.chunks.n * j.cuts, chunk_task}, {bp_chunks_tasks(&j.chunks), sum_task}};
	struct work w = {&j, phases, 2, (char *)j.zeros + zeros_size(cv), cv->weights.scratch};
	bp_work_run(ctx, work, &w);
}
