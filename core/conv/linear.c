/*
 * linear.c - linear layers of any size, as products of plain matrices. Called by conv.c on the trainer's thread; its
 * tasks run on any.
 *
 * Against the indirect GEMM there are no lattices to walk (5 % of a step of a 784-512-256-10 perceptron), and weights
 * are not packed as a whole in a sweep of their own (7 %): tiles read a piece of a panel, 16 or 32 KiB, from L1, and
 * the next one is asked for meanwhile. Weights in panels (base/panels.h) are read where they lie, unless the kernel's
 * are narrower; others, and their transpose, a task packs piece by piece. The sum over K goes by pieces outside the
 * panels, so that the piece of the rows, some 128 KiB, is read from L2 by all panels of the task.
 *
 * The gradient of weights goes by blocks of inputs, whose part of the batch is copied together: the rows of a batch are
 * often a power of two apart, and share a few sets of L1. So each part of the batch is read once from where it lies,
 * not once for each panel of outputs. The gradient of outputs is packed once for all blocks. Of the peak, it brought
 * 512 -> 256 from 80 to 88 % (batch of 128), 1024 -> 1024 from 69 to 85 % and 9216 -> 128 from 66 to 87 % (64). Every
 * element of a gradient of weights is summed by one task: there are no partial sums, and the task has the weights of a
 * block moved by them while both lie in L1 or L2 (base/mover.h). That took the optimizer from 10 to 4 % of a step of
 * the perceptron. A batch that is summed in one sweep leaves the gradients nowhere else: 3072-1024-1024-10 and three
 * layers of 2048 are trained about a tenth faster for it.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "base/panels.h"
#include "kernels/igemm.h"
#include "kernels/outer.h"

#include <string.h>

enum {
	ROWS = 240,              /* of a block, at most: whole tiles of any height */
	PIXELS = 256,            /* of a sweep of the gradient of weights */
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
	struct bp_gemm_tile tile;
	bool transposed, acc, relu;
	bool direct; /* weights are read where they lie, in whole vectors */
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

static size_t weight_at(const struct bp_conv *cv, size_t i, size_t o)
{
	return cv->s.panels ? (size_t)bp_panel_at(cv->s.c, cv->s.oc, (int64_t)i, (int64_t)o) : i * cv->s.oc + o;
}

/* From input to input, of weights of output o. */
static size_t weight_ld(const struct bp_conv *cv, size_t o)
{
	return cv->s.panels ? (size_t)bp_panel_width(cv->s.oc, (int64_t)o) : (size_t)cv->s.oc;
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
	const size_t nr = (size_t)most(cv->forward.tile.nr, cv->backward.tile.nr);
	return round_up(2 * ROWS * sizeof(void *) + product_depth(cv->k) * nr * sizeof(bp_real), BP_ALIGN);
}

/* The i-th step of a task over `panels` panels from `panel` on: all panels of a piece of K, then the next piece. */
static struct piece piece_at(const struct product *p, size_t panel, size_t panels, size_t i)
{
	const size_t nr = p->tile.nr, pieces = divide_up(p->inner, product_depth(p->cv->k));
	const size_t length = divide_up(p->inner, pieces), at = i / panels;
	struct piece pc = {.k = at * length, .col = (panel + i % panels) * nr, .first = at == 0};
	pc.depth = p->inner - pc.k < length ? p->inner - pc.k : length;
	pc.last = pc.k + pc.depth == p->inner;
	pc.cols = p->cols - pc.col < nr ? (int)(p->cols - pc.col) : (int)nr;
	return pc;
}

static bool reads_direct(const struct product *p, const struct piece *pc)
{
	return p->direct && pc->cols % p->cv->k->vlen == 0;
}

static void pack(const struct product *p, const struct piece *pc, bp_real *panel)
{
	const struct bp_kernels *k = p->cv->k;
	if (!p->transposed) {
		k->pack(panel, p->tile.nr, p->w + weight_at(p->cv, pc->k, pc->col), weight_ld(p->cv, pc->col),
			pc->depth, pc->cols);
		return;
	}
	const size_t end = pc->k + pc->depth, whole = p->cv->s.panels ? BP_PANEL : p->inner;
	for (size_t at = pc->k, n; at < end; at += n, panel += n * (size_t)p->tile.nr) {
		n = whole - at % whole < end - at ? whole - at % whole : end - at;
		k->pack_transposed(
			panel, p->tile.nr, p->w + weight_at(p->cv, pc->col, at), weight_ld(p->cv, at), n, pc->cols);
	}
}

