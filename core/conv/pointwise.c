/*
 * pointwise.c - the passes of a 1x1 convolution without stride or padding, on a map of many pixels. Called by conv.c on
 * the trainer's thread; its tasks run on any.
 *
 * Rows are pixels, one after the other in memory, so no lattice is needed. A task takes blocks of rows that stay in L2
 * while all that has to be done with them is done: forward applies the batch norm before, multiplies, and takes the
 * statistics for the norm after; backward takes the norm after off dy, then makes dx, the sums for the norm before, and
 * the block's share of dW.
 *
 * Where vectors are wide, pixels whose channels are mostly zeros, as a ReLU leaves them, are multiplied by the places
 * of what is not (sparse.h), each looked at for itself; and so are the channels of a block in its share of dW.
 */
#include "conv/sparse.h"

#include "base/mem.h"
#include "kernels/igemm.h"
#include "kernels/outer.h"

#include <string.h>

enum {
	BLOCK_BYTES = 256 << 10, /* of a block's rows of x and dy */
	BLOCK_ROWS = 192,
	BLOCK_TILES = 4,          /* at least */
	PARTIAL_BYTES = 16 << 20, /* of all partial sums of dW */
	LARGEST = 1 << 18,        /* weights: more leave too few partial sums */
	FORWARD_BLOCKS = 8,       /* of a task */
	LISTED_FROM = 64,         /* elements of a row that is looked at: of shorter ones too little is left out */
	CHUNKS = 32
};

struct job {
	const struct bp_conv *cv;
	struct bp_conv_call call;
	size_t rows, blocks;
	struct chunks chunks;
	bp_real *packed;
};

/* C = A B of a block of rows: B is packed in panels of tile.nr columns of k rows. */
struct product {
	size_t rows, k, n;
	struct bp_gemm_tile tile;
	const bp_real *a, *b, *bias;
	bp_real *c;
	bool acc, relu;
	struct ahead *ahead;
	void *lists; /* memory for them, or NULL */
};

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	return cv->linear && cv->fold > 1 && (size_t)cv->s.c * cv->s.oc <= LARGEST;
}

/* Panels of the targets of a direction. */
static size_t panel_count(const struct side *sd)
{
	return divide_up(sd->ng, sd->tile.nr);
}

/* Whether a product of rows of k with n columns is worth looking at them. */
static bool looks(struct bp_gemm_tile tile, size_t k, size_t n)
{
	return tile.nr == BP_SPMM_COLS && k >= LISTED_FROM && n > BP_SPMM_COLS;
}

/* Of a block's x, transposed: what is listed for dW. */
static size_t turned_bytes(const struct bp_conv *cv)
{
	return round_up(cv->s.c * cv->rows.block * sizeof(bp_real), BP_ALIGN);
}

/* For the rows of forward or of dx, or for dW. */
static size_t list_bytes(const struct bp_conv *cv)
{
	const size_t c = cv->s.c, oc = cv->s.oc, block = cv->rows.block;
	const bool forward = looks(cv->forward.tile, c, oc), data = looks(cv->backward.tile, oc, c);
	const size_t rows = forward || data ? bp_sparse_bytes(block, c > oc ? c : oc) : 0;
	const size_t weights = forward ? turned_bytes(cv) + bp_sparse_bytes(c, block) : 0;
	return rows > weights ? rows : weights;
}

static void *lists_of(const struct bp_conv *cv, void *scratch)
{
	return (char *)scratch + cv->rows.scratch - cv->rows.lists;
}

