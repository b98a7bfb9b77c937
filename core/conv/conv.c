/*
 * conv.c - plans of convolutions and their three passes (conv.h). Called by layers, on the trainer's thread.
 */
#include "conv/conv.h"

#include <stdlib.h>

struct bp_conv {
	struct bp_conv_shape s;
};

struct bp_conv *bp_conv_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch)
{
	(void)k, (void)max_batch;
	struct bp_conv *cv = malloc(sizeof *cv);
	if (cv)
		cv->s = *s;
	return cv;
}

void bp_conv_free(struct bp_conv *cv)
{
	free(cv);
}

size_t bp_conv_workspace(const struct bp_conv *cv, int threads)
{
	(void)cv, (void)threads;
	return 0;
}

void bp_conv_forward(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x, const bp_real *w,
	const bp_real *bias, enum bp_act act, bp_real *y, void *ws)
{
	(void)ctx, (void)ws;
	bp_conv_ref_forward(&cv->s, n, x, w, bias, act, y);
}

void bp_conv_backward_data(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *dy,
	const bp_real *w, bool accumulate, bp_real *dx, void *ws)
{
	(void)ctx, (void)ws;
	bp_conv_ref_backward_data(&cv->s, n, dy, w, accumulate, dx);
}

void bp_conv_backward_weights(const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const bp_real *x,
	const bp_real *dy, bp_real *dw, bp_real *db, void *ws)
{
	(void)ctx, (void)ws;
	bp_conv_ref_backward_weights(&cv->s, n, x, dy, dw, db);
}
