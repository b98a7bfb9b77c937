/*
 * plan.h - what the files of this room share: the plan of a convolution, lattices, and how work is run.
 * Private to core/conv. Everything here depends on shapes and the kernel table alone; batches come with the calls.
 */
#ifndef BP_CONV_PLAN_H
#define BP_CONV_PLAN_H

#include "conv/conv.h"
#include "kernels/norm.h"

/*
 * A lattice: a regular subset of one map's pixels (the targets), and the pixels of the other map (the sources) that
 * each of them reads. Point (j, i) is target pixel (y0 + j sy, x0 + i sx); through tap (a, b) it reads source pixel
 * (iy + j isy + a ty, ix + i isx + b tx), or zeros where that lies outside; the weights are those of the kernel's
 * tap (ky + a kys, kx + b kxs). Forward is one lattice. Backward-data is one for each residue of the target's
 * coordinates modulo the stride, because pixels of one residue are reached by the same taps.
 */
struct lattice {
	int h, w;
	int y0, x0, sy, sx;
	int iy, ix, isy, isx;
	int nky, nkx, ty, tx;
	int ky, kx, kys, kxs;
	const int *lo, *hi; /* for each b: points lo[b] <= i < hi[b] read inside the map's width */
	size_t packed;      /* where its packed weights begin, elements */
	/* Its taps among those that were packed: the first, how many of these a line has, and how many there are. */
	size_t first_tap, tap_line, packed_taps;
	bool inside; /* all taps of all points are known to read inside the map */
};

/* Winograd's way (winograd_tiles.c): one axis of a piece of a kernel that has transforms, and of the targets as tiles.
 */
enum { BP_WINOGRAD_PIECES = 9, BP_WINOGRAD_PARTS = 3 };
struct winograd_axis {
	int parts; /* of the piece, which differ in what is said by part alone: they are summed as channels are */
	int taps, tap_step;            /* of a part; from one of the kernel's to the next */
	int tap[BP_WINOGRAD_PARTS];    /* which of the kernel's is the first */
	int targets, from, scale;      /* target i is pixel from + i scale, and reads ... */
	int64_t at[BP_WINOGRAD_PARTS]; /* ... its first tap at pixel at + i mul of the sources; ascending */
	int mul;
	int makes, reads; /* targets and sources of a tile */
	int step;         /* from target to target of it, a dilation; its sources are mul step apart */
	int tiles;
};
struct winograd_tiles {
	struct winograd_axis y, x;
	size_t places;    /* of a tile, as many as sources */
	size_t parts;     /* of both axes */
	bool first, last; /* of the pieces with the same targets, which are added */
};

/* One direction of a piece. */
struct winograd_plan {
	struct winograd_tiles tiles;
	size_t block;                     /* tiles of a task, at most */
	bool lines;                       /* blocks are of whole lines of tiles, which make whole lines of a map */
	size_t bundle;                    /* groups of a task, at most */
	size_t in_ld;                     /* from tile to tile of transformed sources: whole vectors */
	size_t in_step, out_step, u_step; /* from place to place of transformed sources, sums and weights */
	size_t own_step;                  /* of weights that a task transforms for itself; 0: it is done ahead */
	size_t scratch;                   /* bytes of each thread */
};

/* One direction of a convolution as an indirect GEMM: targets x (taps, source channels) times weights. */
struct side {
	int in_h, in_w, in_c, out_h, out_w, out_c; /* sources, targets */
	int kg, ng;                                /* source and target channels of a group */
	bool transposed;                           /* backward-data: weights are read [target][source] */
	struct bp_gemm_tile tile;                  /* of its products */
	int dot_rows;                              /* of a tile of idot, which bp_way_gemm takes then; or 0 */
	int panels;                                /* of tile.nr target channels in a group */
	int nlattices;
	struct lattice *lattices;
	int nzones;
	struct lattice *zones; /* the lattices again, or cut into zones (zone.c): what bp_way_gemm goes over */
	size_t inside;         /* pairs of a target and a tap that reads inside the map */
	bool patches;          /* few source channels: rows of all taps are gathered into a buffer first */
	bool joined;    /* all taps of a zone's line lie inside the map, one behind the other: they are read as one */
	int block;      /* points of a task */
	int depth;      /* K is summed in pieces of about so many rows of B, so that a piece stays in L1 */
	size_t packed;  /* elements of packed weights */
	size_t unit;    /* of them, those that a task packs for itself; 0: all are packed ahead of the tasks */
	size_t scratch; /* bytes of each thread */
	size_t pieces;  /* of the kernel, in Winograd's way */
	struct winograd_plan winograd[BP_WINOGRAD_PIECES];
};

