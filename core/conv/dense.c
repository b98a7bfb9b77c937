/*
 * dense.c - linear layers with little work, such as those of a net for a handful of features: each pass is one kernel
 * call on the arrays as they lie. Called by conv.c on the trainer's thread.
 *
 * The general way packs weights, makes row pointers and cuts tasks; for 16 samples of 4 features and 16 outputs that
 * costs ten times the sums themselves.
 */
#include "conv/plan.h"

#include "base/mem.h"
#include "kernels/dense.h"

enum { DENSE_WORK = 1 << 16 /* multiply-adds; above, the general way is as fast */ };

static bool fits(const struct bp_conv *cv, enum pass pass)
{
	(void)pass;
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	return cv->linear && cv->fold == 1 && !cv->s.panels && c <= DENSE_WORK && oc <= DENSE_WORK &&
	       c * oc <= DENSE_WORK;
}

static size_t limit(const struct bp_conv *cv)
{
	return DENSE_WORK / ((size_t)cv->s.c * cv->s.oc);
}

static size_t workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	(void)threads;
	return pass == PASS_DATA ? round_up((size_t)cv->s.c * cv->s.oc * sizeof(bp_real), BP_ALIGN) : 0;
}

static void forward(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	(void)ctx, (void)ws;
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	cv->k->dense(&(struct bp_dense){(size_t)call->n, c, oc, call->x, c, 1, call->w, oc, call->bias, false,
		call->act == BP_ACT_RELU, call->y, oc, NULL});
}

static void data(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	(void)ctx;
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	cv->k->transpose(c, oc, call->w, false, ws);
	cv->k->dense(&(struct bp_dense){
		(size_t)call->n, oc, c, call->dy, oc, 1, ws, c, NULL, call->accumulate, false, call->dx, c, NULL});
}

static void weights(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	(void)ctx, (void)ws;
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc, n = (size_t)call->n;
	cv->k->dense(
		&(struct bp_dense){c, n, oc, call->x, 1, c, call->dy, oc, NULL, false, false, call->dw, oc, call->db});
}

const struct way bp_way_dense = {
	.fits = fits,
	.limit = limit,
	.workspace = workspace,
	.forward = forward,
	.backward = bp_backward_apart,
	.weights = weights,
	.data = data,
};
