/*
 * linear.c - linear layers of any size, as products of plain matrices. Called by conv.c on the trainer's thread; its
 * tasks run on any.
 *
 * Against the indirect GEMM there are no lattices to walk (5 % of a step of a 784-512-256-10 perceptron), and weights
 * are not packed as a whole in a sweep of their own (7 %): a task packs a piece of a panel, 16 KiB, just before its
 * tiles read it from L1, and asks for the next one meanwhile. The sum over K goes piece by piece outside the panels, so
 * that the piece of the rows, some 128 KiB, is read from L2 by all panels of the task.
 *
 * The gradient of weights goes by blocks of inputs, whose part of the batch is copied together: the rows of a batch are
 * often a power of two apart, and share a few sets of L1. So each part of the batch is read once from where it lies,
 * not once for each panel of outputs, and the gradients of a block are neighbours in memory. The gradient of outputs is
 * packed once for all blocks. Of the peak, it brought 512 -> 256 from 80 to 88 % (batch of 128), 1024 -> 1024 from 69
 * to 85 % and 9216 -> 128 from 66 to 87 % (64). Every element of a gradient of weights is summed by one task: there are
 * no partial sums, and the task has the weights moved by them while they lie in L2 (base/mover.h). That took the
 * optimizer from 10 to 6 % of a step of the perceptron, whose vectors fit in no L2, and saved 5 % of its time. A batch
 * that is summed in one sweep leaves the gradients nowhere else: 3072-1024-1024-10 and three layers of 2048 are trained
 * about a tenth faster for it.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/igemm.h"
#include "kernels/outer.h"

#include <string.h>

enum {
	ROWS = 240,              /* of a block, at most: whole tiles of any height */
	PANEL_BYTES = 16 << 10,  /* of a packed piece: half of L1 */
	PIXELS = 256,            /* of a sweep of the gradient of weights */
	BLOCK_TILES = 10,        /* of inputs of a block of it, at most: with a panel of the outputs they fill L1 */
	BALANCE = 4,             /* many blocks come in fours, so that 2 or 4 threads have equal shares */
	TASK_WORK = 500000,      /* multiply-adds that are worth a task */
	TASKS = 16,              /* of a product, at most */
	MOVED_BYTES = 512 << 10, /* of a block's gradients that go no further than L2 */
	DIRECT_TILES = 4         /* with so few tiles of rows, weights are read where they lie: packing would not pay */
};

/* out = in times the weights, or times their transpose, and what forward does to it. */
struct product {
	const struct bp_conv *cv;
	size_t n, inner, cols; /* in is n x inner, out n x cols */
	const bp_real *in, *w, *bias;
	bool transposed, acc, relu, direct;
	bp_real *out;
	size_t block, cuts; /* rows of a task, ranges of panels */
};

/* A piece of K of a panel: what is packed at a time. */
struct piece {
	size_t k, depth; /* rows of B */
	size_t col;
	int cols;
	bool first, last; /* of K */
};

/* Where a thread keeps the rows' pointers and the packed piece. */
struct place {
	const bp_real **in;
	bp_real **out;
	bp_real *panel;
};

static size_t depth_of(const struct bp_conv *cv)
{
	return PANEL_BYTES / ((size_t)cv->k->nr * sizeof(bp_real));
}

static struct place place_at(void *scratch)
{
	struct place pl = {.in = scratch};
	pl.out = (bp_real **)(pl.in + ROWS);
	pl.panel = (bp_real *)(pl.out + ROWS);
	return pl;
}

static size_t product_scratch(const struct bp_conv *cv)
{
	return round_up(2 * ROWS * sizeof(void *) + depth_of(cv) * cv->k->nr * sizeof(bp_real), BP_ALIGN);
}

/* The i-th step of a task over `panels` panels from `panel` on: all panels of a piece of K, then the next piece. */
static struct piece piece_at(const struct product *p, size_t panel, size_t panels, size_t i)
{
	const size_t nr = p->cv->k->nr, pieces = divide_up(p->inner, depth_of(p->cv));
	const size_t length = divide_up(p->inner, pieces), at = i / panels;
	struct piece pc = {.k = at * length, .col = (panel + i % panels) * nr, .first = at == 0};
	pc.depth = p->inner - pc.k < length ? p->inner - pc.k : length;
	pc.last = pc.k + pc.depth == p->inner;
	pc.cols = p->cols - pc.col < nr ? (int)(p->cols - pc.col) : (int)nr;
	return pc;
}