static void plan(struct bp_conv *cv)
{
	const size_t c = cv->s.c, oc = cv->s.oc, mr = cv->k->tall.mr;
	const size_t nr = cv->forward.tile.nr, turned_nr = cv->backward.tile.nr;
	size_t block = BLOCK_BYTES / ((c + oc) * sizeof(bp_real)) / mr * mr;
	size_t bytes = panel_count(&cv->forward) * nr * c, turned = panel_count(&cv->backward) * turned_nr * oc;
	struct rows_plan *p = &cv->rows;
	block = block > BLOCK_ROWS / mr * mr ? BLOCK_ROWS / mr * mr : block;
	p->block = block < BLOCK_TILES * mr ? BLOCK_TILES * mr : block;
	p->parts = divide_up(cv->max_batch * cv->fold, p->block);
	size_t fit = PARTIAL_BYTES / (c * oc * sizeof(bp_real));
	p->chunks = fit < CHUNKS ? fit : CHUNKS;
	p->packed = round_up((bytes > turned ? bytes : turned) * sizeof(bp_real), BP_ALIGN);
	p->scratch = round_up(2 * p->block * sizeof(void *) + p->block * (c + oc + nr) * sizeof(bp_real), BP_ALIGN);
	p->lists = list_bytes(cv);
	p->scratch += p->lists;
}

static size_t part_bytes(const struct bp_conv *cv, size_t elements)
{
	size_t chunks = cv->rows.parts < cv->rows.chunks ? cv->rows.parts : cv->rows.chunks;
	return round_up(chunks * elements * sizeof(bp_real), BP_ALIGN);
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	(void)pass;
	return cv->rows.packed + part_bytes(cv, (size_t)cv->s.c * cv->s.oc) + part_bytes(cv, cv->s.oc) +
	       (size_t)threads * cv->rows.scratch;
}

static struct job start(const struct bp_conv *cv, const struct bp_conv_call *call, void *ws)
{
	struct job j = {.cv = cv, .call = *call, .rows = call->n * cv->fold, .packed = ws};
	j.blocks = divide_up(j.rows, cv->rows.block);
	j.chunks = (struct chunks){.n = j.blocks < cv->rows.chunks ? j.blocks : cv->rows.chunks,
		.size = (size_t)cv->s.c * cv->s.oc,
		.channels = cv->s.oc,
		.dw = (bp_real *)((char *)ws + cv->rows.packed),
		.ret_dw = call->dw,
		.ret_db = call->db};
	j.chunks.db = (bp_real *)((char *)j.chunks.dw + part_bytes(cv, j.chunks.size));
	return j;
}

static void *scratch_of(const struct job *j)
{
	return (char *)j->chunks.db + part_bytes(j->cv, j->cv->s.oc);
}

static size_t block_rows(const struct job *j, size_t block)
{
	size_t left = j->rows - block * j->cv->rows.block;
	return left < j->cv->rows.block ? left : j->cv->rows.block;
}

/* Tile by tile; K in pieces that leave a panel's piece in L1. */
static void dense_rows(const struct bp_conv *cv, const struct product *p, size_t rows, const bp_real **a, bp_real **c)
{
	const struct bp_kernels *k = cv->k;
	const size_t nr = p->tile.nr, depth = product_depth(k), tiles = divide_up(rows, p->tile.mr);
	const size_t each = rows / tiles, longer = rows % tiles; /* tiles of a row more */
	for (size_t col = 0; col < p->n; col += nr) {
		for (size_t k0 = 0; k0 < p->k; k0 += depth) {
			const bool last = k0 + depth >= p->k;
			struct bp_igemm g = {
				.cols = (int)(p->n - col < nr ? p->n - col : nr),
				.taps = 1,
				.kc = last ? p->k - k0 : depth,
				.k0 = k0,
				.b = p->b + col * p->k + k0 * nr,
				.ldb = nr,
				.col = col,
				.bias = last && p->bias ? p->bias + col : NULL,
				.acc = p->acc || k0 > 0,
				.relu = last && p->relu,
			};
			for (size_t t = 0, from = 0; t < tiles; t++, from += (size_t)g.rows) {
				g.rows = (int)(each + (t < longer));
				g.a = a + from;
				g.c = c + from;
				k->igemm(&g);
				bp_ahead_ask(p->ahead);
			}
		}
	}
}

static void ask(void *ahead, size_t i, size_t n)
{
	(void)i, (void)n;
	bp_ahead_ask(ahead);
}

