/*
 * conv.c - plans of convolutions and their three passes (conv.h). Called by layers, on the trainer's thread.
 */
#include "conv/plan.h"

#include "base/mem.h"

#include <stdlib.h>

enum {
	PATCH_CHANNELS = 8,      /* with fewer channels in a group, patches are gathered */
	PATCH_LINES = 64,        /* BP_PATCH_LINES: of the widest kernel that is gathered */
	PATCH_BYTES = 24 << 10,  /* of a block's patches: they stay in L1 beside a panel */
	BLOCK_BYTES = 128 << 10, /* of a block's sources: they stay in L2 */
	TABLE_BYTES = 64 << 10,  /* of a block's row pointers, about */
	BLOCK_TILES = 32,
	PANEL_BYTES = 16 << 10 /* of a piece of a packed panel: half of L1 */
};

static int divide_ceil(int a, int b)
{
	return a >= 0 ? (a + b - 1) / b : -(-a / b);
}

static int gcd(int a, int b)
{
	while (b) {
		int t = a % b;
		a = b;
		b = t;
	}
	return a;
}

/* Where each column of taps reads inside the map; *bounds is where the next lattice's arrays begin. */
static void lattice_bounds(struct lattice *l, int in_w, int **bounds)
{
	int *lo = *bounds, *hi = lo + l->nkx;
	for (int b = 0; b < l->nkx; b++) {
		int x = l->ix + b * l->tx;
		lo[b] = least(most(divide_ceil(-x, l->isx), 0), l->w);
		hi[b] = most(least(divide_ceil(in_w - x, l->isx), l->w), lo[b]);
	}
	l->lo = lo;
	l->hi = hi;
	*bounds = hi + l->nkx;
}

/* One axis of a backward lattice: targets at residue r modulo the stride. */
struct axis {
	int n;                         /* targets */
	int taps, k, ks, source, step; /* count, first kernel index, its step, first source, step of sources */
};

/* x with a x = 1 modulo m, where a and m have no common divisor: Euclid's algorithm, carrying x along. */
static int64_t inverse(int64_t a, int64_t m)
{
	int64_t r0 = m, r1 = a % m, x0 = 0, x1 = 1;
	while (r1 > 0) {
		int64_t q = r0 / r1, r2 = r0 - q * r1, x2 = x0 - q * x1;
		r0 = r1, r1 = r2;
		x0 = x1, x1 = x2;
	}
	return x0 < 0 ? x0 + m : x0;
}

/*
 * Target r + j s is reached from source o through kernel index k when o s - pad + k d = r + j s. With g = gcd(s, d), if
 * any k solves it for a residue then those solving it are s / g apart, and the sources d / g apart; the first is
 * (r + pad) / g times the inverse of d / g modulo s / g. Sources ascend here, so k descends from the last. Solved and
 * not searched for: kernel and stride may both have 65536 places.
 */
static struct axis backward_axis(int r, int size, int k, int s, int d, int pad)
{
	const int g = gcd(s, d), apart = s / g, at = r + pad;
	struct axis a = {.n = (size - r + s - 1) / s, .ks = -apart, .step = d / g};
	if (at % g != 0)
		return a;
	int first = (int)((at / g % apart + apart) % apart * inverse(a.step, apart) % apart);
	if (first >= k)
		return a;
	a.taps = (k - 1 - first) / apart + 1;
	a.k = first + (a.taps - 1) * apart;
	a.source = (int)((at - (int64_t)a.k * d) / s);
	return a;
}

static void forward_lattice(const struct bp_conv_shape *s, struct lattice *l)
{
	*l = (struct lattice){
		.h = s->oh,
		.w = s->ow,
		.sy = 1,
		.sx = 1,
		.iy = -s->pt,
		.ix = -s->pl,
		.isy = s->sh,
		.isx = s->sw,
		.nky = s->kh,
		.nkx = s->kw,
		.ty = s->dh,
		.tx = s->dw,
		.kys = 1,
		.kxs = 1,
	};
}

/* Returns how many lattices there are: residues beyond the map have none. Both axes are solved by themselves, because a
 * large stride has as many lattices as the map has pixels. */
