/*
 * linear.c - linear layers of any size, as products of plain matrices. Called by conv.c on the trainer's thread; its
 * tasks run on any. The gradient of weights is linear_weights.c's.
 *
 * Against the indirect GEMM there are no lattices to walk (5 % of a step of a 784-512-256-10 perceptron), and weights
 * are not packed as a whole in a sweep of their own (7 %): tiles read a piece of a panel, 16 or 32 KiB, from L1, and
 * the next one is asked for meanwhile. Weights in panels (base/panels.h) are read where they lie, unless the kernel's
 * are narrower; others, and their transpose, a task packs piece by piece. The sum over K goes by pieces outside the
 * panels, so that the piece of the rows, some 128 KiB, is read from L2 by all panels of the task.
 *
 * Rows that are mostly zeros, as a ReLU leaves them and lets their gradients through, do not go by tiles: what is not
 * zero in them is listed, and multiplied alone (kernels/spmm.h). Each row is looked at for itself, so that what a
 * sample gives does not depend on the others of its batch. With the same in linear_weights.c, a 784-512-256-10
 * perceptron trains 9 % faster, one with BatchNorm and Dropout 21 % (AVX-512, one thread).
 */
#include "conv/linear.h"
#include "conv/sparse.h"

#include "base/mem.h"
#include "kernels/igemm.h"

enum {
	ROWS = 240,         /* of a block, at most: whole tiles of any height */
	LISTED_ROWS = 16,   /* a task lists */
	SHARES = 8,         /* of listed rows, between which the next piece is asked for */
	TASK_WORK = 500000, /* multiply-adds that are worth a task */
	TASKS = 16,         /* of a product, at most */
	DIRECT_TILES = 4    /* with so few tiles of rows, weights are read where they lie: packing would not pay */
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
	bool looks;           /* for rows that are mostly zeros, */
	struct sparse sparse; /* and lists them */
	size_t block, cuts;   /* rows of a task, ranges of columns */
	size_t unit;          /* that these are multiples of */
};

/* A piece of K of a panel: what is packed at a time. */
struct piece {
	size_t k, depth; /* rows of B */
	size_t col;
	int cols;
	bool first, last; /* of K */
};

/* How a task goes over its columns: by panels of nr, with at most `depth` of K at a time. */
struct steps {
	size_t from, to, nr, depth;
};

/* Where a thread keeps the pointers of rows that tiles take, and the packed piece. */
struct place {
	const bp_real **in;
	bp_real **out;
	bp_real *panel;
};

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
	const size_t dense = product_depth(cv->k) * nr, listed = (size_t)SPARSE_DEPTH * BP_SPMM_COLS;
	return round_up(2 * ROWS * sizeof(void *) + (dense > listed ? dense : listed) * sizeof(bp_real), BP_ALIGN);
}

static size_t step_panels(const struct steps *st)
{
	return divide_up(st->to - st->from, st->nr);
}

static size_t step_count(const struct product *p, const struct steps *st)
{
	return step_panels(st) * divide_up(p->inner, st->depth);
}

/* The i-th: all panels of a piece of K, then the next piece. */
static struct piece piece_at(const struct product *p, const struct steps *st, size_t i)
{
	const size_t panels = step_panels(st), at = i / panels;
	const struct part part = part_of(p->inner, st->depth, at);
	struct piece pc = {.k = part.at, .depth = part.length, .col = st->from + i % panels * st->nr, .first = at == 0};
	pc.last = pc.k + pc.depth == p->inner;
	pc.cols = (int)(st->to - pc.col < st->nr ? st->to - pc.col : st->nr);
	return pc;
}

/* Whether a piece's weights are read where they lie, in whole vectors. */
static bool reads_direct(const struct product *p, const struct steps *st, const struct piece *pc)
{
	const bool whole = p->cv->s.panels && st->nr == BP_PANEL && !p->transposed;
	return (whole || p->direct) && pc->cols % p->cv->k->vlen == 0;
}

