/*
 * gemm.c - one direction of a convolution (forward, or backward-data) as an indirect GEMM over its lattices. Called by
 * conv.c on the trainer's thread; its tasks run on any.
 *
 * First the weights are packed into panels of target channels. Then each task takes a block of points and a range of
 * units (a unit is a panel of a group), makes the block's row pointers once (or gathers its patches), and for each
 * unit sums K piece by piece: a piece of a panel stays in L1 while all tiles of the block pass over it. An element's
 * sum is thus cut by the shape alone. Where weights are more than the map, a task takes one unit and all blocks, and
 * packs that unit itself (side.c).
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/igemm.h"

#include <string.h>

enum {
	PACK_ROWS = 512,    /* rows of B that a packing task makes, about */
	TASK_WORK = 500000, /* multiply-adds that are worth a task */
	TASKS = 64,         /* no need of more */
	DIRECT_TILES = 4    /* with so few tiles of rows, weights are read where they lie: packing would not pay */
};

struct job {
	const struct bp_conv *cv;
	const struct side *sd;
	struct gemm_call call;
	bp_real *packed, *zeros;
	size_t *pack_starts, *block_starts; /* of each lattice or zone, its first task; one more: how many there are */
	bool direct;                        /* weights are not packed */
	size_t block;                       /* points of a task */
	size_t cuts;                        /* ranges of units */
};

/* Part of K: taps [t0, t0 + nt) and of each, channels [c0, c0 + nc). Either nt is 1 or all channels are in it. */
struct piece {
	size_t t0, nt, c0, nc;
};

static size_t piece_count(size_t taps, size_t kc, size_t depth)
{
	if (taps == 0)
		return 1; /* the empty sum still has to be stored */
	return kc >= depth ? taps * divide_up(kc, depth) : divide_up(taps, depth / kc);
}

static struct piece piece_at(size_t taps, size_t kc, size_t depth, size_t i)
{
	if (kc < depth) {
		size_t many = depth / kc, t0 = i * many;
		return (struct piece){t0, taps - t0 < many ? taps - t0 : many, 0, kc};
	}
	size_t cuts = divide_up(kc, depth), length = divide_up(kc, cuts), c0 = i % cuts * length;
	return (struct piece){i / cuts, taps ? 1 : 0, c0, c0 + length < kc ? length : kc - c0};
}

/* The unit's first target channel and how many it has. */
static int unit_channel(const struct job *j, size_t unit, int *ret_cols)
{
	const struct side *sd = j->sd;
	int group = (int)(unit / sd->panels), at = (int)(unit % sd->panels) * sd->tile.nr;
	*ret_cols = least(sd->ng - at, sd->tile.nr);
	return group * sd->ng + at;
}

/* The same for idot: each target's one behind the other. */
static void pack_columns(const struct job *j, const struct lattice *l, struct piece p, bp_real *ret)
{
	const struct side *sd = j->sd;
	const size_t oc = j->cv->s.oc, kg = sd->kg, ng = sd->ng, length = lattice_taps(l) * kg;
	for (size_t t = p.t0; t < p.t0 + p.nt; t++) {
		const size_t tap = lattice_kernel_tap(j->cv, l, t);
		for (size_t i = 0; i < ng; i++)
			for (size_t c = p.c0; c < p.c0 + p.nc; c++)
				ret[i * length + t * kg + c] =
					j->call.w[sd->transposed ? (tap * ng + i) * oc + c : (tap * kg + c) * oc + i];
	}
}

/* ret: the unit's weights of the lattice. */
static void pack_piece(const struct job *j, const struct lattice *l, size_t unit, struct piece p, bp_real *ret)
{
	const struct side *sd = j->sd;
	const struct bp_kernels *k = j->cv->k;
	const size_t oc = j->cv->s.oc;
	int cols, first = unit_channel(j, unit, &cols), group = first / sd->ng;
	if (sd->dot_rows) {
		pack_columns(j, l, p, ret);
		return;
	}
	for (size_t t = p.t0; t < p.t0 + p.nt; t++) {
		bp_real *dst = ret + (t * sd->kg + p.c0) * sd->tile.nr;
		size_t tap = lattice_kernel_tap(j->cv, l, t);
		if (sd->transposed) {
			size_t row = tap * sd->ng + (size_t)(first % sd->ng);
			k->pack_transposed(
				dst, sd->tile.nr, j->call.w + row * oc + (size_t)group * sd->kg + p.c0, oc, p.nc, cols);
		} else {
			k->pack(dst, sd->tile.nr, j->call.w + (tap * sd->kg + p.c0) * oc + first, oc, p.nc, cols);
		}
	}
}