/* Backward-weights, over the forward lattice: dW as tiles of (tap, source channel) x target channel, pixels innermost.
 */
struct weights_plan {
	bool patches;   /* as for a side */
	int block;      /* pixels of a sweep */
	size_t runs;    /* of one tap in a block, at most */
	size_t size;    /* elements of dW */
	int max_chunks; /* partial sums of dW */
	size_t scratch; /* bytes of each thread */
};

/* Backward-weights in Winograd's way. Steps are from place to place: of transformed sources and output gradients, and
 * of the sums; ld is from row to row. */
struct winograd_weights_plan {
	size_t pieces;
	struct winograd_tiles tiles[BP_WINOGRAD_PIECES];
	size_t parts;  /* of the piece that has the most */
	size_t least;  /* tiles of an image, of the piece that has the fewest */
	size_t block;  /* tiles of a sweep */
	size_t ranges; /* of source channels, or of groups */
	size_t x_ld, x_step;
	size_t panel, panel_step, dy_step;
	size_t u_ld, u_step;
	size_t max_chunks; /* partial sums of dW */
	size_t scratch;    /* bytes of each thread */
};

/* How the maps of a depthwise convolution are cut. */
struct bands_plan {
	size_t bands, limit; /* of a map: by its size, and at most */
	size_t parts;        /* bands of a batch, at most */
	int top;             /* of the lines of dy that a band of dx reads: the first, */
	size_t span;         /* and how much further the last reaches */
	size_t left;         /* columns of zeros before them */
	size_t columns;      /* in all */
	size_t scratch;      /* bytes of each thread */
};

/* How the rows of a pointwise convolution are cut. */
struct rows_plan {
	size_t block;           /* rows */
	size_t parts, chunks;   /* blocks of a batch, partial sums of dW, at most */
	size_t packed, scratch; /* bytes; of each thread */
	size_t lists;           /* of its scratch, the last, for rows by places; 0: there are none */
};

enum pass { PASS_FORWARD, PASS_DATA, PASS_WEIGHTS, PASSES };

typedef void run_fn(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws);

/* What a way does of the norms beside it, and into what parts it cuts their statistics (conv.h). */
struct way_norms {
	bool through;                                                 /* all of it */
	size_t (*max_parts)(const struct bp_conv *cv, bool backward); /* 0: no statistics */
	size_t (*parts)(const struct bp_conv *cv, size_t n, bool backward);
	size_t (*part_rows)(const struct bp_conv *cv, size_t n, size_t part);
};

/* A way of computing passes: one const struct in a file of its own, and a line in conv.c. */
struct way {
	/* Whether it can take a pass of this shape, and was measured to be faster than the ways that come later. */
	bool (*fits)(const struct bp_conv *cv, enum pass pass);
	/* The largest batch for which that is so. NULL: any. */
	size_t (*limit)(const struct bp_conv *cv);
	/* Fills in what the way keeps in struct bp_conv; when it takes any pass of large batches. NULL: nothing. */
	void (*plan)(struct bp_conv *cv);
	/* Bytes that a pass uses of the workspace. */
	size_t (*workspace)(const struct bp_conv *cv, enum pass pass, int threads);
	run_fn *forward;
	run_fn *backward;       /* dw and dx as the call wants, in one sweep; or bp_backward_apart, which takes ... */
	run_fn *weights, *data; /* ... each by the way of its pass */
	const struct way_norms *norms; /* NULL: the call's before, after and parts are none */
	bool takes_relu;               /* data can */
};

