/*
 * linear.h - what the files of linear layers share: where weights lie, and how work is cut. Private to core/conv.
 */
#ifndef BP_CONV_LINEAR_H
#define BP_CONV_LINEAR_H

#include "conv/plan.h"

#include "base/panels.h"

static inline size_t weight_at(const struct bp_conv *cv, size_t i, size_t o)
{
	return cv->s.panels ? (size_t)bp_panel_at(cv->s.c, cv->s.oc, (int64_t)i, (int64_t)o) : i * cv->s.oc + o;
}

/* From input to input, of weights of output o. */
static inline size_t weight_ld(const struct bp_conv *cv, size_t o)
{
	return cv->s.panels ? (size_t)bp_panel_width(cv->s.oc, (int64_t)o) : (size_t)cv->s.oc;
}

/* linear.c: how many tasks a product of so many multiply-adds is cut into. */
size_t bp_linear_tasks(const struct bp_ctx *ctx, size_t work);

/* linear_weights.c: backward-weights, and what it uses of the workspace. */
run_fn bp_linear_weights_run;
size_t bp_linear_weights_workspace(const struct bp_conv *cv, int threads);

#endif
