/*
 * narrow.c - convolutions to few channels: neighbouring targets of a line are taken as one of all their channels. They
 * lie side by side in memory, so only the weights differ: a kernel as much wider as the last neighbour lies further on,
 * with zeros where a target does not read. 6 channels fill 6 of 16 lanes; two neighbours fill 12, for 6 columns of taps
 * instead of 5. Called by conv.c on the trainer's thread.
 *
 * The wide convolution is one of the indirect GEMM. Backward-data without a stride is a convolution of dY by the
 * kernel in reverse, and goes the same way. Wide kernels of 5x5 and more have a stride that unshuffle.c turns into
 * channels, so that passes from 3 to 16 channels go Winograd's way, also to many channels: two neighbours of 3 channels
 * read cells of 6. Up to four targets, which are lanes of their own (idot.c), stay with the GEMM.
 *
 * build/bench_conv 1 direct [avx2] N H C OC K S 1, forward / dx / dW, GFLOP/s of the narrow kernel, before -> now:
 *	1 -> 6, 5x5 on 28x28	AVX-512 20 7 12 -> 33 17 19	AVX2 22 8 16 -> 32 19 23
 *	6 -> 6, 5x5 on 32x32	AVX-512 42 42 35 -> 66 64 48	AVX2 48 48 43 -> 57 58 42
 *	6 -> 16, 5x5 on 14x14	AVX-512 108 49 70 -> 118 80 67	AVX2 93 56 68 -> 94 68 66
 *	32 -> 3, 3x3 on 32x32	AVX-512 22 100 20 -> 36 98 33	AVX2 26 81 24 -> 36 76 30
 * The same with auto, forward / dW, or all three, narrow or direct -> by cells:
 *	3 -> 6, 5x5 on 32x32	AVX-512 44 34 -> 58 55		AVX2 56 23 -> 64 65
 *	6 -> 16, 5x5 on 14x14	AVX-512 92 66 -> 92 117		AVX2 99 67 -> 108 111
 *	3 -> 24, 5x5 on 32x32	AVX-512 70 56 -> 102 83		AVX2 79 52 -> 97 79
 *	6 -> 32, 5x5 on 32x32	AVX-512 97 93 -> 167 147	AVX2 99 94 -> 154 122
 *	6 -> 16, 7x7 on 28x28	AVX-512 98 73 94 -> 164 113 177	AVX2 107 75 89 -> 146 116 161
 *	8 -> 16, 5x5 on 14x14	AVX-512 97 92 78 -> 143 143 143	AVX2 102 99 74 -> 136 139 132
 *	12 -> 20, 5x5 on 8x8	AVX-512 81 93 61 -> 159 93 142	AVX2 93 97 67 -> 156 97 148
 */
#include "conv/plan.h"

#include "base/mem.h"

#include <string.h>

enum {
	MOST = 16,     /* neighbours */
	LINE = 7,      /* targets that must be left of a line in backward-weights, which goes line by line */
	OVERHEAD = 40, /* of a target in terms of vectors times taps and channels: its pointers, loads and stores */
	PERCENT = 95,  /* of the cost, at most, for it to be worth it */
	/* Where the wide convolution goes Winograd's way: */
	SOURCES = 3,       /* channels, at least ... */
	MOST_SOURCES = 16, /* ... and at most: more go that way as they are */
	TAPS = 5,          /* of the kernel, at least, down and across */
	FEW_TARGETS = 8    /* channels, of which four neighbours go together; two of more */
};

/* A convolution to few channels: what decides how many neighbours go together. */
struct narrow {
	int sources, targets, width; /* channels; targets of a line */
	int kh, kw, step;            /* step: from what a target reads to what its neighbour does */
	double slim;                 /* what a tile of one vector costs in terms of half a tile of two */
	int line;                    /* targets that must be left of a line */
};

static int wide_columns(const struct narrow *n, int neighbours)
{
	return n->kw + (neighbours - 1) * n->step;
}

/* Of a target. */
static double cost(const struct narrow *n, const struct bp_kernels *k, int neighbours)
{
	const double vectors = neighbours * n->targets <= k->vlen ? n->slim : 2;
	return (vectors * n->kh * wide_columns(n, neighbours) * n->sources + OVERHEAD) / neighbours;
}

/* How many neighbours to take as one; 1: it is not worth it. */
static int choose(const struct narrow *n, const struct bp_kernels *k)
{
	int best = 1;
	for (int i = 2; i <= MOST && i * n->targets <= k->tall.nr && i * n->line <= n->width; i++)
		best = n->width % i == 0 && cost(n, k, i) < cost(n, k, best) ? i : best;
	return cost(n, k, best) * 100 <= cost(n, k, 1) * PERCENT ? best : 1;
}