static int backward_lattices(const struct bp_conv_shape *s, struct lattice *ret)
{
	const int down = least(s->sh, s->h), across = least(s->sw, s->w);
	for (int x = 0; x < across; x++) {
		struct axis u = backward_axis(x, s->w, s->kw, s->sw, s->dw, s->pl);
		ret[x] = (struct lattice){
			.w = u.n,
			.x0 = x,
			.sx = s->sw,
			.ix = u.source,
			.isx = 1,
			.nkx = u.taps,
			.tx = u.step,
			.kx = u.k,
			.kxs = u.ks,
		};
	}
	for (int y = 0; y < down; y++) {
		struct axis v = backward_axis(y, s->h, s->kh, s->sh, s->dh, s->pt);
		for (int x = 0; x < across; x++) {
			struct lattice *l = &ret[y * across + x];
			*l = ret[x];
			l->h = v.n;
			l->y0 = y;
			l->sy = s->sh;
			l->iy = v.source;
			l->isy = 1;
			l->nky = v.taps;
			l->ty = v.step;
			l->ky = v.k;
			l->kys = v.ks;
		}
	}
	return down * across;
}

static bool wants_patches(const struct side *sd)
{
	for (int i = 0; i < sd->nlattices; i++) {
		const struct lattice *l = &sd->lattices[i];
		size_t lines = l->tx == 1 && sd->kg == sd->in_c ? (size_t)l->nky : lattice_taps(l);
		if (sd->kg >= PATCH_CHANNELS || lines > PATCH_LINES || lattice_taps(l) == 0)
			return false;
	}
	return lattice_taps(sd->lattices) > 1;
}

static void side_plan(const struct bp_conv *cv, struct side *sd, size_t max_points)
{
	const int mr = cv->k->mr, nr = cv->k->nr;
	const struct lattice *l = sd->lattices;
	size_t taps = 1;
	sd->panels = (sd->ng + nr - 1) / nr;
	sd->packed = 0;
	for (int i = 0; i < sd->nlattices; i++) {
		sd->lattices[i].packed = sd->packed;
		sd->packed += side_units(cv, sd) * lattice_taps(&l[i]) * sd->kg * nr;
		taps = lattice_taps(&l[i]) > taps ? lattice_taps(&l[i]) : taps;
	}
	sd->patches = wants_patches(sd);
	size_t row = taps * sd->kg * sizeof(bp_real), source = (size_t)sd->in_c * l->isy * l->isx * sizeof(bp_real);
	size_t block = sd->patches ? PATCH_BYTES / row : BLOCK_BYTES / source;
	if (!sd->patches && block > TABLE_BYTES / sizeof(void *) / taps)
		block = TABLE_BYTES / sizeof(void *) / taps;
	block = block > (size_t)BLOCK_TILES * mr ? (size_t)BLOCK_TILES * mr : block;
	block = block < max_points ? round_up(block, mr) : round_up(max_points, mr);
	sd->block = (int)(block ? block : (size_t)mr);
	sd->depth = most(PANEL_BYTES / (nr * (int)sizeof(bp_real)), 1);
	size_t tables = (sd->patches ? 2 : taps + 1) * sd->block * sizeof(void *);
	size_t patches = sd->patches ? sd->block * row + cv->k->vlen * sizeof(bp_real) : 0;
	sd->scratch = round_up(tables + patches, BP_ALIGN);
}

/*
 * Whether Winograd's way is taken for this direction. On AVX2 it was 1.55 times as fast as direct with 16 channels, 1.4
 * with 8 -> 64, 2.2 with 32, 2.7 with 64, 3 with 128 and more, unless the 4x4 tiles are mostly outside the map (2x2:
 * 0.8 times, 3x3: 1.55, 5x5: 1.2 at 64 channels). Narrower layers, little work in any net, keep the smaller rounding.
 */
static bool wants_winograd(const struct bp_conv *cv, const struct side *sd)
{
	enum { CHANNELS = 8, PRODUCTS = 256, TARGETS_OF_A_TILE = 5 };
	if (cv->s.algorithm != BP_CONV_AUTO)
		return cv->s.algorithm == BP_CONV_WINOGRAD;
	const size_t tiles = divide_up(sd->out_h, 4) * divide_up(sd->out_w, 4);
	return bp_conv_can_winograd(&cv->s) && sd->kg >= CHANNELS && sd->kg * sd->ng >= PRODUCTS &&
	       (size_t)sd->out_h * sd->out_w > TARGETS_OF_A_TILE * tiles;
}