static size_t pack_tasks(const struct job *j, const struct lattice *l)
{
	size_t taps = lattice_taps(l);
	return taps ? side_units(j->cv, j->sd) * piece_count(taps, j->sd->kg, PACK_ROWS) : 0;
}

/* Which of n lattices task i belongs to, by halving: a large stride has as many as the map has pixels. *i becomes its
 * place among the lattice's tasks. */
static size_t lattice_of(const size_t *starts, int n, size_t *i)
{
	size_t low = 0, high = (size_t)n; /* starts[low] <= *i < starts[high] */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (starts[middle] <= *i)
			low = middle;
		else
			high = middle;
	}
	*i -= starts[low];
	return low;
}

static void pack_task(const void *job, size_t i, void *scratch)
{
	(void)scratch;
	const struct job *j = job;
	const struct lattice *l = &j->sd->lattices[lattice_of(j->pack_starts, j->sd->nlattices, &i)];
	size_t taps = lattice_taps(l), pieces = piece_count(taps, j->sd->kg, PACK_ROWS), unit = i / pieces;
	bp_real *ret = j->packed + l->packed + unit * taps * j->sd->kg * j->sd->tile.nr;
	pack_piece(j, l, unit, piece_at(taps, j->sd->kg, PACK_ROWS, i % pieces), ret);
}

/* What a task's tiles have in common. a and c point to a row for each point of the block. */
struct block {
	const struct job *j;
	const struct lattice *l;
	const bp_real *weights; /* of the lattice, from unit `base` on */
	size_t base;
	size_t points;
	const bp_real **a;
	bp_real **c;
	size_t stride;   /* of a, from tap to tap */
	size_t taps, kc; /* K as the tiles see it: joined, a tap is a line of them; with patches, one tap of all */
	size_t run;      /* of taps whose weights follow on each other */
	size_t k0;       /* of the group's channels in a row */
};

static void block_unit(const struct block *b, size_t unit)
{
	const struct job *j = b->j;
	const struct bp_kernels *k = j->cv->k;
	int cols, first = unit_channel(j, unit, &cols);
	const size_t pieces = piece_count(b->run, b->kc, j->sd->depth), tiles = divide_up(b->points, gemm_rows(j->sd));
	const size_t runs = b->run ? b->taps / b->run : 1, kg = (size_t)j->sd->kg;
	const bool dots = j->sd->dot_rows > 0;
	const size_t row_step = dots ? 1 : j->direct ? (size_t)j->cv->s.oc : (size_t)j->sd->tile.nr;
	const bp_real *weights =
		j->direct ? j->call.w + first : b->weights + (unit - b->base) * b->l->packed_taps * kg * row_step;
	const size_t rows = b->points / tiles, longer = b->points % tiles; /* tiles of a row more */
	for (size_t i = 0; i < runs * pieces; i++) {
		const struct piece pc = piece_at(b->run, b->kc, j->sd->depth, i % pieces);
		const size_t line = i / pieces, row = (b->l->first_tap + line * b->l->tap_line) * kg + pc.t0 * b->kc;
		const bool last = i == runs * pieces - 1;
		struct bp_igemm p = {
			.cols = cols,
			.taps = pc.nt,
			.kc = pc.nc,
			.a_stride = b->stride,
			.k0 = b->k0 + pc.c0,
			.b = weights + (row + pc.c0) * row_step,
			.ldb = dots ? b->l->packed_taps * kg : row_step,
			.col = (size_t)first,
			.bias = last && j->call.bias ? j->call.bias + first : NULL,
			.acc = j->call.acc || i > 0,
			.relu = last && j->call.relu,
		};
		for (size_t t = 0, from = 0; t < tiles; t++, from += (size_t)p.rows) {
			p.rows = (int)(rows + (t < longer));
			p.a = b->a + (line * b->run + pc.t0) * b->stride + from;
			p.c = b->c + from;
			if (dots)
				k->idot(&p);
			else
				k->igemm(&p);
		}
	}
}