/* How many make a convolution with such a stride that its cells go Winograd's way; 1: it is not worth it. */
static int choose_for_cells(const struct narrow *n)
{
	int neighbours = n->targets <= FEW_TARGETS ? 4 : 2;
	if (n->step > 1 || n->sources < SOURCES || n->sources > MOST_SOURCES || least(n->kh, n->kw) < TAPS)
		return 1;
	while (n->width % neighbours)
		neighbours /= 2;
	return neighbours;
}

static struct bp_conv_shape wide_shape(const struct narrow *n, struct bp_conv_shape s, int neighbours)
{
	s.ow = n->width / neighbours;
	s.oc = neighbours * n->targets;
	s.kw = wide_columns(n, neighbours);
	s.sw = neighbours * n->step;
	return s;
}

/* *ret stays NULL when it is not worth it; false when out of memory. */
static bool wide_new(const struct bp_conv *cv, const struct narrow *n, struct bp_conv_shape s, struct bp_conv **ret)
{
	const int neighbours = choose(n, cv->k);
	if (neighbours == 1)
		return true;
	s = wide_shape(n, s, neighbours);
	s.algorithm = BP_CONV_DIRECT;
	*ret = bp_conv_plain_new(&s, cv->k, (int)(cv->max_batch * cv->fold));
	return *ret;
}

/* The same where the wide convolution's cells are worth it. */
static bool cells_new(const struct bp_conv *cv, const struct narrow *n, struct bp_conv_shape s, struct bp_conv **ret)
{
	const int neighbours = choose_for_cells(n);
	if (neighbours == 1)
		return true;
	s = wide_shape(n, s, neighbours);
	*ret = bp_conv_plain_new(&s, cv->k, (int)cv->max_batch);
	if (!*ret || !bp_unshuffle_new(*ret))
		return false;
	if (!(*ret)->cells) {
		bp_conv_free(*ret);
		*ret = NULL;
	}
	return true;
}

/* What takes a pass whose shape is s: one whose cells are worth it, else one of the GEMM alone, if it is. */
static bool any_new(
	const struct bp_conv *cv, const struct narrow *n, const struct bp_conv_shape *s, struct bp_conv **ret)
{
	return cells_new(cv, n, *s, ret) && (*ret || wide_new(cv, n, *s, ret));
}

/* Backward-data without a stride, as a convolution of dY. */
static bool data_new(struct bp_conv *cv, double slim)
{
	const struct bp_conv_shape *s = &cv->s;
	const int64_t pt = (int64_t)(s->kh - 1) * s->dh - s->pt, pl = s->kw - 1 - s->pl;
	if (s->sh > 1 || s->sw > 1 || pt < 0 || pl < 0)
		return true;
	struct bp_conv_shape turned = *s;
	turned.h = s->oh, turned.w = s->ow, turned.c = s->oc;
	turned.oh = s->h;
	turned.pt = (int)pt, turned.pl = (int)pl;
	const struct narrow n = {s->oc, s->c, s->w, s->kh, s->kw, 1, slim, 1};
	return any_new(cv, &n, &turned, &cv->wide[PASS_DATA]);
}

bool bp_narrow_new(struct bp_conv *cv)
{
	const struct bp_conv_shape *s = &cv->s;
	if (s->groups > 1 || s->dw > 1 || s->kw == 1 || s->algorithm == BP_CONV_WINOGRAD)
		return true;
	/* Forward's slim tile waits for its broadcasts, and of few rows for its own sums; not backward-weights'. */
	const double slim = cv->k->tall.mr > 8 ? 1.2 : 1.45;
	const struct narrow forward = {s->c, s->oc, s->ow, s->kh, s->kw, s->sw, slim, 1};
	const struct narrow weights = {s->c, s->oc, s->ow, s->kh, s->kw, s->sw, 1, LINE};
	return (cv->forward.dot_rows || any_new(cv, &forward, s, &cv->wide[PASS_FORWARD])) &&
	       (cv->exchanged || any_new(cv, &weights, s, &cv->wide[PASS_WEIGHTS])) &&
	       (cv->backward.dot_rows || data_new(cv, slim));
}

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	return cv->wide[pass] != NULL;
}

static size_t weights_bytes(const struct bp_conv *wide)
{
	return round_up(kernel_elements(&wide->s) * sizeof(bp_real), BP_ALIGN);
}