/* Asks for share i of n of the weights that are packed next, line by line. */
static void ask(const struct product *p, const struct piece *pc, size_t i, size_t n)
{
	const size_t line = BP_ALIGN / sizeof(bp_real), cols = (size_t)pc->cols;
	const size_t count = p->transposed ? divide_up(pc->depth, line) : pc->depth,
		     each = p->transposed ? line : p->cols;
	const size_t lines = p->transposed ? cols : divide_up(cols, line), step = p->transposed ? p->inner : line;
	const bp_real *w = p->w + (p->transposed ? pc->col * p->inner + pc->k : pc->k * p->cols + pc->col);
	for (size_t at = i * count / n; at < (i + 1) * count / n; at++)
		for (size_t l = 0; l < lines; l++)
			__builtin_prefetch(w + at * each + l * step, 0, 2);
}

/* All tiles of the block through a piece; next is asked for unless it is NULL. */
static void sweep(
	const struct product *p, const struct place *pl, size_t rows, const struct piece *pc, const struct piece *next)
{
	const struct bp_kernels *k = p->cv->k;
	const size_t tiles = divide_up(rows, (size_t)k->mr);
	struct bp_igemm g = {
		.cols = pc->cols,
		.taps = 1,
		.kc = pc->depth,
		.k0 = pc->k,
		.b = p->direct ? p->w + pc->k * p->cols + pc->col : pl->panel,
		.ldb = p->direct ? p->cols : (size_t)k->nr,
		.col = pc->col,
		.bias = pc->last && p->bias ? p->bias + pc->col : NULL,
		.acc = p->acc || !pc->first,
		.relu = pc->last && p->relu,
	};
	for (size_t t = 0; t < tiles; t++) {
		const size_t from = t * rows / tiles;
		g.rows = (int)((t + 1) * rows / tiles - from);
		g.a = pl->in + from;
		g.c = pl->out + from;
		k->igemm(&g);
		if (next)
			ask(p, next, t, tiles);
	}
}

static void product_task(const void *job, size_t i, void *scratch)
{
	const struct product *p = job;
	const struct bp_kernels *k = p->cv->k;
	const struct place pl = place_at(scratch);
	const size_t cut = i % p->cuts, first = i / p->cuts * p->block, left = p->n - first;
	const size_t rows = left < p->block ? left : p->block, all = divide_up(p->cols, (size_t)k->nr);
	const size_t panel = cut * all / p->cuts, panels = (cut + 1) * all / p->cuts - panel;
	const size_t steps = panels * divide_up(p->inner, depth_of(p->cv));
	for (size_t r = 0; r < rows; r++) {
		pl.in[r] = p->in + (first + r) * p->inner;
		pl.out[r] = p->out + (first + r) * p->cols;
	}
	for (size_t s = 0; s < steps; s++) {
		const struct piece pc = piece_at(p, panel, panels, s), next = piece_at(p, panel, panels, s + 1);
		if (p->transposed)
			k->pack_transposed(pl.panel, p->w + pc.col * p->inner + pc.k, p->inner, pc.depth, pc.cols);
		else if (!p->direct)
			k->pack(pl.panel, p->w + pc.k * p->cols + pc.col, p->cols, pc.depth, pc.cols);
		sweep(p, &pl, rows, &pc, s + 1 < steps ? &next : NULL);
	}
}

/* How many tasks a product is cut into: no more than the threads need, for each reads the rows anew; whoever sums an
 * element does it alike. Against TASKS in any case, a 784-512-256-10 perceptron trains 2 % faster on one thread and 5 %
 * on two (AVX-512). */
static size_t wanted_tasks(const struct bp_ctx *ctx, size_t work)
{
	const size_t useful = ctx->threads > 1 ? 2 * (size_t)ctx->threads : 1, limit = useful < TASKS ? useful : TASKS;
	const size_t want = work / TASK_WORK;
	return want < 1 ? 1 : want > limit ? limit : want;
}