/* The block's rows for the units of one group: pointers into the map, or gathered patches behind them. */
static void block_rows(struct block *b, size_t first, int group)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const size_t batch = j->call.n * sd->in_h * sd->in_w * sd->in_c;
	b->taps = lattice_taps(b->l);
	b->kc = sd->kg;
	b->k0 = (size_t)group * sd->kg;
	b->run = (size_t)b->l->nkx == b->l->tap_line ? b->taps : (size_t)b->l->nkx;
	if (sd->joined && b->taps) {
		b->kc *= (size_t)b->l->nkx;
		b->run /= (size_t)b->l->nkx;
		b->taps = (size_t)b->l->nky;
	}
	if (!sd->patches)
		return;
	bp_real *values = (bp_real *)(b->c + sd->block);
	struct patches pt = {j->call.in + b->k0, j->call.in + batch, j->zeros, values};
	bp_lattice_patches(j->cv, sd, b->l, first, b->points, &pt);
	b->kc *= b->taps;
	b->k0 = 0;
	b->run = b->taps = b->taps ? 1 : 0;
	for (size_t i = 0; i < b->points; i++)
		b->a[i] = values + i * b->kc;
}

static size_t block_tasks(const struct job *j, const struct lattice *l)
{
	return divide_up(j->call.n * lattice_points(l), j->block) * j->cuts;
}

/* A block of points of a zone, from point `first` on, through units [unit, end). b has the job, the zone and its
 * weights.
 */
static void block_run(struct block *b, size_t first, size_t unit, size_t end, void *scratch)
{
	const struct job *j = b->j;
	const struct side *sd = j->sd;
	const size_t left = j->call.n * lattice_points(b->l) - first;
	struct lattice seen = *b->l;
	if (sd->joined && seen.nkx) /* a line of taps is read from its first one on */
		seen.nkx = 1;
	const size_t tables = sd->patches ? 1 : most((int)lattice_taps(&seen), 1);
	b->points = left < j->block ? left : j->block;
	b->a = scratch;
	b->c = (bp_real **)(b->a + tables * sd->block);
	b->stride = sd->block;
	struct rows r = {j->call.in, j->zeros, j->call.out, sd->patches ? NULL : b->a, b->c, b->stride};
	bp_lattice_rows(sd, &seen, first, b->points, &r);
	int group = -1;
	for (size_t u = unit; u < end; u++) {
		if ((int)(u / sd->panels) != group) {
			group = (int)(u / sd->panels);
			block_rows(b, first, group);
		}
		block_unit(b, u);
	}
}

static void block_task(const void *job, size_t i, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const struct lattice *l = &sd->zones[lattice_of(j->block_starts, sd->nzones, &i)];
	const size_t units = side_units(j->cv, sd), cut = i % j->cuts;
	struct block b = {.j = j, .l = l, .weights = j->packed + l->packed};
	block_run(&b, i / j->cuts * j->block, cut * units / j->cuts, (cut + 1) * units / j->cuts, scratch);
}

/* All blocks through one unit, which is packed first. */
static void unit_task(const void *job, size_t unit, void *scratch)
{
	const struct job *j = job;
	const struct side *sd = j->sd;
	const size_t units = side_units(j->cv, sd), bytes = round_up(sd->unit * sizeof(bp_real), BP_ALIGN);
	bp_real *packed = (bp_real *)((char *)scratch + sd->scratch - bytes);
	for (const struct lattice *l = sd->lattices; l < sd->lattices + sd->nlattices; l++)
		pack_piece(
			j, l, unit, (struct piece){0, lattice_taps(l), 0, (size_t)sd->kg}, packed + l->packed / units);
	for (const struct lattice *l = sd->zones; l < sd->zones + sd->nzones; l++)
		for (size_t first = 0; first < j->call.n * lattice_points(l); first += j->block) {
			struct block b = {.j = j, .l = l, .weights = packed + l->packed / units, .base = unit};
			block_run(&b, first, unit, unit + 1, scratch);
		}
}

/* Elements of zeros that stand for what lies outside a map. */
static size_t zeros_size(const struct bp_conv *cv, const struct side *sd)
{
	int line = 0;
	for (int i = 0; i < sd->nlattices; i++)
		line = most(line, sd->lattices[i].nkx * sd->kg);
	return (size_t)most(sd->in_c, line) + cv->k->vlen;
}

/* Of the weights that are packed ahead. */
static size_t packed_bytes(const struct side *sd)
{
	return sd->unit ? 0 : round_up(sd->packed * sizeof(bp_real), BP_ALIGN);
}