/* What takes the wide convolution. */
static const struct way *way_of(const struct bp_conv *wide)
{
	return wide->cells ? &bp_way_unshuffle : &bp_way_gemm;
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	const struct bp_conv *wide = cv->wide[pass];
	return weights_bytes(wide) + round_up(wide->s.oc * sizeof(bp_real), BP_ALIGN) +
	       way_of(wide)->workspace(wide, pass == PASS_DATA ? PASS_FORWARD : pass, threads);
}

/* Where in a workspace the wide weights, the bias of all neighbours, and the GEMM's own workspace are. */
struct room {
	bp_real *w, *bias;
	void *ws;
};
static struct room room_in(const struct bp_conv *wide, void *ws)
{
	struct room r = {.w = ws, .bias = (bp_real *)((char *)ws + weights_bytes(wide))};
	r.ws = (char *)r.bias + round_up(wide->s.oc * sizeof(bp_real), BP_ALIGN);
	return r;
}

/* One tap of the kernel, w, to where one neighbour has it among all their targets. */
static void widen_tap(const struct bp_conv *cv, const struct bp_conv *wide, bool data, const bp_real *w, bp_real *ret)
{
	const size_t sources = wide->s.c, all = wide->s.oc, oc = cv->s.oc, targets = data ? cv->s.c : cv->s.oc;
	for (size_t from = 0; from < sources; from++)
		for (size_t t = 0; t < targets; t++)
			ret[from * all + t] = data ? w[t * oc + from] : w[from * oc + t];
}

/* The kernel's weights for the wide one: tap b of neighbour j is at tap b + j step, and zeros elsewhere. Backward-data
 * takes the kernel in reverse. */
static void widen(const struct bp_conv *cv, const struct bp_conv *wide, bool data, const bp_real *w, bp_real *ret)
{
	const struct bp_conv_shape *s = &cv->s, *ws = &wide->s;
	const size_t taps = (size_t)s->kh * s->kw, kw = s->kw, targets = data ? s->c : s->oc;
	const size_t neighbours = ws->oc / targets, step = ws->sw / neighbours;
	memset(ret, 0, weights_bytes(wide));
	for (size_t t = 0; t < taps; t++)
		for (size_t j = 0; j < neighbours; j++) {
			const size_t tap = t / kw * ws->kw + t % kw + j * step, from = data ? taps - 1 - t : t;
			widen_tap(cv, wide, data, w + from * s->c * s->oc, ret + tap * ws->c * ws->oc + j * targets);
		}
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct bp_conv *wide = cv->wide[PASS_FORWARD];
	const struct room r = room_in(wide, ws);
	struct bp_conv_call own = *call;
	widen(cv, wide, false, call->w, r.w);
	for (int i = 0; i < wide->s.oc && call->bias; i++)
		r.bias[i] = call->bias[i % cv->s.oc];
	own.w = r.w;
	own.bias = call->bias ? r.bias : NULL;
	way_of(wide)->forward(wide, ctx, &own, r.ws);
}

/* By the wide convolution's forward. */
static void data(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct bp_conv *wide = cv->wide[PASS_DATA];
	const struct room r = room_in(wide, ws);
	const struct bp_conv_call own = {
		.n = call->n, .x = call->dy, .w = r.w, .y = call->dx, .accumulate = call->accumulate};
	widen(cv, wide, true, call->w, r.w);
	way_of(wide)->forward(wide, ctx, &own, r.ws);
}

/* Sums of n elements over the neighbours, whose are `apart` from each other. */
static void add_neighbours(const bp_real *from, size_t neighbours, size_t apart, size_t n, bp_real *ret)
{
	for (size_t i = 0; i < n; i++) {
		ret[i] = 0;
		for (size_t j = 0; j < neighbours; j++)
			ret[i] += from[j * apart + i];
	}
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	const struct bp_conv *wide = cv->wide[PASS_WEIGHTS];
	const struct bp_conv_shape *s = &cv->s;
	const struct room r = room_in(wide, ws);
	const size_t c = s->c, oc = s->oc, all = wide->s.oc, neighbours = all / oc, rows = s->kw * c;
	struct bp_conv_call own = *call;
	own.dw = r.w;
	own.db = call->db ? r.bias : NULL;
	own.mover = NULL;
	way_of(wide)->weights(wide, ctx, &own, r.ws);
	for (size_t row = 0; row < s->kh * rows; row++) {
		const size_t from = row / rows * wide->s.kw * c + row % rows;
		add_neighbours(r.w + from * all, neighbours, s->sw * c * all + oc, oc, call->dw + row * oc);
	}
	if (call->db)
		add_neighbours(r.bias, neighbours, oc, oc, call->db);
}

const struct way bp_way_narrow = {
	.fits = fits,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = weights,
	.data = data,
};