/* tables: of 2 * rows pointers, to the rows that tiles take. */
static void multiply(const struct bp_conv *cv, const struct product *p, void *tables)
{
	const bool look = looks(p->tile, p->k, p->n);
	const struct sparse lists = bp_sparse_at(p->lists, p->rows, p->k);
	const size_t nr = p->tile.nr;
	const bp_real **a = tables;
	bp_real **c = (bp_real **)(a + cv->rows.block);
	size_t dense = 0;
	for (size_t i = 0; i < p->rows; i++)
		if (!look || !bp_sparse_list(cv->k, &lists, i, p->a + i * p->k, false)) {
			a[dense] = p->a + i * p->k;
			c[dense++] = p->c + i * p->n;
		}
	if (dense)
		dense_rows(cv, p, dense, a, c);
	for (size_t col = 0; dense < p->rows && col < p->n; col += nr) {
		const struct sparse_product listed = {.lists = &lists,
			.all = {.rows = p->rows,
				.cols = p->n - col < nr ? p->n - col : nr,
				.a = p->a,
				.lda = p->k,
				.b = p->b + col * p->k,
				.ldb = nr,
				.c = p->c + col,
				.ldc = p->n,
				.bias = p->bias ? p->bias + col : NULL,
				.acc = p->acc,
				.relu = p->relu},
			.share = p->tile.mr,
			.ask = ask,
			.arg = p->ahead};
		bp_sparse_multiply(cv->k, &listed);
	}
}

static void pack_forward(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	const int nr = j->cv->forward.tile.nr;
	const size_t c = j->cv->s.c, oc = j->cv->s.oc, at = i * nr;
	j->cv->k->pack(j->packed + at * c, nr, j->call.w + at, oc, c, least((int)(oc - at), nr));
}

static void pack_backward(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	const int nr = j->cv->backward.tile.nr;
	const size_t c = j->cv->s.c, oc = j->cv->s.oc, at = i * nr;
	j->cv->k->pack_transposed(j->packed + at * oc, nr, j->call.w + at * oc, oc, oc, least((int)(c - at), nr));
}

/* The block's rows of x, with the norm before applied, for which room is needed. */
static const bp_real *load_x(const struct job *j, size_t block, bp_real *room)
{
	const size_t c = j->cv->s.c;
	const bp_real *x = j->call.x + block * j->cv->rows.block * c;
	if (!j->call.before)
		return x;
	const struct bp_norm p = norm_of(j->call.before, block_rows(j, block));
	j->cv->k->norm_apply(&p, x, room);
	return room;
}

/* Tiles of a product of so many rows. */
static size_t tile_count(const struct side *sd, size_t rows)
{
	return divide_up(rows, sd->tile.mr) * panel_count(sd);
}

static void forward_block(const struct job *j, size_t i, bool more, void *scratch)
{
	const struct bp_conv *cv = j->cv;
	const size_t c = cv->s.c, oc = cv->s.oc, block = cv->rows.block;
	struct ahead ahead = {0};
	bp_real *room = (bp_real *)((void **)scratch + 2 * block), *y = j->call.y + i * block * oc;
	struct product p = {
		.rows = block_rows(j, i),
		.k = c,
		.n = oc,
		.tile = cv->forward.tile,
		.a = load_x(j, i, room),
		.b = j->packed,
		.bias = j->call.bias,
		.c = y,
		.relu = j->call.act == BP_ACT_RELU,
		.ahead = &ahead,
		.lists = lists_of(cv, scratch),
	};
	if (more) {
		const size_t rows = block_rows(j, i + 1), times = tile_count(&cv->forward, p.rows);
		bp_ahead_add(&ahead, j->call.x + (i + 1) * block * c, rows * c, times);
		bp_ahead_add(&ahead, y + block * oc, rows * oc, times);
	}
	multiply(cv, &p, scratch);
	if (j->call.parts) {
		bp_real *part = j->call.parts + i * BP_NORM_STATS * oc;
		cv->k->norm_stats(p.rows, oc, y, false, (bp_real *const[]){part, part + oc, part + 2 * oc});
	}
}