extern const struct way bp_way_dense, bp_way_linear, bp_way_depthwise, bp_way_grouped, bp_way_pointwise,
	bp_way_exchanged, bp_way_winograd, bp_way_unshuffle, bp_way_narrow, bp_way_gemm;

/* Who takes a pass: `few` of up to `limit` samples, `any` of more. */
struct choice {
	const struct way *few, *any;
	size_t limit;
};

struct bp_conv {
	struct bp_conv_shape s; /* canonical: a 1x1 convolution without stride or padding is one on a 1x1 map ... */
	size_t fold;            /* ... of `fold` times as many samples */
	size_t max_batch;
	const struct bp_kernels *k;
	bool linear; /* a 1x1 map through a 1x1 kernel, one group */
	struct choice choices[PASSES];
	struct side forward, backward;
	struct weights_plan weights;
	struct winograd_weights_plan winograd_weights;
	struct bands_plan bands;
	struct rows_plan rows;
	struct bp_conv *wide[PASSES]; /* of the narrow way; or NULL */
	struct bp_conv *cells;        /* of the unshuffling way; or NULL */
	struct bp_conv *exchanged;    /* of the exchanging way; or NULL */
	int *bounds;                  /* memory of lattices' lo and hi */
};

enum { WORK_SMALL = 50000 /* multiply-adds: below, a parallel region costs more than it gives */ };

/* K of a product is summed in pieces of so many rows of B, so that a panel's piece stays in L1: 16 KiB of a tall
 * tile's, 32 of a wide one's. */
static inline size_t product_depth(const struct bp_kernels *k)
{
	return (16 << 10) / (k->tall.nr * sizeof(bp_real));
}
/* The tile for products of so many columns. */
static inline struct bp_gemm_tile tile_for(const struct bp_kernels *k, size_t columns)
{
	return columns > (size_t)k->tall.nr ? k->wide : k->tall;
}
static inline size_t round_up(size_t x, size_t to)
{
	return (x + to - 1) / to * to;
}
static inline size_t divide_up(size_t x, size_t by)
{
	return (x + by - 1) / by;
}
static inline int divide_ceil(int a, int b) /* b > 0 */
{
	return a >= 0 ? (a + b - 1) / b : -(-a / b);
}
static inline int least(int a, int b)
{
	return a < b ? a : b;
}
static inline int most(int a, int b)
{
	return a > b ? a : b;
}
/* Input channels of a group, and output channels of an input channel. */
static inline size_t group_channels(const struct bp_conv_shape *s)
{
	return (size_t)s->c / s->groups;
}
static inline bool has_groups(const struct bp_conv *cv)
{
	return group_channels(&cv->s) > 1;
}
static inline size_t multiplier(const struct bp_conv_shape *s)
{
	return (size_t)s->oc / s->c;
}
/* Elements of the weights of one group alone. */
static inline size_t kernel_elements(const struct bp_conv_shape *s)
{
	return (size_t)s->kh * s->kw * s->c * s->oc;
}
static inline size_t lattice_taps(const struct lattice *l)
{
	return (size_t)l->nky * l->nkx;
}
static inline size_t lattice_points(const struct lattice *l)
{
	return (size_t)l->h * l->w;
}
static inline size_t side_units(const struct bp_conv *cv, const struct side *sd)
{
	return (size_t)cv->s.groups * sd->panels;
}
/* Index into kh x kw of a lattice's tap t. */
static inline size_t lattice_kernel_tap(const struct bp_conv *cv, const struct lattice *l, size_t t)
{
	int a = (int)(t / l->nkx), b = (int)(t % l->nkx);
	return (size_t)(l->ky + a * l->kys) * cv->s.kw + (size_t)(l->kx + b * l->kxs);
}