static void product_run(struct product *p, const struct bp_ctx *ctx, void *ws)
{
	const struct bp_kernels *k = p->cv->k;
	const size_t work = p->n * p->inner * p->cols, blocks = divide_up(p->n, ROWS);
	const size_t panels = divide_up(p->cols, (size_t)k->nr);
	p->block = round_up(divide_up(p->n, blocks), (size_t)k->mr);
	p->cuts = divide_up(wanted_tasks(ctx, work), blocks);
	p->cuts = p->cuts < panels ? p->cuts : panels;
	p->direct = !p->transposed && p->cols % (size_t)k->nr == 0 && p->n <= (size_t)DIRECT_TILES * k->mr;
	const struct phase phase = {divide_up(p->n, p->block) * p->cuts, product_task};
	const struct work w = {p, &phase, 1, ws, product_scratch(p->cv)};
	bp_work_run(ctx, work, &w);
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct product p = {.cv = cv,
		.n = (size_t)call->n,
		.inner = (size_t)cv->s.c,
		.cols = (size_t)cv->s.oc,
		.in = call->x,
		.w = call->w,
		.bias = call->bias,
		.relu = call->act == BP_ACT_RELU,
		.out = call->y};
	product_run(&p, ctx, ws);
}

static void data(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct product p = {.cv = cv,
		.n = (size_t)call->n,
		.inner = (size_t)cv->s.oc,
		.cols = (size_t)cv->s.c,
		.in = call->dy,
		.w = call->w,
		.transposed = true,
		.acc = call->accumulate,
		.out = call->dx};
	product_run(&p, ctx, ws);
}

/* dW as blocks of tiles of inputs, from `count` samples of the batch from `at` on. */
struct gradient {
	const struct bp_conv *cv;
	const struct bp_conv_call *call;
	size_t tiles, blocks, cuts; /* of inputs; of tiles; ranges of panels, each a task with each block */
	size_t at, count;
	bp_real *packed; /* dY, panel by panel */
};

static size_t pixels_of(const struct bp_conv *cv)
{
	return cv->max_batch < PIXELS ? cv->max_batch : PIXELS;
}

/* Tiles of inputs of a block, at most. */
static size_t block_tiles(const struct bp_conv *cv)
{
	const size_t tile = (size_t)cv->k->mr * (size_t)cv->s.oc * sizeof(bp_real), moved = MOVED_BYTES / tile;
	return moved < 1 ? 1 : moved < BLOCK_TILES ? moved : BLOCK_TILES;
}

/* Of a thread, for a block's part of the batch. */
static size_t inputs_bytes(const struct bp_conv *cv)
{
	return round_up(pixels_of(cv) * block_tiles(cv) * (size_t)cv->k->mr * sizeof(bp_real), BP_ALIGN);
}

/* Of a thread, for a block's gradients that a mover takes; 0 when they are too many. */
static size_t moved_bytes(const struct bp_conv *cv)
{
	const size_t bytes = block_tiles(cv) * (size_t)cv->k->mr * (size_t)cv->s.oc * sizeof(bp_real);
	return bytes <= MOVED_BYTES ? round_up(bytes, BP_ALIGN) : 0;
}

/* Panel i of dY, and its bias's gradient. */
static void outputs_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct gradient *g = job;
	const struct bp_kernels *k = g->cv->k;
	const size_t oc = (size_t)g->cv->s.oc, nr = (size_t)k->nr, col = i * nr, left = oc - col;
	const size_t cols = left < nr ? left : nr;
	bp_real *packed = g->packed + i * g->count * nr;
	k->pack(packed, g->call->dy + g->at * oc + col, oc, g->count, (int)cols);
	if (g->call->db)
		k->column_sums(g->count, cols, packed, nr, g->at > 0, g->call->db + col);
}

