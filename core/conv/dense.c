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

bool bp_dense_fits(const struct bp_conv *cv, size_t n)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	return cv->linear && c <= DENSE_WORK && oc <= DENSE_WORK && n * cv->fold <= DENSE_WORK &&
	       c * oc * n * cv->fold <= DENSE_WORK;
}

size_t bp_dense_workspace(const struct bp_conv *cv)
{
	return bp_dense_fits(cv, 1) ? round_up((size_t)cv->s.c * cv->s.oc * sizeof(bp_real), BP_ALIGN) : 0;
}

void bp_dense_forward(const struct bp_conv *cv, const struct gemm_call *call)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	cv->k->dense(&(struct bp_dense){
		call->n, c, oc, call->in, c, 1, call->w, oc, call->bias, call->acc, call->relu, call->out, oc});
}

void bp_dense_backward_data(const struct bp_conv *cv, const struct gemm_call *call, bp_real *ws)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	cv->k->transpose(c, oc, call->w, false, ws);
	cv->k->dense(&(struct bp_dense){call->n, oc, c, call->in, oc, 1, ws, c, NULL, call->acc, false, call->out, c});
}

void bp_dense_backward_weights(const struct bp_conv *cv, const struct weights_call *call)
{
	const size_t c = (size_t)cv->s.c, oc = (size_t)cv->s.oc;
	cv->k->dense(&(struct bp_dense){c, call->n, oc, call->x, 1, c, call->dy, oc, NULL, false, false, call->dw, oc});
	if (call->db)
		cv->k->column_sums(call->n, oc, call->dy, oc, false, call->db);
}