/* zone.c: fills in zones and inside; false when out of memory. bp_zones_free takes a side that was never filled in. */
bool bp_zones_new(struct side *sd);
void bp_zones_free(struct side *sd);

/* lattice.c */

/* Points [first, first + count) of the batch's lattice, line by line. */
struct segment {
	size_t image;
	int j, i, count; /* points (j, i) .. (j, i + count - 1) */
	size_t at;       /* the first's place among the points asked for */
};
struct walk {
	const struct lattice *l;
	size_t image, left;
	int j, i;
	struct segment seg;
};
struct walk bp_walk_start(const struct lattice *l, size_t first, size_t count);
/* The next segment in w->seg; false when there is none. */
bool bp_walk_next(struct walk *w);

/* For points [first, first + count): ret_rows[t * stride + p] points to the source's channels of point p through tap t,
 * or to zeros (ret_rows may be NULL), and ret_targets[p] to the target's channels. */
struct rows {
	const bp_real *in, *zeros;
	bp_real *out;
	const bp_real **ret_rows;
	bp_real **ret_targets;
	size_t stride;
};
void bp_lattice_rows(const struct side *sd, const struct lattice *l, size_t first, size_t count, const struct rows *r);

/* Gathers, for points [first, first + count), the values of all taps of one group's channels into rows of taps x kg
 * elements. in points to the group's first channel, end past the whole batch. ret needs room for a vector more than the
 * rows, and zeros for a vector more than the channels of a line of taps: copies run over. */
struct patches {
	const bp_real *in, *end, *zeros;
	bp_real *ret;
};
void bp_lattice_patches(const struct bp_conv *cv, const struct side *sd, const struct lattice *l, size_t first,
	size_t count, const struct patches *pt);

/* work.c */

/* Tasks of a phase may run in any order and on any thread; a phase begins when the one before is done. */
struct phase {
	size_t count;
	void (*task)(const void *job, size_t i, void *scratch);
};
/* Runs the phases on `threads` threads, or on this one alone when there is little work. Thread i uses the scratch at
 * scratch + i * scratch_bytes. */
struct work {
	const void *job;
	const struct phase *phases;
	int nphases;
	void *scratch;
	size_t scratch_bytes;
};
void bp_work_run(const struct bp_ctx *ctx, size_t multiply_adds, const struct work *w);

enum { BP_AHEAD_STREAMS = 4 };

/*
 * The maps of the next block of a task, asked for line by line between the tiles of this one, so that memory works
 * while the processor does.
 */
struct ahead {
	struct stream {
		const char *at;     /* of a run of lines */
		size_t line, lines; /* the next of it, and how many it has */
		size_t runs, step;  /* left, with this one; bytes from run to run */
		size_t each;        /* lines asked for at a time */
	} streams[BP_AHEAD_STREAMS];
};
/* Adds n elements at p, if it is not NULL, to what is asked for in so many times; or as many at p + step, and so on. */
void bp_ahead_add(struct ahead *a, const bp_real *p, size_t n, size_t times);
void bp_ahead_add_runs(struct ahead *a, const bp_real *p, size_t n, size_t runs, size_t step, size_t times);
/* Asks for the next share of every stream. */
void bp_ahead_ask(struct ahead *a);

/* Rows of a tile of bp_way_gemm. */
static inline int gemm_rows(const struct side *sd)
{
	return sd->dot_rows ? sd->dot_rows : sd->tile.mr;
}

/* side.c: fills in forward and backward; false when out of memory. */
bool bp_sides_new(struct bp_conv *cv);
/* Whether a side that is not joined should gather patches. */
bool bp_side_wants_patches(const struct side *sd);

/* conv.c: dw and dx, each by its own way; and what one pass uses of a workspace. */
run_fn bp_backward_apart;
size_t bp_conv_pass_workspace(const struct bp_conv *cv, enum pass pass, int threads);

/* depthwise.c: whether it serves the shape. */
bool bp_depthwise_fits(const struct bp_conv_shape *s, const struct bp_kernels *k);