static bool sides_new(struct bp_conv *cv, size_t max_batch)
{
	const struct bp_conv_shape *s = &cv->s;
	const size_t down = (size_t)least(s->sh, s->h), residues = down * least(s->sw, s->w);
	struct side *f = &cv->forward, *b = &cv->backward;
	const int cg = s->c / s->groups, og = s->oc / s->groups;
	*f = (struct side){.in_h = s->h,
		.in_w = s->w,
		.in_c = s->c,
		.out_h = s->oh,
		.out_w = s->ow,
		.out_c = s->oc,
		.kg = cg,
		.ng = og};
	*b = (struct side){.in_h = s->oh,
		.in_w = s->ow,
		.in_c = s->oc,
		.out_h = s->h,
		.out_w = s->w,
		.out_c = s->c,
		.kg = og,
		.ng = cg,
		.transposed = true};
	f->lattices = malloc(sizeof *f->lattices);
	b->lattices = calloc(residues, sizeof *b->lattices);
	cv->bounds = calloc(2 * (down + 1) * s->kw, sizeof *cv->bounds); /* a line's lattices share the taps */
	if (!f->lattices || !b->lattices || !cv->bounds)
		return false;
	f->nlattices = 1;
	forward_lattice(s, f->lattices);
	b->nlattices = backward_lattices(s, b->lattices);
	int *bounds = cv->bounds;
	lattice_bounds(f->lattices, s->w, &bounds);
	for (int i = 0; i < b->nlattices; i++)
		lattice_bounds(&b->lattices[i], s->ow, &bounds);
	side_plan(cv, f, max_batch * s->oh * s->ow);
	side_plan(cv, b, max_batch * s->h * s->w);
	f->by_winograd = wants_winograd(cv, f);
	b->by_winograd = wants_winograd(cv, b);
	if (f->by_winograd)
		bp_winograd_plan(cv, f, max_batch);
	if (b->by_winograd)
		bp_winograd_plan(cv, b, max_batch);
	return true;
}

struct bp_conv *bp_conv_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch)
{
	struct bp_conv *cv = calloc(1, sizeof *cv);
	if (!cv)
		return NULL;
	cv->s = *s;
	cv->k = k;
	cv->fold = 1;
	cv->depthwise = bp_depthwise_fits(s);
	if (!cv->depthwise && s->kh == 1 && s->kw == 1 && s->sh == 1 && s->sw == 1 && s->h == s->oh && s->w == s->ow &&
		!s->pt && !s->pl) {
		cv->fold = (size_t)s->h * s->w;
		cv->s.h = cv->s.w = cv->s.oh = cv->s.ow = 1;
		cv->linear = s->groups == 1;
	}
	if (!sides_new(cv, (size_t)max_batch * cv->fold)) {
		bp_conv_free(cv);
		return NULL;
	}
	bp_weights_plan(cv, (size_t)max_batch * cv->fold);
	cv->winograd_weights.used = cv->forward.by_winograd;
	if (cv->winograd_weights.used)
		bp_winograd_weights_plan(cv, (size_t)max_batch);
	cv->pointwise = bp_pointwise_fits(cv);
	if (cv->depthwise)
		bp_depthwise_plan(cv, (size_t)max_batch);
	if (cv->pointwise)
		bp_pointwise_plan(cv, (size_t)max_batch);
	return cv;
}

void bp_conv_free(struct bp_conv *cv)
{
	if (!cv)
		return;
	free(cv->forward.lattices);
	free(cv->backward.lattices);
	free(cv->bounds);
	free(cv);
}

static size_t largest(const size_t *sizes, int n)
{
	size_t most_bytes = 0;
	for (int i = 0; i < n; i++)
		most_bytes = sizes[i] > most_bytes ? sizes[i] : most_bytes;
	return most_bytes;
}

static size_t side_workspace(const struct bp_conv *cv, const struct side *sd, int threads)
{
	return sd->by_winograd ? bp_winograd_workspace(sd, threads) : bp_gemm_workspace(cv, sd, threads);
}

static void side_run(const struct bp_conv *cv, const struct side *sd, const struct bp_ctx *ctx,
	const struct gemm_call *call, void *ws)
{
	if (sd->by_winograd)
		bp_winograd_run(cv, sd, ctx, call, ws);
	else
		bp_gemm_run(cv, sd, ctx, call, ws);
}

