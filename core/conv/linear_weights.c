/*
 * linear_weights.c - the gradient of the weights of linear layers. Called as part of linear.c's way on the trainer's
 * thread; its tasks run on any.
 *
 * It goes by blocks of inputs, whose part of the batch is copied together: the rows of a batch are often a power of two
 * apart, and share a few sets of L1. So each part of the batch is read once from where it lies, not once for each panel
 * of outputs. The gradient of outputs is packed once for all blocks. Of the peak, it brought 512 -> 256 from 80 to 88 %
 * (batch of 128), 1024 -> 1024 from 69 to 85 % and 9216 -> 128 from 66 to 87 % (64). Every element of a gradient of
 * weights is summed by one task: there are no partial sums, and the task has the weights of a block moved by them while
 * both lie in L1 or L2 (base/mover.h). That took the optimizer from 10 to 4 % of a step of the perceptron. A batch that
 * is summed in one sweep leaves the gradients nowhere else: 3072-1024-1024-10 and three layers of 2048 are trained
 * about a tenth faster for it.
 *
 * Where inputs are mostly zeros, behind a ReLU or in pictures, or gradients of outputs are, before one, the samples
 * that count for an input or for an output are listed (kernels/spmm.h), and the others left out.
 */
#include "conv/linear.h"
#include "conv/sparse.h"

#include "base/mem.h"
#include "kernels/outer.h"

#include <string.h>

enum {
	PIXELS = 256,            /* of a sweep */
	MOVED_BYTES = 512 << 10, /* of a block's gradients that go no further than L2 */
	LISTED_FROM = 32,        /* samples: with fewer, what is left of a row is not worth a loop */
	LISTED_ROWS = 16,        /* multiplied before more is asked for */
	ASKED = 48 << 10         /* bytes that a panel of a block asks for: weights and two states */
};

/* What is listed: nothing, samples by inputs, or by outputs. */
enum listed { NOTHING, INPUTS, OUTPUTS };

/* dW as blocks of inputs, from `count` samples of the batch from `at` on. */
struct gradient {
	const struct bp_conv *cv;
	const struct bp_conv_call *call;
	size_t rows, blocks; /* inputs of a block, at most; blocks */
	size_t cuts;         /* ranges of panels, each a task with each block */
	size_t at, count;
	enum listed listed;
	size_t nr;       /* outputs of a packed panel */
	bp_real *packed; /* dY by panels; or, with its outputs listed, transposed */
	struct sparse outputs;
};