static size_t starts_bytes(const struct side *sd)
{
	return round_up(((size_t)sd->nlattices + sd->nzones + 2) * sizeof(size_t), BP_ALIGN);
}

static size_t side_workspace(const struct bp_conv *cv, const struct side *sd, int threads)
{
	return packed_bytes(sd) + round_up(zeros_size(cv, sd) * sizeof(bp_real), BP_ALIGN) + starts_bytes(sd) +
	       (size_t)threads * sd->scratch;
}

/* How the points and units are cut: enough tasks for many threads, none too small, blocks of whole tiles. */
static void cut_work(struct job *j, size_t multiply_adds)
{
	const struct side *sd = j->sd;
	size_t points = 0, blocks = 0, units = side_units(j->cv, sd), want = multiply_adds / TASK_WORK;
	want = want < 1 ? 1 : want > TASKS ? TASKS : want;
	for (int i = 0; i < sd->nzones; i++) {
		points += j->call.n * lattice_points(&sd->zones[i]);
		blocks += divide_up(j->call.n * lattice_points(&sd->zones[i]), sd->block);
	}
	j->cuts = divide_up(want, blocks);
	j->cuts = j->cuts < units ? j->cuts : units;
	size_t block = round_up(divide_up(points, divide_up(want, j->cuts)), gemm_rows(sd));
	j->block = block < (size_t)sd->block ? block : (size_t)sd->block;
}

/* Numbers the tasks of packing and of blocks. */
static void number_tasks(struct job *j, size_t *ret_pack, size_t *ret_blocks)
{
	const struct side *sd = j->sd;
	size_t pack = 0, blocks = 0;
	for (int i = 0; i < sd->nlattices; i++) {
		j->pack_starts[i] = pack;
		pack += j->direct ? 0 : pack_tasks(j, &sd->lattices[i]);
	}
	for (int i = 0; i < sd->nzones; i++) {
		j->block_starts[i] = blocks;
		blocks += block_tasks(j, &sd->zones[i]);
	}
	*ret_pack = j->pack_starts[sd->nlattices] = pack;
	*ret_blocks = j->block_starts[sd->nzones] = blocks;
}

static void run(const struct bp_conv *cv, const struct side *sd, const struct bp_ctx *ctx, const struct gemm_call *call,
	void *ws)
{
	struct job j = {.cv = cv, .sd = sd, .call = *call, .packed = ws};
	j.zeros = (bp_real *)((char *)ws + packed_bytes(sd));
	size_t zeros = zeros_size(cv, sd), rows = 0, pack, blocks;
	char *next = (char *)j.zeros + round_up(zeros * sizeof(bp_real), BP_ALIGN);
	memset(j.zeros, 0, zeros * sizeof(bp_real));
	j.pack_starts = (size_t *)next;
	j.block_starts = j.pack_starts + sd->nlattices + 1;
	for (int i = 0; i < sd->nzones; i++)
		rows += call->n * lattice_points(&sd->zones[i]) * lattice_taps(&sd->zones[i]);
	size_t work = rows * sd->kg * sd->ng * cv->s.groups;
	cut_work(&j, work);
	size_t points = call->n * lattice_points(sd->lattices);
	j.direct = !sd->transposed && !sd->dot_rows && cv->s.groups == 1 && sd->ng % cv->k->vlen == 0 &&
		   points <= (size_t)DIRECT_TILES * cv->k->tall.mr;
	const bool own = sd->unit && !j.direct;
	j.block = own ? (size_t)sd->block : j.block;
	number_tasks(&j, &pack, &blocks);
	const struct phase ahead[] = {{pack, pack_task}, {blocks, block_task}};
	const struct phase units[] = {{side_units(cv, sd), unit_task}};
	struct work w = {&j, own ? units : ahead, own ? 1 : 2, next + starts_bytes(sd), sd->scratch};
	bp_work_run(ctx, work, &w);
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)cv, (void)pass;
	return true;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	if (pass == PASS_WEIGHTS)
		return bp_weights_workspace(cv, threads);
	return side_workspace(cv, pass == PASS_FORWARD ? &cv->forward : &cv->backward, threads);
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

const struct way bp_way_gemm = {
	.fits = fits,
	.plan = bp_weights_plan,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = bp_weights_run,
	.data = data,
};