static size_t weights_workspace(const struct bp_conv *cv, int threads)
{
	return cv->winograd_weights.used ? bp_winograd_weights_workspace(cv, threads)
					 : bp_weights_workspace(cv, threads);
}

size_t bp_conv_workspace(const struct bp_conv *cv, int threads)
{
	if (cv->depthwise)
		return bp_depthwise_workspace(cv, threads);
	if (cv->pointwise)
		return bp_pointwise_workspace(cv, threads);
	return largest(
		(const size_t[]){side_workspace(cv, &cv->forward, threads), side_workspace(cv, &cv->backward, threads),
			weights_workspace(cv, threads), bp_dense_workspace(cv)},
		4);
}

bool bp_conv_norms(const struct bp_conv *cv)
{
	return cv->depthwise || cv->pointwise;
}

size_t bp_conv_max_parts(const struct bp_conv *cv)
{
	return cv->depthwise ? cv->bands.parts : cv->rows.parts;
}

size_t bp_conv_parts(const struct bp_conv *cv, int n)
{
	return cv->depthwise ? bp_depthwise_parts(cv, n) : divide_up(n * cv->fold, cv->rows.block);
}

size_t bp_conv_part_rows(const struct bp_conv *cv, int n, size_t part, bool backward)
{
	const struct bp_conv_shape *s = &cv->s;
	if (cv->pointwise) {
		size_t left = n * cv->fold - part * cv->rows.block;
		return left < cv->rows.block ? left : cv->rows.block;
	}
	int height = backward ? s->h : s->oh, width = backward ? s->w : s->ow;
	return bp_depthwise_part_lines(cv, n, part, height) * width;
}

void bp_conv_forward_call(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct gemm_call g = {.n = call->n * cv->fold,
		.in = call->x,
		.w = call->w,
		.bias = call->bias,
		.relu = call->act == BP_ACT_RELU,
		.out = call->y};
	if (cv->depthwise)
		bp_depthwise_forward(cv, ctx, call, ws);
	else if (cv->pointwise)
		bp_pointwise_forward(cv, ctx, call, ws);
	else if (bp_dense_fits(cv, call->n))
		bp_dense_forward(cv, &g);
	else
		side_run(cv, &cv->forward, ctx, &g, ws);
}

static void weights_run(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct weights_call w = {.n = call->n * cv->fold, .x = call->x, .dy = call->dy, .dw = call->dw, .db = call->db};
	if (bp_dense_fits(cv, call->n))
		bp_dense_backward_weights(cv, &w);
	else if (cv->winograd_weights.used)
		bp_winograd_weights_run(cv, ctx, &w, ws);
	else
		bp_weights_run(cv, ctx, &w, ws);
}

static void data_run(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	struct gemm_call g = {
		.n = call->n * cv->fold, .in = call->dy, .w = call->w, .acc = call->accumulate, .out = call->dx};
	if (bp_dense_fits(cv, call->n))
		bp_dense_backward_data(cv, &g, ws);
	else
		side_run(cv, &cv->backward, ctx, &g, ws);
}

void bp_conv_backward_call(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	if (cv->depthwise) {
		bp_depthwise_backward(cv, ctx, call, ws);
	} else if (cv->pointwise) {
		bp_pointwise_backward(cv, ctx, call, ws);
	} else {
		if (call->dw)
			weights_run(cv, ctx, call, ws);
		if (call->dx)
			data_run(cv, ctx, call, ws);
	}
}

void bp_conv_forward(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x, const bp_real *w,
	const bp_real *bias, enum bp_act act, bp_real *y, void *ws)
{
	struct bp_conv_call call = {.n = n, .x = x, .w = w, .bias = bias, .act = act, .y = y};
	bp_conv_forward_call(cv, ctx, &call, ws);
}

void bp_conv_backward_data(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *dy,
	const bp_real *w, bool accumulate, bp_real *dx, void *ws)
{
	struct bp_conv_call call = {.n = n, .dy = dy, .w = w, .accumulate = accumulate, .dx = dx};
	bp_conv_backward_call(cv, ctx, &call, ws);
}

void bp_conv_backward_weights(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x,
	const bp_real *dy, bp_real *dw, bp_real *db, void *ws)
{
	struct bp_conv_call call = {.n = n, .x = x, .dy = dy, .dw = dw, .db = db};
	bp_conv_backward_call(cv, ctx, &call, ws);
}