/* A block's inputs, and where its part of the batch is: rows x_step elements apart. */
struct block {
	size_t first, rows;
	struct bp_run run;
	size_t x_step;
	const bp_real *turned; /* the same transposed, where inputs are listed */
	struct sparse inputs;
	bp_real *grads; /* of one of its panels */
	bp_real *sums;  /* the same transposed, where outputs are listed */
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

static bool may_list(const struct bp_conv *cv)
{
	return cv->s.panels && cv->s.c >= BP_PANEL && cv->max_batch >= LISTED_FROM;
}

/* A thread's scratch: bytes of its parts, 0 for what it does without. */
struct layout {
	size_t inputs; /* a block's part of the batch; a panel of dY before it is transposed */
	size_t turned, lists;
	size_t grads; /* of a block of a panel, which a mover takes; 0 when they are too many */
	size_t sums;
};

static struct layout layout_of(const struct bp_conv *cv)
{
	const size_t rows = (size_t)bp_panel_rows(cv->s.c), grads = rows * panel_width(cv) * sizeof(bp_real);
	const size_t samples = pixels_of(cv) * sizeof(bp_real);
	struct layout l = {.inputs = round_up(samples * rows, BP_ALIGN),
		.grads = grads <= MOVED_BYTES ? round_up(grads, BP_ALIGN) : 0};
	if (may_list(cv)) {
		l.inputs = l.turned = round_up(samples * BP_PANEL, BP_ALIGN);
		l.lists = bp_sparse_bytes(BP_PANEL, pixels_of(cv));
		l.sums = l.grads;
	}
	return l;
}

static size_t layout_bytes(const struct layout *l)
{
	return l->inputs + l->turned + l->lists + l->grads + l->sums;
}

/* Of all threads, for dY and its lists. */
static size_t outputs_bytes(const struct bp_conv *cv)
{
	const size_t to = may_list(cv) ? BP_PANEL : (size_t)cv->forward.tile.nr;
	return round_up(pixels_of(cv) * round_up((size_t)cv->s.oc, to) * sizeof(bp_real), BP_ALIGN);
}

static size_t output_lists_bytes(const struct bp_conv *cv)
{
	return may_list(cv) ? bp_sparse_bytes((size_t)cv->s.oc, pixels_of(cv)) : 0;
}

/* Panel i of dY, and its bias's gradient. */
static void outputs_task(const void *job, size_t i, void *scratch)
{
	const struct gradient *g = job;
	const struct bp_kernels *k = g->cv->k;
	const size_t oc = (size_t)g->cv->s.oc, nr = g->nr, col = i * nr, left = oc - col;
	const size_t cols = left < nr ? left : nr;
	bp_real *panel = g->packed + i * g->count * nr, *packed = g->listed == OUTPUTS ? scratch : panel;
	k->pack(packed, (int)nr, g->call->dy + g->at * oc + col, oc, g->count, (int)cols);
	if (g->call->db)
		k->column_sums(g->count, cols, packed, nr, g->at > 0, g->call->db + col);
	if (g->listed != OUTPUTS)
		return;
	k->transpose(g->count, nr, packed, false, panel);
	for (size_t o = 0; o < cols; o++)
		bp_sparse_list(k, &g->outputs, col + o, panel + o * g->count, true);
}

/* What a panel of a block asks for meanwhile: what its mover will read. */
struct asked {
	const struct bp_mover *mover; /* or NULL */
	const bp_real *w;
	size_t n; /* weights */
};

/* Share i of n of it, which lies together array by array. */
static void ask(void *arg, size_t i, size_t n)
{
	const struct asked *a = arg;
	const size_t array = a->n * sizeof *a->w, to = (i + 1) * ASKED / n;
	for (size_t from = i * ASKED / n, end; from < to; from = end) {
		const char *at = a->mover->ahead(a->mover->arg, a->w, a->n, from);
		if (!at)
			return;
		end = from / array * array + array;
		end = end < to ? end : to;
		for (const char *last = at + (end - from); at < last; at += BP_ALIGN)
			__builtin_prefetch(at, 0, 2);
	}
}

/* A panel of a block: outputs, and where their gradients go, each input `width` from the one before. */
struct panel {
	size_t col, width;
	bp_real *dw;
	struct asked asked;
};

/* One of the two below: the product is all of it but how it asks. */
static void multiply(const struct gradient *g, struct sparse_product p, const struct asked *asked)
{
	struct asked next = *asked;
	p.share = LISTED_ROWS;
	p.ask = next.mover ? ask : NULL;
	p.arg = &next;
	bp_sparse_multiply(g->cv->k, &p);
}

static void by_inputs(const struct gradient *g, const struct block *b, const struct panel *to)
{
	const struct sparse_product p = {.lists = &b->inputs,
		.all = {.rows = b->rows,
			.cols = to->width,
			.a = b->turned,
			.lda = g->count,
			.b = g->packed + to->col * g->count,
			.ldb = g->nr,
			.c = to->dw,
			.ldc = to->width,
			.acc = g->at > 0}};
	multiply(g, p, &to->asked);
}

static void by_outputs(const struct gradient *g, const struct block *b, const struct panel *to)
{
	const struct sparse_product p = {.lists = &g->outputs,
		.first = to->col,
		.all = {.rows = to->width,
			.cols = b->rows,
			.a = g->packed + to->col * g->count,
			.lda = g->count,
			.b = b->run.x,
			.ldb = b->x_step,
			.c = b->sums,
			.ldc = b->rows}};
	multiply(g, p, &to->asked);
	g->cv->k->transpose(to->width, b->rows, b->sums, g->at > 0, to->dw);
}

static void by_tiles(const struct gradient *g, const struct block *b, const struct panel *to)
{
	const size_t nr = g->nr, tiles = divide_up(b->rows, (size_t)g->cv->forward.tile.mr);
	struct bp_outer p = {
		.nruns = 1, .runs = &b->run, .x_step = b->x_step, .dy_step = nr, .ldc = to->width, .acc = g->at > 0};
	const struct bp_mover *mover = to->asked.mover;
	size_t ahead = 0;
	for (size_t done = 0; done < to->width; done += nr) {
		p.cols = to->width - done < nr ? (int)(to->width - done) : (int)nr;
		p.dy = g->packed + (to->col + done) * g->count;
		for (size_t t = 0; t < tiles; t++) {
			p.x_off = t * b->rows / tiles;
			p.rows = (int)((t + 1) * b->rows / tiles - p.x_off);
			p.c = to->dw + p.x_off * to->width + done;
			p.ahead = mover ? mover->ahead(mover->arg, to->asked.w, to->asked.n, ahead) : NULL;
			ahead += g->count * BP_OUTER_AHEAD;
			g->cv->k->outer(&p);
		}
	}
}

/* A panel of a block. Once it is there, the weights move, from the cache: what that reads is asked for meanwhile. */
static void block_panel(const struct gradient *g, const struct block *b, size_t panel)
{
	const struct bp_conv *cv = g->cv;
	const size_t col = panel * panel_width(cv), width = weight_ld(cv, col), at = weight_at(cv, b->first, col);
	const struct bp_mover *mover = g->at + g->count == (size_t)g->call->n ? g->call->mover : NULL;
	const bp_real *w = g->call->w + at;
	const size_t n = b->rows * width;
	const struct panel to = {.col = col,
		.width = width,
		.dw = mover && g->at == 0 && layout_of(cv).grads ? b->grads : g->call->dw + at,
		.asked = {mover, w, n}};
	if (g->listed == INPUTS)
		by_inputs(g, b, &to);
	else if (g->listed == OUTPUTS)
		by_outputs(g, b, &to);
	else
		by_tiles(g, b, &to);
	if (mover)
		mover->move(mover->arg, w, n, to.dw);
}

/* Copies a block's part of the batch together, rows as far apart as whole vectors where these are read, and lists it.
 * What tiles of the kernel's width alone read is not worth a copy. */
static void gather(const struct gradient *g, struct block *b, size_t panels, char *scratch)
{
	const struct bp_kernels *k = g->cv->k;
	const struct layout l = layout_of(g->cv);
	if (g->listed == NOTHING && panels * panel_width(g->cv) <= g->nr)
		return;
	const size_t step = g->listed == OUTPUTS ? round_up(b->rows, (size_t)k->vlen) : b->rows;
	bp_real *to = (bp_real *)scratch, *turned = (bp_real *)(scratch + l.inputs);
	if (g->listed == OUTPUTS)
		k->pack(to, (int)step, b->run.x, b->x_step, g->count, (int)b->rows);
	else
		for (size_t n = 0; n < g->count; n++)
			memcpy(to + n * step, b->run.x + n * b->x_step, b->rows * sizeof *to);
	b->run.x = to;
	b->x_step = step;
	if (g->listed != INPUTS)
		return;
	k->transpose(g->count, b->rows, to, false, turned);
	b->turned = turned;
	b->inputs = bp_sparse_at(scratch + l.inputs + l.turned, BP_PANEL, g->count);
	for (size_t r = 0; r < b->rows; r++)
		bp_sparse_list(k, &b->inputs, r, turned + r * g->count, true);
}

/* A block through a range of panels. */
static void gradient_task(const void *job, size_t i, void *scratch)
{
	const struct gradient *g = job;
	const struct layout l = layout_of(g->cv);
	const size_t c = (size_t)g->cv->s.c, first = i / g->cuts * g->rows, left = c - first;
	const size_t cut = i % g->cuts, all = panel_count(g->cv);
	const size_t panel = cut * all / g->cuts, last = (cut + 1) * all / g->cuts;
	bp_real *const grads = (bp_real *)((char *)scratch + l.inputs + l.turned + l.lists);
	struct block b = {.first = first,
		.rows = left < g->rows ? left : g->rows,
		.run = {g->call->x + g->at * c + first, 0, g->count},
		.x_step = c,
		.grads = grads,
		.sums = (bp_real *)((char *)grads + l.grads)};
	gather(g, &b, last - panel, scratch);
	for (size_t p = panel; p < last; p++)
		block_panel(g, &b, p);
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

/* Lists what has the fewer elements to list, where these are few enough. */
static enum listed what_to_list(const struct gradient *g)
{
	const struct bp_conv *cv = g->cv;
	if (!may_list(cv) || g->count < LISTED_FROM)
		return NOTHING;
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	double inputs, outputs;
	const bool by_inputs = bp_sparse_pays(cv->k, g->count, c, g->call->x + g->at * c, &inputs);
	const bool by_outputs = bp_sparse_pays(cv->k, g->count, oc, g->call->dy + g->at * oc, &outputs);
	if (by_inputs && (inputs <= outputs || !by_outputs))
		return INPUTS;
	return by_outputs ? OUTPUTS : NOTHING;
}

void bp_linear_weights_run(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const size_t oc = (size_t)cv->s.oc, n = (size_t)call->n;
	char *const lists = (char *)ws + outputs_bytes(cv), *const scratch = lists + output_lists_bytes(cv);
	const struct layout l = layout_of(cv);
	struct gradient g = {.cv = cv, .call = call, .packed = ws};
	for (; g.at < n; g.at += g.count) {
		g.count = n - g.at < PIXELS ? n - g.at : PIXELS;
		g.listed = what_to_list(&g);
		g.nr = g.listed ? BP_PANEL : (size_t)cv->forward.tile.nr;
		g.outputs = bp_sparse_at(lists, oc, g.count);
		const size_t work = g.count * cv->s.c * oc;
		cut_gradient(&g, bp_linear_tasks(ctx, work), ctx->threads);
		const struct phase phases[] = {{divide_up(oc, g.nr), outputs_task}, {g.blocks * g.cuts, gradient_task}};
		const struct work w = {&g, phases, 2, scratch, layout_bytes(&l)};
		bp_work_run(ctx, work, &w);
	}
}

size_t bp_linear_weights_workspace(const struct bp_conv *cv, int threads)
{
	const struct layout l = layout_of(cv);
	return outputs_bytes(cv) + output_lists_bytes(cv) + (size_t)threads * layout_bytes(&l);
}