static void pack(const struct product *p, const struct steps *st, const struct piece *pc, bp_real *panel)
{
	const struct bp_kernels *k = p->cv->k;
	const int nr = (int)st->nr;
	if (!p->transposed) {
		k->pack(panel, nr, p->w + weight_at(p->cv, pc->k, pc->col), weight_ld(p->cv, pc->col), pc->depth,
			pc->cols);
		return;
	}
	const size_t end = pc->k + pc->depth, whole = p->cv->s.panels ? BP_PANEL : p->inner;
	for (size_t at = pc->k, n; at < end; at += n, panel += n * st->nr) {
		n = whole - at % whole < end - at ? whole - at % whole : end - at;
		k->pack_transposed(panel, nr, p->w + weight_at(p->cv, pc->col, at), weight_ld(p->cv, at), n, pc->cols);
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

/* What is asked for while a piece is worked on. */
struct asked {
	const struct product *p;
	struct weights weights;
};

/* Asks for share i of n of it. */
static void ask(void *arg, size_t i, size_t n)
{
	const struct asked *a = arg;
	const struct weights *w = &a->weights;
	const size_t lines = divide_up(w->bytes, BP_ALIGN);
	for (size_t line = i * lines / n; line < (i + 1) * lines / n; line++)
		__builtin_prefetch((const char *)w->at + line * BP_ALIGN, 0, 3);
	if (w->bytes)
		return;
	for (size_t at = w->input + i * w->inputs / n; at < w->input + (i + 1) * w->inputs / n; at++)
		for (size_t o = w->output; o < w->output + w->outputs; o += BP_ALIGN / sizeof *w->at)
			__builtin_prefetch(a->p->w + weight_at(a->p->cv, at, o), 0, 2);
}

/* A piece, where its part of the panel is, and what to ask for meanwhile, unless that is NULL. */
struct step {
	struct piece now;
	const bp_real *b;
	size_t ldb;
	const struct piece *next;
};

/* All tiles of the rows through a piece; the next is asked for line by line by the tiles themselves, where these do so
 * (igemm.h) and it lies together, which is 1 % of a step of a 784-512-256-10 perceptron. */
static void dense_rows(const struct product *p, const struct place *pl, size_t rows, const struct step *s)
{
	const struct bp_kernels *k = p->cv->k;
	const struct piece *pc = &s->now;
	const size_t tiles = divide_up(rows, (size_t)p->tile.mr);
	struct bp_igemm g = {
		.cols = pc->cols,
		.taps = 1,
		.kc = pc->depth,
		.k0 = pc->k,
		.b = s->b,
		.ldb = s->ldb,
		.col = pc->col,
		.bias = pc->last && p->bias ? p->bias + pc->col : NULL,
		.acc = p->acc || !pc->first,
		.relu = pc->last && p->relu,
	};
	struct asked next = {p, s->next ? weights_of(p, s->next) : (struct weights){0}};
	const struct weights *w = &next.weights;
	const bool by_tiles = w->bytes && p->tile.nr > k->tall.nr;
	for (size_t t = 0; t < tiles; t++) {
		const size_t from = t * rows / tiles, asked = t * pc->depth * BP_IGEMM_AHEAD;
		g.rows = (int)((t + 1) * rows / tiles - from);
		g.a = pl->in + from;
		g.c = pl->out + from;
		g.ahead = by_tiles && asked < w->bytes ? (const char *)w->at + asked : NULL;
		k->igemm(&g);
		if (s->next && !by_tiles)
			ask(&next, t, tiles);
	}
}

/* Rows of the batch, and a task's columns of their products. */
struct block {
	size_t first, rows;
	size_t from, to;
};

/* The same for those of the block's rows that are listed. */
static void listed_rows(const struct product *p, const struct block *b, size_t piece, const struct step *s)
{
	const struct piece *pc = &s->now;
	struct asked next = {p, s->next ? weights_of(p, s->next) : (struct weights){0}};
	const struct sparse_product listed = {.lists = &p->sparse,
		.first = b->first,
		.all = {.rows = b->rows,
			.cols = (size_t)pc->cols,
			.a = p->in + b->first * p->inner,
			.lda = p->inner,
			.ldb = s->ldb,
			.c = p->out + b->first * p->cols + pc->col,
			.ldc = p->cols,
			.bias = p->bias ? p->bias + pc->col : NULL,
			.acc = p->acc,
			.relu = p->relu},
		.share = divide_up(b->rows, SHARES),
		.ask = s->next ? ask : NULL,
		.arg = &next};
	bp_sparse_multiply_piece(p->cv->k, &listed, piece, s->b);
}

/* Packs what step i needs packed; *next is memory for the piece that follows. */
static struct step step_at(
	const struct product *p, const struct place *pl, const struct steps *st, size_t i, struct piece *next)
{
	struct step s = {.now = piece_at(p, st, i)};
	const bool direct = reads_direct(p, st, &s.now);
	s.b = direct ? p->w + weight_at(p->cv, s.now.k, s.now.col) : pl->panel;
	s.ldb = direct ? weight_ld(p->cv, s.now.col) : st->nr;
	if (!direct)
		pack(p, st, &s.now, pl->panel);
	if (i + 1 < step_count(p, st)) {
		*next = piece_at(p, st, i + 1);
		s.next = next;
	}
	return s;
}

/* Tiles take the rows that are not listed. Returns how many. */
static size_t dense_block(const struct product *p, const struct place *pl, const struct block *b)
{
	const struct steps st = {b->from, b->to, (size_t)p->tile.nr, product_depth(p->cv->k)};
	size_t rows = 0;
	for (size_t r = b->first; r < b->first + b->rows; r++)
		if (!p->looks || !bp_sparse_listed(&p->sparse, r)) {
			pl->in[rows] = p->in + r * p->inner;
			pl->out[rows++] = p->out + r * p->cols;
		}
	struct piece next;
	for (size_t i = 0; rows && i < step_count(p, &st); i++) {
		const struct step s = step_at(p, pl, &st, i, &next);
		dense_rows(p, pl, rows, &s);
	}
	return rows;
}

static void listed_block(const struct product *p, const struct place *pl, const struct block *b)
{
	const struct steps st = {b->from, b->to, BP_PANEL, SPARSE_DEPTH};
	struct piece next;
	for (size_t i = 0; i < step_count(p, &st); i++) {
		const struct step s = step_at(p, pl, &st, i, &next);
		listed_rows(p, b, i / step_panels(&st), &s);
	}
}

static void product_task(const void *job, size_t i, void *scratch)
{
	const struct product *p = job;
	const struct place pl = place_at(scratch);
	const size_t cut = i % p->cuts, units = divide_up(p->cols, p->unit), first = i / p->cuts * p->block;
	const size_t left = p->n - first, to = (cut + 1) * units / p->cuts * p->unit;
	const struct block b = {.first = first,
		.rows = left < p->block ? left : p->block,
		.from = cut * units / p->cuts * p->unit,
		.to = to < p->cols ? to : p->cols};
	if (dense_block(p, &pl, &b) < b.rows)
		listed_block(p, &pl, &b);
}

static void list_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct product *p = job;
	const size_t first = i * LISTED_ROWS, left = p->n - first, rows = left < LISTED_ROWS ? left : LISTED_ROWS;
	for (size_t r = first; r < first + rows; r++)
		bp_sparse_list(p->cv->k, &p->sparse, r, p->in + r * p->inner, false);
}

/* How many tasks a product is cut into: no more than the threads need, for each reads the rows anew; whoever sums an
 * element does it alike. Against TASKS in any case, a 784-512-256-10 perceptron trains 2 % faster on one thread and 5 %
 * on two (AVX-512). */
size_t bp_linear_tasks(const struct bp_ctx *ctx, size_t work)
{
	const size_t useful = ctx->threads > 1 ? 2 * (size_t)ctx->threads : 1, limit = useful < TASKS ? useful : TASKS;
	const size_t want = work / TASK_WORK;
	return want < 1 ? 1 : want > limit ? limit : want;
}

/* Whether a product looks for rows that are mostly zeros: with fewer columns that costs too much. */
static bool looks(const struct bp_conv *cv, size_t cols)
{
	return cv->s.panels && cols >= 2 * BP_PANEL;
}

static size_t list_bytes(const struct bp_conv *cv, size_t inner, size_t cols)
{
	return looks(cv, cols) ? bp_sparse_bytes(cv->max_batch, inner) : 0;
}

static void product_run(struct product *p, const struct bp_ctx *ctx, void *ws)
{
	const size_t work = p->n * p->inner * p->cols, blocks = divide_up(p->n, ROWS);
	p->looks = looks(p->cv, p->cols);
	p->sparse = bp_sparse_at(ws, p->n, p->inner);
	p->unit = p->looks ? BP_PANEL : (size_t)p->tile.nr;
	const size_t units = divide_up(p->cols, p->unit);
	p->block = round_up(divide_up(p->n, blocks), (size_t)p->tile.mr);
	p->cuts = divide_up(bp_linear_tasks(ctx, work), blocks);
	p->cuts = p->cuts < units ? p->cuts : units;
	p->direct = !p->transposed && p->n <= (size_t)DIRECT_TILES * p->cv->k->tall.mr;
	const struct phase phases[] = {{p->looks ? divide_up(p->n, LISTED_ROWS) : 0, list_task},
		{divide_up(p->n, p->block) * p->cuts, product_task}};
	char *const scratch = (char *)ws + list_bytes(p->cv, p->inner, p->cols);
	const struct work w = {p, phases, 2, scratch, product_scratch(p->cv)};
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

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return cv->linear && cv->fold == 1;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	if (pass == PASS_WEIGHTS)
		return bp_linear_weights_workspace(cv, threads);
	return (pass == PASS_FORWARD ? list_bytes(cv, c, oc) : list_bytes(cv, oc, c)) +
	       (size_t)threads * product_scratch(cv);
}

const struct way bp_way_linear = {
	.fits = fits,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = bp_linear_weights_run,
	.data = data,
};