/* A block through a range of panels. What one panel alone reads is not worth a copy. */
static void gradient_task(const void *job, size_t i, void *scratch)
{
	const struct gradient *g = job;
	const struct bp_kernels *k = g->cv->k;
	const size_t c = (size_t)g->cv->s.c, oc = (size_t)g->cv->s.oc, nr = (size_t)k->nr, all = divide_up(oc, nr);
	const size_t block = i / g->cuts, cut = i % g->cuts, tile = block * g->tiles / g->blocks,
		     end = (block + 1) * g->tiles / g->blocks;
	const size_t first = tile * c / g->tiles, wide = end * c / g->tiles - first;
	struct bp_run run = {g->call->x + g->at * c + first, 0, g->count};
	struct bp_outer p = {.nruns = 1, .runs = &run, .x_step = c, .dy_step = nr, .ldc = oc, .acc = g->at > 0};
	size_t panel = cut * all / g->cuts;
	const size_t last = (cut + 1) * all / g->cuts;
	if (last - panel > 1) {
		bp_real *to = scratch;
		for (size_t n = 0; n < g->count; n++, to += wide)
			memcpy(to, run.x + n * c, wide * sizeof *to);
		run.x = scratch;
		p.x_step = wide;
	}
	/* Once all are there, the weights move, from the cache: what that reads is asked for meanwhile. */
	const bool whole = g->cuts == 1 && g->at + g->count == (size_t)g->call->n;
	const struct bp_mover *mover = whole ? g->call->mover : NULL;
	const bp_real *w = g->call->w + first * oc;
	bp_real *dw = g->call->dw + first * oc;
	if (mover && g->at == 0 && moved_bytes(g->cv))
		dw = (bp_real *)((char *)scratch + inputs_bytes(g->cv));
	size_t ahead = 0;
	for (; panel < last; panel++) {
		const size_t left = oc - panel * nr;
		p.cols = left < nr ? (int)left : k->nr;
		p.dy = g->packed + panel * g->count * nr;
		for (size_t t = tile; t < end; t++) {
			const size_t from = t * c / g->tiles;
			p.x_off = from - first;
			p.rows = (int)((t + 1) * c / g->tiles - from);
			p.c = dw + (from - first) * oc + panel * nr;
			p.ahead = mover ? mover->ahead(mover->arg, w, wide * oc, ahead) : NULL;
			ahead += g->count * BP_OUTER_AHEAD;
			k->outer(&p);
		}
	}
	if (mover)
		mover->move(mover->arg, w, wide * oc, dw);
}

/* Of all threads, for the packed gradient of outputs. */
static size_t outputs_bytes(const struct bp_conv *cv)
{
	return round_up(pixels_of(cv) * round_up((size_t)cv->s.oc, (size_t)cv->k->nr) * sizeof(bp_real), BP_ALIGN);
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc, n = (size_t)call->n;
	const size_t panels = divide_up(oc, (size_t)cv->k->nr);
	struct gradient g = {.cv = cv, .call = call, .tiles = divide_up(c, (size_t)cv->k->mr), .packed = ws};
	for (; g.at < n; g.at += g.count) {
		g.count = n - g.at < PIXELS ? n - g.at : PIXELS;
		const size_t work = g.count * c * oc, want = wanted_tasks(ctx, work);
		g.blocks = divide_up(g.tiles, block_tiles(cv));
		g.blocks = g.blocks < want ? want : g.blocks;
		g.blocks = g.blocks > BALANCE ? round_up(g.blocks, BALANCE) : g.blocks;
		g.blocks = g.blocks < g.tiles ? g.blocks : g.tiles;
		g.cuts = want > g.blocks ? divide_up(want, g.blocks) : 1;
		g.cuts = g.cuts < panels ? g.cuts : panels;
		const struct phase phases[] = {{panels, outputs_task}, {g.blocks * g.cuts, gradient_task}};
		const struct work w = {
			&g, phases, 2, (char *)ws + outputs_bytes(cv), inputs_bytes(cv) + moved_bytes(cv)};
		bp_work_run(ctx, work, &w);
	}
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return cv->linear && cv->fold == 1;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	if (pass == PASS_WEIGHTS)
		return outputs_bytes(cv) + (size_t)threads * (inputs_bytes(cv) + moved_bytes(cv));
	return (size_t)threads * product_scratch(cv);
}

const struct way bp_way_linear = {
	.fits = fits,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = weights,
	.data = data,
};