/* A piece's weights: inputs [input, input + inputs), and as many outputs from `output` on. */
struct weights {
	size_t input, inputs, output, outputs;
	const bp_real *at; /* the first */
	size_t bytes;      /* of all, when they lie together; else 0 */
};

static struct weights weights_of(const struct product *p, const struct piece *pc)
{
	const size_t cols = (size_t)pc->cols;
	struct weights w = p->transposed ? (struct weights){.input = pc->col, cols, pc->k, pc->depth}
					 : (struct weights){.input = pc->k, pc->depth, pc->col, cols};
	w.at = p->w + weight_at(p->cv, w.input, w.output);
	w.bytes = w.outputs == weight_ld(p->cv, w.output) ? w.inputs * w.outputs * sizeof *w.at : 0;
	return w;
}

/* Asks for share i of n of them. */
static void ask(const struct product *p, const struct weights *w, size_t i, size_t n)
{
	const size_t lines = divide_up(w->bytes, BP_ALIGN);
	for (size_t line = i * lines / n; line < (i + 1) * lines / n; line++)
		__builtin_prefetch((const char *)w->at + line * BP_ALIGN, 0, 3);
	if (w->bytes)
		return;
	for (size_t at = w->input + i * w->inputs / n; at < w->input + (i + 1) * w->inputs / n; at++)
		for (size_t o = w->output; o < w->output + w->outputs; o += BP_ALIGN / sizeof *w->at)
			__builtin_prefetch(p->w + weight_at(p->cv, at, o), 0, 2);
}

/* All tiles of the block through a piece; next is asked for unless it is NULL: line by line by the tiles themselves,
 * where these do so (igemm.h) and it lies together, which is 1 % of a step of a 784-512-256-10 perceptron. */
static void sweep(
	const struct product *p, const struct place *pl, size_t rows, const struct piece *pc, const struct piece *next)
{
	const struct bp_kernels *k = p->cv->k;
	const size_t tiles = divide_up(rows, (size_t)p->tile.mr);
	const bool direct = reads_direct(p, pc);
	struct bp_igemm g = {
		.cols = pc->cols,
		.taps = 1,
		.kc = pc->depth,
		.k0 = pc->k,
		.b = direct ? p->w + weight_at(p->cv, pc->k, pc->col) : pl->panel,
		.ldb = direct ? weight_ld(p->cv, pc->col) : (size_t)p->tile.nr,
		.col = pc->col,
		.bias = pc->last && p->bias ? p->bias + pc->col : NULL,
		.acc = p->acc || !pc->first,
		.relu = pc->last && p->relu,
	};
	const struct weights w = next ? weights_of(p, next) : (struct weights){0};
	const bool by_tiles = w.bytes && p->tile.nr > k->tall.nr;
	for (size_t t = 0; t < tiles; t++) {
		const size_t from = t * rows / tiles, asked = t * pc->depth * BP_IGEMM_AHEAD;
		g.rows = (int)((t + 1) * rows / tiles - from);
		g.a = pl->in + from;
		g.c = pl->out + from;
		g.ahead = by_tiles && asked < w.bytes ? (const char *)w.at + asked : NULL;
		k->igemm(&g);
		if (next && !by_tiles)
			ask(p, &w, t, tiles);
	}
}