/* grouped.c: whether the kernels of narrow groups serve the shape; how many panels of weights these want, and elements
 * of one; panel i for forward or for dx (kernels/grouped.h), and its gradient to where that is in dW. */
bool bp_grouped_fits(const struct bp_conv_shape *s, const struct bp_kernels *k);
size_t bp_grouped_panels(const struct bp_conv *cv);
size_t bp_grouped_panel(const struct bp_conv *cv);
void bp_grouped_turn(const struct bp_conv *cv, bool forward, size_t i, const bp_real *w, bp_real *ret);
void bp_grouped_turn_back(const struct bp_conv *cv, size_t i, const bp_real *dw, bp_real *ret);
/* What the kernels of depthwise convolutions do, with such weights. */
void bp_grouped_forward(const struct bp_conv *cv, const struct bp_depthwise *d);
void bp_grouped_backward(const struct bp_conv *cv, const struct bp_depthwise_backward *d);

/* narrow.c: makes cv->wide, where that is worth it; unshuffle.c: cv->cells; exchanged.c: cv->exchanged. False when out
 * of memory. */
bool bp_narrow_new(struct bp_conv *cv);
bool bp_unshuffle_new(struct bp_conv *cv);
bool bp_exchanged_new(struct bp_conv *cv);
/* conv.c: a plan of the indirect GEMM alone. */
struct bp_conv *bp_conv_plain_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch);

/* The norm for so many rows of its map. */
static inline struct bp_norm norm_of(const struct bp_norm *norm, size_t rows)
{
	struct bp_norm ret = *norm;
	ret.rows = rows;
	return ret;
}

/* The operands of one direction. */
struct gemm_call {
	size_t n;
	const bp_real *in, *w, *bias;
	const bp_real *through; /* or NULL: out is 0 where this, laid out like it, is not above 0 */
	bool acc, relu;
	bp_real *out;
	/* Statistics of out; or, with the norm that made something laid out like it of norm_x, its sums. NULL: none. */
	bp_real *parts;
	const struct bp_norm *norm;
	const bp_real *norm_x;
};
/* accumulate: y +=, which narrow.c asks for alone. */
static inline struct gemm_call forward_operands(const struct bp_conv *cv, const struct bp_conv_call *c)
{
	return (struct gemm_call){.n = c->n * cv->fold,
		.in = c->x,
		.w = c->w,
		.bias = c->bias,
		.acc = c->accumulate,
		.relu = c->act == BP_ACT_RELU,
		.out = c->y,
		.parts = c->parts};
}
static inline struct gemm_call data_operands(const struct bp_conv *cv, const struct bp_conv_call *c)
{
	return (struct gemm_call){.n = c->n * cv->fold,
		.in = c->dy,
		.w = c->w,
		.through = c->takes_relu ? c->x : NULL,
		.acc = c->accumulate,
		.out = c->dx,
		.parts = c->parts,
		.norm = c->before,
		.norm_x = c->before_x};
}

/* weights.c: backward-weights of bp_way_gemm. */
void bp_weights_plan(struct bp_conv *cv);
size_t bp_weights_workspace(const struct bp_conv *cv, int threads);
run_fn bp_weights_run;

/* The pixels of a batch cut into n chunks, each with partial sums of its own; one alone has the results'. */
struct chunks {
	size_t n, size, channels; /* elements of dW and of db */
	bp_real *dw, *db;         /* chunk by chunk */
	bp_real *ret_dw, *ret_db; /* NULL: not wanted */
};
static inline bp_real *chunk_dw(const struct chunks *c, size_t i)
{
	return c->n == 1 ? c->ret_dw : c->dw + i * c->size;
}
static inline bp_real *chunk_db(const struct chunks *c, size_t i)
{
	return c->n == 1 ? c->ret_db : c->db + i * c->channels;
}
/* Adds the chunks' sums in their order: so many tasks, and one of them. */
size_t bp_chunks_tasks(const struct chunks *c);
void bp_chunks_sum(const struct bp_kernels *k, const struct chunks *c, size_t task);

#endif