static void forward_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const size_t first = i * FORWARD_BLOCKS, left = j->blocks - first;
	const size_t end = first + (left < FORWARD_BLOCKS ? left : FORWARD_BLOCKS);
	for (size_t b = first; b < end; b++)
		forward_block(j, b, b + 1 < end, scratch);
}

static void block_dx(const struct job *j, size_t block, const bp_real *g, struct ahead *ahead, void *scratch)
{
	const struct bp_conv *cv = j->cv;
	const size_t c = cv->s.c, at = block * cv->rows.block * c;
	struct product p = {
		.rows = block_rows(j, block),
		.k = cv->s.oc,
		.n = c,
		.tile = cv->backward.tile,
		.a = g,
		.b = j->packed,
		.c = j->call.dx + at,
		.acc = j->call.accumulate,
		.ahead = ahead,
		.lists = lists_of(cv, scratch),
	};
	multiply(cv, &p, scratch);
	if (j->call.parts) {
		bp_real *part = j->call.parts + block * BP_NORM_STATS * c;
		const struct bp_norm n = norm_of(j->call.before, p.rows);
		cv->k->norm_grad_sums(&n, j->call.x + at, p.c, false, part, part + c);
	}
}

struct dw_block {
	size_t rows;
	const bp_real *x, *g;
	bool acc;
	bp_real *dw, *panel; /* panel: scratch for rows x nr */
	struct ahead *ahead;
	void *lists; /* memory for what is listed of x */
};

/* Lists the block's channels, from x transposed, which is returned; or NULL where there is too little to leave out. */
static const bp_real *list_channels(const struct bp_conv *cv, const struct dw_block *d, struct sparse *ret)
{
	const size_t c = cv->s.c;
	double share;
	if (!looks(cv->forward.tile, c, cv->s.oc) || !bp_sparse_pays(cv->k, d->rows, c, d->x, &share))
		return NULL;
	bp_real *turned = d->lists;
	*ret = bp_sparse_at((char *)d->lists + turned_bytes(cv), c, d->rows);
	cv->k->transpose(d->rows, c, d->x, false, turned);
	for (size_t i = 0; i < c; i++)
		bp_sparse_list(cv->k, ret, i, turned + i * d->rows, true);
	return turned;
}

/* dw += (or =, without acc) the block's x transposed times g. A panel of g is packed, because every tile reads it. */
static void block_dw(const struct bp_conv *cv, const struct dw_block *d)
{
	const size_t c = cv->s.c, oc = cv->s.oc, nr = cv->forward.tile.nr, tiles = divide_up(c, cv->forward.tile.mr);
	const struct bp_run run = {d->x, 0, d->rows};
	struct sparse lists;
	const bp_real *turned = list_channels(cv, d, &lists);
	for (size_t col = 0; col < oc; col += nr) {
		const size_t cols = oc - col < nr ? oc - col : nr;
		cv->k->pack(d->panel, (int)nr, d->g + col, oc, d->rows, (int)cols);
		if (turned) {
			const struct sparse_product listed = {.lists = &lists,
				.all = {.rows = c,
					.cols = cols,
					.a = turned,
					.lda = d->rows,
					.b = d->panel,
					.ldb = nr,
					.c = d->dw + col,
					.ldc = oc,
					.acc = d->acc},
				.share = cv->forward.tile.mr,
				.ask = ask,
				.arg = d->ahead};
			bp_sparse_multiply(cv->k, &listed);
			continue;
		}
		struct bp_outer p = {
			.cols = (int)cols,
			.nruns = 1,
			.runs = &run,
			.x_step = c,
			.dy = d->panel,
			.dy_step = nr,
			.ldc = oc,
			.acc = d->acc,
		};
		for (size_t t = 0; t < tiles; t++) {
			p.x_off = t * c / tiles;
			p.rows = (int)((t + 1) * c / tiles - p.x_off);
			p.c = d->dw + p.x_off * oc + col;
			cv->k->outer(&p);
			bp_ahead_ask(d->ahead);
		}
	}
}