static void product_task(const void *job, size_t i, void *scratch)
{
	const struct product *p = job;
	const struct place pl = place_at(scratch);
	const size_t cut = i % p->cuts, first = i / p->cuts * p->block, left = p->n - first;
	const size_t rows = left < p->block ? left : p->block, all = divide_up(p->cols, (size_t)p->tile.nr);
	const size_t panel = cut * all / p->cuts, panels = (cut + 1) * all / p->cuts - panel;
	const size_t steps = panels * divide_up(p->inner, product_depth(p->cv->k));
	for (size_t r = 0; r < rows; r++) {
		pl.in[r] = p->in + (first + r) * p->inner;
		pl.out[r] = p->out + (first + r) * p->cols;
	}
	for (size_t s = 0; s < steps; s++) {
		const struct piece pc = piece_at(p, panel, panels, s), next = piece_at(p, panel, panels, s + 1);
		if (!reads_direct(p, &pc))
			pack(p, &pc, pl.panel);
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
	const size_t work = p->n * p->inner * p->cols, blocks = divide_up(p->n, ROWS);
	const size_t panels = divide_up(p->cols, (size_t)p->tile.nr);
	p->block = round_up(divide_up(p->n, blocks), (size_t)p->tile.mr);
	p->cuts = divide_up(wanted_tasks(ctx, work), blocks);
	p->cuts = p->cuts < panels ? p->cuts : panels;
	p->direct = !p->transposed &&
		    ((p->cv->s.panels && p->tile.nr == BP_PANEL) || p->n <= (size_t)DIRECT_TILES * p->cv->k->tall.mr);
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
		.tile = cv->forward.tile,
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
		.tile = cv->backward.tile,
		.in = call->dy,
		.w = call->w,
		.transposed = true,
		.acc = call->accumulate,
		.out = call->dx};
	product_run(&p, ctx, ws);
}

/* dW as blocks of inputs, from `count` samples of the batch from `at` on. */
struct gradient {
	const struct bp_conv *cv;
	const struct bp_conv_call *call;
	size_t rows, blocks; /* inputs of a block, at most; blocks */
	size_t cuts;         /* ranges of panels, each a task with each block */
	size_t at, count;
	bp_real *packed; /* dY, by the kernel's panels */
};

/* A block's inputs, and where its part of the batch is: rows x_step elements apart. */
struct block {
	size_t first, rows;
	struct bp_run run;
	size_t x_step;
	bp_real *grads; /* of one of its panels */
};

static size_t pixels_of(const struct bp_conv *cv)
{
	return cv->max_batch < PIXELS ? cv->max_batch : PIXELS;
}

/* Panels that the weights lie in, and outputs of one; rows of all outputs are one panel. */
static size_t panel_count(const struct bp_conv *cv)
{
	return cv->s.panels ? divide_up((size_t)cv->s.oc, BP_PANEL) : 1;
}

static size_t panel_width(const struct bp_conv *cv)
{
	return cv->s.panels ? BP_PANEL : (size_t)cv->s.oc;
}

/* Of a thread, for a block's part of the batch. */
static size_t inputs_bytes(const struct bp_conv *cv)
{
	return round_up(pixels_of(cv) * (size_t)bp_panel_rows(cv->s.c) * sizeof(bp_real), BP_ALIGN);
}

/* Of a thread, for the gradients of a block of a panel, which a mover takes; 0 when they are too many. */
static size_t moved_bytes(const struct bp_conv *cv)
{
	const size_t bytes = (size_t)bp_panel_rows(cv->s.c) * panel_width(cv) * sizeof(bp_real);
	return bytes <= MOVED_BYTES ? round_up(bytes, BP_ALIGN) : 0;
}

/* Panel i of dY, and its bias's gradient. */
static void outputs_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct gradient *g = job;
	const struct bp_kernels *k = g->cv->k;
	const size_t oc = (size_t)g->cv->s.oc, nr = (size_t)g->cv->forward.tile.nr, col = i * nr, left = oc - col;
	const size_t cols = left < nr ? left : nr;
	bp_real *packed = g->packed + i * g->count * nr;
	k->pack(packed, (int)nr, g->call->dy + g->at * oc + col, oc, g->count, (int)cols);
	if (g->call->db)
		k->column_sums(g->count, cols, packed, nr, g->at > 0, g->call->db + col);
}

