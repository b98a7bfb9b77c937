/*
 * side.c - the two directions of a convolution: their lattices, and how an indirect GEMM goes over them. Called by
 * conv.c when a plan is made.
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
	UNITS = 8,         /* at least, to share among the threads, where a task is a unit */
	DOT_CHANNELS = 8,  /* of sources, at least, for products by idot */
	DOT_WEIGHTS = 8192 /* that a tile of it passes over at once: lanes meet but once where there are no more */
};

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

bool bp_side_wants_patches(const struct side *sd)
{
	for (int i = 0; i < sd->nlattices; i++) {
		const struct lattice *l = &sd->lattices[i];
		size_t lines = l->tx == 1 && sd->kg == sd->in_c ? (size_t)l->nky : lattice_taps(l);
		if (sd->kg >= PATCH_CHANNELS || lines > PATCH_LINES || lattice_taps(l) == 0)
			return false;
	}
	return lattice_taps(sd->lattices) > 1;
}

/*
 * Whether a task packs the weights of its unit for itself, and takes all points through them: where weights are more
 * than the map. Packing all of them ahead sends them through memory once more in each direction, which two threads do
 * no faster than one. On AVX2, one thread, 32 samples: 512 channels on 2x2 maps 98 -> 122 GFLOP/s forward and 105 ->
 * 137 backward-data, 256 -> 512 with stride 2 on 4x4 maps 72 -> 95 and 91 -> 99.
 */
static bool wants_units(const struct bp_conv *cv, const struct side *sd, size_t max_points)
{
	const size_t samples = max_points / ((size_t)sd->out_h * sd->out_w);
	return !sd->patches && side_units(cv, sd) >= UNITS && sd->packed > 2 * samples * sd->in_h * sd->in_w * sd->in_c;
}

/*
 * Few targets would fill few lanes of igemm, so lanes are places in K (idot.c). GFLOP/s of `build/bench_conv 1 auto
 * [avx2] 32 H C OC K S 1`, before -> now; forward:
 *	64 -> 3, 3x3 on 32x32		AVX-512 36 -> 87	AVX2 43 -> 90
 *	64 -> 1, 3x3 on 32x32		AVX-512 14 -> 57	AVX2 23 -> 59
 *	24 -> 2, 5x5 on 32x32		AVX-512 46 -> 75	AVX2 48 -> 78
 *	16 -> 4, 3x3 on 32x32		AVX-512 47 -> 57	AVX2 52 -> 55
 * and backward-data, which is ConvTranspose2d's forward:
 *	3 -> 64, 4x4, stride 2		AVX-512 21 -> 98	AVX2 33 -> 93
 *	1 -> 16, 4x4, stride 2		AVX-512 7 -> 32		AVX2 10 -> 28
 *	3 -> 64, 3x3			AVX-512 29 -> 91	AVX2 42 -> 93
 */
static bool wants_dots(const struct side *sd)
{
	return sd->ng <= BP_IDOT_COLS && sd->kg == sd->in_c && sd->kg >= DOT_CHANNELS;
}

/* Where each lattice's packed weights lie. */
static void side_weights(const struct bp_conv *cv, struct side *sd)
{
	sd->tile = tile_for(cv->k, (size_t)sd->ng);
	sd->dot_rows = wants_dots(sd) ? cv->k->idot_rows[sd->ng - 1] : 0;
	sd->panels = (sd->ng + sd->tile.nr - 1) / sd->tile.nr;
	sd->packed = 0;
	for (struct lattice *l = sd->lattices; l < sd->lattices + sd->nlattices; l++) {
		l->packed = sd->packed;
		l->tap_line = (size_t)l->nkx;
		l->packed_taps = lattice_taps(l);
		sd->packed += side_units(cv, sd) * lattice_taps(l) * sd->kg * sd->tile.nr;
	}
}

static void side_plan(const struct bp_conv *cv, struct side *sd, size_t max_points)
{
	const int mr = gemm_rows(sd);
	const struct lattice *l = sd->lattices;
	size_t taps = 1;
	for (int i = 0; i < sd->nlattices; i++) {
		size_t rows = sd->joined ? (size_t)l[i].nky : lattice_taps(&l[i]);
		taps = rows > taps ? rows : taps;
	}
	size_t row = taps * sd->kg * sizeof(bp_real), source = (size_t)sd->in_c * l->isy * l->isx * sizeof(bp_real);
	size_t block = sd->patches ? PATCH_BYTES / row : BLOCK_BYTES / source;
	if (!sd->patches && block > TABLE_BYTES / sizeof(void *) / taps)
		block = TABLE_BYTES / sizeof(void *) / taps;
	block = block > (size_t)BLOCK_TILES * mr ? (size_t)BLOCK_TILES * mr : block;
	block = block < max_points ? round_up(block, mr) : round_up(max_points, mr);
	sd->block = (int)(block ? block : (size_t)mr);
	sd->depth = sd->dot_rows ? DOT_WEIGHTS / sd->ng : (int)product_depth(cv->k);
	sd->unit = wants_units(cv, sd, max_points) ? sd->packed / side_units(cv, sd) : 0;
	size_t tables = (sd->patches ? 2 : taps + 1) * sd->block * sizeof(void *);
	size_t patches = sd->patches ? sd->block * row + cv->k->vlen * sizeof(bp_real) : 0;
	sd->scratch = round_up(tables + patches, BP_ALIGN) + round_up(sd->unit * sizeof(bp_real), BP_ALIGN);
}

bool bp_sides_new(struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->s;
	const size_t across = (size_t)least(s->sw, s->w), residues = across * least(s->sh, s->h);
	struct side *f = &cv->forward, *b = &cv->backward;
	const size_t max_batch = cv->max_batch * cv->fold;
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
	cv->bounds = calloc(4 * (size_t)s->kw, sizeof *cv->bounds); /* forward's, and of a line of lattices backward */
	if (!f->lattices || !b->lattices || !cv->bounds)
		return false;
	f->nlattices = 1;
	forward_lattice(s, f->lattices);
	b->nlattices = backward_lattices(s, b->lattices);
	int *bounds = cv->bounds;
	lattice_bounds(f->lattices, s->w, &bounds);
	for (size_t i = 0; i < residues; i++) {
		struct lattice *l = &b->lattices[i];
		if (i < across)
			lattice_bounds(l, s->ow, &bounds);
		else /* columns read alike in all lines; a large stride has as many of these as the map */
			l->lo = l[-(ptrdiff_t)across].lo, l->hi = l[-(ptrdiff_t)across].hi;
	}
	side_weights(cv, f);
	side_weights(cv, b);
	if (!bp_zones_new(f) || !bp_zones_new(b))
		return false;
	f->patches = !f->joined && bp_side_wants_patches(f);
	b->patches = !b->joined && bp_side_wants_patches(b);
	side_plan(cv, f, max_batch * s->oh * s->ow);
	side_plan(cv, b, max_batch * s->h * s->w);
	return true;
}