/* All that the next block reads, while this one is worked on. */
static void backward_ahead(const struct job *j, size_t block, struct ahead *ret)
{
	const struct bp_conv *cv = j->cv;
	const size_t rows = block_rows(j, block + 1), at = (block + 1) * cv->rows.block, c = cv->s.c, oc = cv->s.oc;
	size_t times = j->call.dx ? tile_count(&cv->backward, rows) : 0;
	times += j->call.dw ? panel_count(&cv->forward) * divide_up(c, cv->forward.tile.mr) : 0;
	bp_ahead_add(ret, j->call.dy + at * oc, rows * oc, times);
	bp_ahead_add(ret, j->call.after ? j->call.y + at * oc : NULL, rows * oc, times);
	bp_ahead_add(ret, j->call.dw ? j->call.x + at * c : NULL, rows * c, times);
	bp_ahead_add(ret, j->call.dx ? j->call.dx + at * c : NULL, rows * c, times);
}

/* A chunk of blocks: dx of each, and their sum of dW. */
static void backward_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct bp_conv *cv = j->cv;
	const size_t c = cv->s.c, oc = cv->s.oc, block = cv->rows.block, first = i * j->blocks / j->chunks.n;
	bp_real *x_room = (bp_real *)((void **)scratch + 2 * block), *g_room = x_room + block * c;
	bp_real *panel = g_room + block * oc, *dw = chunk_dw(&j->chunks, i), *db = chunk_db(&j->chunks, i);
	const size_t end = (i + 1) * j->blocks / j->chunks.n;
	for (size_t b = first; b < end; b++) {
		const size_t rows = block_rows(j, b), at = b * block * oc;
		struct ahead ahead = {0};
		if (b + 1 < end)
			backward_ahead(j, b, &ahead);
		const bp_real *g = j->call.dy + at;
		if (j->call.after) {
			const struct bp_norm p = norm_of(j->call.after, rows);
			cv->k->norm_grad(&p, j->call.y + at, g, false, g_room);
			g = g_room;
		}
		if (j->call.dw) {
			const bp_real *x = load_x(j, b, x_room);
			block_dw(cv,
				&(struct dw_block){rows, x, g, b > first, dw, panel, &ahead, lists_of(cv, scratch)});
		}
		if (j->call.db)
			cv->k->column_sums(rows, oc, g, oc, b > first, db);
		if (j->call.dx)
			block_dx(j, b, g, &ahead, scratch);
	}
}

static void sum_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	bp_chunks_sum(j->cv->k, &j->chunks, i);
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct job j = start(cv, call, ws);
	const struct phase phases[] = {
		{panel_count(&cv->forward), pack_forward}, {divide_up(j.blocks, FORWARD_BLOCKS), forward_task}};
	struct work w = {&j, phases, 2, scratch_of(&j), cv->rows.scratch};
	bp_work_run(ctx, j.rows * cv->s.c * cv->s.oc, &w);
}

static void backward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct job j = start(cv, call, ws);
	const struct phase phases[] = {
		{call->dx ? panel_count(&cv->backward) : 0, pack_backward},
		{j.chunks.n, backward_task},
		{bp_chunks_tasks(&j.chunks), sum_task},
	};
	struct work w = {&j, phases, 3, scratch_of(&j), cv->rows.scratch};
	bp_work_run(ctx, j.rows * j.chunks.size, &w);
}

static size_t max_parts(const struct bp_conv *cv, bool backward)
{
	(void)backward;
	return cv->rows.parts;
}

static size_t parts(const struct bp_conv *cv, size_t n, bool backward)
{
	(void)backward;
	return divide_up(n * cv->fold, cv->rows.block);
}

static size_t part_rows(const struct bp_conv *cv, size_t n, size_t part)
{
	size_t left = n * cv->fold - part * cv->rows.block;
	return left < cv->rows.block ? left : cv->rows.block;
}

static const struct way_norms norms = {true, max_parts, parts, part_rows};
const struct way bp_way_pointwise = {
	.fits = fits,
	.plan = plan,
	.workspace = workspace,
	.forward = forward,
	.backward = backward,
	.norms = &norms,
};