/* A panel of a block. Once it is there, the weights move, from the cache: what that reads is asked for meanwhile. */
static void block_panel(const struct gradient *g, const struct block *b, size_t panel)
{
	const struct bp_conv *cv = g->cv;
	const struct bp_kernels *k = cv->k;
	const size_t nr = (size_t)cv->forward.tile.nr, tiles = divide_up(b->rows, (size_t)cv->forward.tile.mr);
	const size_t col = panel * panel_width(cv), width = weight_ld(cv, col), at = weight_at(cv, b->first, col);
	const struct bp_mover *mover = g->at + g->count == (size_t)g->call->n ? g->call->mover : NULL;
	const bp_real *w = g->call->w + at;
	bp_real *dw = mover && g->at == 0 && moved_bytes(cv) ? b->grads : g->call->dw + at;
	struct bp_outer p = {
		.nruns = 1, .runs = &b->run, .x_step = b->x_step, .dy_step = nr, .ldc = width, .acc = g->at > 0};
	size_t ahead = 0;
	for (size_t done = 0; done < width; done += nr) {
		p.cols = width - done < nr ? (int)(width - done) : (int)nr;
		p.dy = g->packed + (col + done) * g->count;
		for (size_t t = 0; t < tiles; t++) {
			p.x_off = t * b->rows / tiles;
			p.rows = (int)((t + 1) * b->rows / tiles - p.x_off);
			p.c = dw + p.x_off * width + done;
			p.ahead = mover ? mover->ahead(mover->arg, w, b->rows * width, ahead) : NULL;
			ahead += g->count * BP_OUTER_AHEAD;
			k->outer(&p);
		}
	}
	if (mover)
		mover->move(mover->arg, w, b->rows * width, dw);
}

/* A block through a range of panels. What one of the kernel's alone reads is not worth a copy. */
static void gradient_task(const void *job, size_t i, void *scratch)
{
	const struct gradient *g = job;
	const size_t c = (size_t)g->cv->s.c, first = i / g->cuts * g->rows, left = c - first;
	const size_t cut = i % g->cuts, all = panel_count(g->cv);
	const size_t panel = cut * all / g->cuts, last = (cut + 1) * all / g->cuts;
	struct block b = {
		.first = first,
		.rows = left < g->rows ? left : g->rows,
		.run = {g->call->x + g->at * c + first, 0, g->count},
		.x_step = c,
		.grads = (bp_real *)((char *)scratch + inputs_bytes(g->cv)),
	};
	if ((last - panel) * panel_width(g->cv) > (size_t)g->cv->forward.tile.nr) {
		bp_real *to = scratch;
		for (size_t n = 0; n < g->count; n++, to += b.rows)
			memcpy(to, b.run.x + n * c, b.rows * sizeof *to);
		b.run.x = scratch;
		b.x_step = b.rows;
	}
	for (size_t p = panel; p < last; p++)
		block_panel(g, &b, p);
}

/* Of all threads, for the packed gradient of outputs. */
static size_t outputs_bytes(const struct bp_conv *cv)
{
	return round_up(
		pixels_of(cv) * round_up((size_t)cv->s.oc, (size_t)cv->forward.tile.nr) * sizeof(bp_real), BP_ALIGN);
}

/* Panels fix where blocks begin: those of the updater are these. There the last one is shorter than the others, and
 * halves of all even out the shares of several threads. */
static void cut_gradient(struct gradient *g, size_t want, int threads)
{
	const size_t c = (size_t)g->cv->s.c, panels = panel_count(g->cv), most = (size_t)bp_panel_rows(g->cv->s.c);
	const size_t even = round_up(divide_up(c, want), (size_t)g->cv->forward.tile.mr);
	g->rows = g->cv->s.panels || most < even ? most : even;
	g->blocks = divide_up(c, g->rows);
	g->cuts = want > g->blocks ? divide_up(want, g->blocks) : 1;
	g->cuts = g->cuts == 1 && threads > 1 ? 2 : g->cuts;
	g->cuts = g->cuts < panels ? g->cuts : panels;
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const size_t oc = (size_t)cv->s.oc, n = (size_t)call->n;
	struct gradient g = {.cv = cv, .call = call, .packed = ws};
	for (; g.at < n; g.at += g.count) {
		g.count = n - g.at < PIXELS ? n - g.at : PIXELS;
		const size_t work = g.count * cv->s.c * oc;
		cut_gradient(&g, wanted_tasks(ctx, work), ctx->threads);
		const struct phase phases[] = {
			{divide_up(oc, (size_t)cv->forward.tile.nr), outputs_task}, {g.blocks * g.cuts, gradient_task}};
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
