/*
 * conv.h - drivers of convolution and linear layers: forward, data gradient, weight gradient.
 *
 * The same indirect GEMM serves all of them; a Linear layer is a 1x1 convolution on a 1x1 map. A plan is made once
 * from shapes and the kernel table, and is read-only afterwards. How work is cut depends on the plan and the batch
 * alone, each output element has one writer, and sums are taken in a fixed order: any thread count gives the same bits.
 *
 * Layouts: maps NHWC; weights [kh][kw][in/groups][out] ("HWIO"), which is how they lie in the flat parameter vector.
 */
#ifndef BP_CONV_H
#define BP_CONV_H

#include "base/mover.h"
#include "kernels/kernels.h"

/* How a convolution is computed. AUTO takes what was measured to be the faster one, by shapes alone. Winograd's way
 * rounds a little more: up to about ten times. */
enum bp_conv_algorithm { BP_CONV_AUTO, BP_CONV_DIRECT, BP_CONV_WINOGRAD };

struct bp_conv_shape {
	int h, w, c;    /* input map and channels */
	int oh, ow, oc; /* output map and channels */
	int kh, kw;
	int sh, sw; /* stride */
	int pt, pl; /* padding above and at the left; below and right follow from oh, ow */
	int dh, dw; /* dilation */
	int groups;
	enum bp_conv_algorithm algorithm; /* WINOGRAD only when bp_conv_can_winograd */
	bool panels;                      /* the weights of a Linear layer lie as base/panels.h says */
};

/* A 1x1 convolution on maps of h x w. One of a 1x1 map is a Linear layer. */
static inline struct bp_conv_shape bp_conv_pointwise(int h, int w, int c, int oc)
{
	return (struct bp_conv_shape){.h = h,
		.w = w,
		.c = c,
		.oh = h,
		.ow = w,
		.oc = oc,
		.kh = 1,
		.kw = 1,
		.sh = 1,
		.sw = 1,
		.dh = 1,
		.dw = 1,
		.groups = 1};
}

struct bp_conv;

/* Whether its groups, if there are any, have at least 16 channels, it is padded by less than the kernel spans, and can
 * be cut into pieces of at most 5 taps a side without a stride (conv/winograd_tiles.c). */
bool bp_conv_can_winograd(const struct bp_conv_shape *s);

/* max_batch: the largest n of any call. The plan owns no large memory (index tables only). NULL when out of memory. */
struct bp_conv *bp_conv_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch);
void bp_conv_free(struct bp_conv *cv);
/* Bytes of scratch that any one call with at most `threads` threads uses (64-byte aligned, uninitialised,
 * contents not kept between calls, so all layers share one). */
size_t bp_conv_workspace(const struct bp_conv *cv, int threads);

/* y = act(conv(x, w) + bias). bias may be NULL. */
void bp_conv_forward(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x, const bp_real *w,
	const bp_real *bias, enum bp_act act, bp_real *y, void *ws);
/* dx = gradient through x; with accumulate, dx += it. */
void bp_conv_backward_data(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *dy,
	const bp_real *w, bool accumulate, bp_real *dx, void *ws);
/* dw and db (db may be NULL) are overwritten. */
void bp_conv_backward_weights(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x,
	const bp_real *dy, bp_real *dw, bp_real *db, void *ws);

/*
 * One pass with all that it may do at once. A batch norm before or after the convolution can be done as its maps pass
 * through, which saves sweeps over memory. The norms' scale, shift, mean and relu are read, and of `after` slope and
 * offset in backward (kernels/norm.h); rows is ignored.
 *
 *	forward		y = act(conv(before(x)) + bias); parts: the statistics of y
 *	backward	with g the gradient through y, dy itself or what `after` makes of it (then y is read): dw, db,
 *			dx. dx is the gradient through before(x); parts: the sums that `before` needs of it
 *
 * A convolution that does not do all of it (BP_CONV_THROUGH) has no `before` in forward and no `after`; in backward, x
 * is what `before` made of before_x, and parts are its sums.
 */
struct bp_conv_call {
	int n;
	const bp_real *x, *w, *bias; /* bias may be NULL */
	enum bp_act act;
	bp_real *y;
	const bp_real *dy;
	bp_real *dx, *dw, *db;        /* each may be NULL; no db without dw */
	bool accumulate;              /* dx += */
	bool takes_relu;              /* x is a ReLU's output, and dx goes through that too; bp_conv_takes_relu */
	const struct bp_mover *mover; /* of w by dw, or NULL; a way may tell it nothing */
	const struct bp_norm *before, *after; /* NULL: none */
	const bp_real *before_x;              /* or NULL: x is before's input */
	bp_real *parts;                       /* BP_NORM_STATS x channels a part, or NULL */
};

/* What it can do for batch norms: forward gives the statistics of y, backward the sums for the norm before, norms are
 * done as maps pass through. The last of them includes the others. */
enum { BP_CONV_STATS = 1, BP_CONV_SUMS = 2, BP_CONV_THROUGH = 4 };
unsigned bp_conv_norms(const struct bp_conv *cv);
/* Whether backward can take dx through the ReLU that made x; it does not accumulate then. */
bool bp_conv_takes_relu(const struct bp_conv *cv);
/* Into how many parts the statistics of n samples are cut, forward's of y or backward's of x, at most bp_conv_max_parts
 * for any n; and the rows (pixels) of one of forward's. */
size_t bp_conv_max_parts(const struct bp_conv *cv);
size_t bp_conv_parts(const struct bp_conv *cv, int n, bool backward);
size_t bp_conv_part_rows(const struct bp_conv *cv, int n, size_t part);
void bp_conv_forward_call(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws);
void bp_conv_backward_call(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws);

/* The plain C oracle of the three, one thread, no plan. */
void bp_conv_ref_forward(const struct bp_conv_shape *s, int n, const bp_real *x, const bp_real *w, const bp_real *bias,
	enum bp_act act, bp_real *y);
void bp_conv_ref_backward_data(
	const struct bp_conv_shape *s, int n, const bp_real *dy, const bp_real *w, bool accumulate, bp_real *dx);
void bp_conv_ref_backward_weights(
	const struct bp_conv_shape *s, int n, const bp_real *x, const bp_real *dy, bp_real *dw, bp_real *db);

#endif
