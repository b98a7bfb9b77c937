/*
 * conv.c - plans of convolutions and their passes (conv.h): which way takes which pass. Called by layers, on the
 * trainer's thread.
 */
#include "conv/plan.h"

#include "base/mem.h"

#include <stdlib.h>

/* Every way, the most special first: the first that fits takes a pass. The last one always fits. */
static const struct way *const ways[] = {
	&bp_way_dense,
	&bp_way_linear,
	&bp_way_depthwise,
	&bp_way_grouped,
	&bp_way_pointwise,
	&bp_way_exchanged,
	&bp_way_winograd,
	&bp_way_unshuffle,
	&bp_way_narrow,
	&bp_way_gemm,
};

static const struct way *way_of(const struct bp_conv *cv, enum pass pass, size_t n)
{
	const struct choice *c = &cv->choices[pass];
	return n <= c->limit ? c->few : c->any;
}

/* The first way that fits; of those for batches of any size, or of all. */
static const struct way *first_way(const struct bp_conv *cv, enum pass pass, bool any)
{
	size_t i = 0;
	while (!ways[i]->fits(cv, pass) || (any && ways[i]->limit))
		i++;
	return ways[i];
}

static void choose_ways(struct bp_conv *cv)
{
	for (enum pass p = 0; p < PASSES; p++) {
		const struct way *few = first_way(cv, p, false);
		cv->choices[p] = (struct choice){few, first_way(cv, p, true), few->limit ? few->limit(cv) : 0};
	}
	for (size_t i = 0; i < sizeof ways / sizeof *ways; i++) {
		bool used = false;
		for (enum pass p = 0; p < PASSES; p++)
			used |= cv->choices[p].any == ways[i];
		if (used && ways[i]->plan)
			ways[i]->plan(cv);
	}
}

/* A 1x1 convolution without stride or padding is one on a 1x1 map of as many samples as there were pixels. */
static void fold_pixels(struct bp_conv *cv)
{
	struct bp_conv_shape *s = &cv->s;
	if (s->kh != 1 || s->kw != 1 || s->sh != 1 || s->sw != 1 || s->h != s->oh || s->w != s->ow || s->pt || s->pl)
		return;
	cv->fold = (size_t)s->h * s->w;
	s->h = s->w = s->oh = s->ow = 1;
	cv->linear = s->groups == 1;
}

static struct bp_conv *plan_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch)
{
	struct bp_conv *cv = calloc(1, sizeof *cv);
	if (!cv)
		return NULL;
	cv->s = *s;
	cv->k = k;
	cv->fold = 1;
	cv->max_batch = (size_t)max_batch;
	if (!bp_depthwise_fits(s, k))
		fold_pixels(cv);
	if (bp_sides_new(cv))
		return cv;
	bp_conv_free(cv);
	return NULL;
}

struct bp_conv *bp_conv_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch)
{
	struct bp_conv *cv = plan_new(s, k, max_batch);
	if (!cv)
		return NULL;
	if (!bp_unshuffle_new(cv) || !bp_exchanged_new(cv) || !bp_narrow_new(cv)) {
		bp_conv_free(cv);
		return NULL;
	}
	choose_ways(cv);
	return cv;
}

struct bp_conv *bp_conv_plain_new(const struct bp_conv_shape *s, const struct bp_kernels *k, int max_batch)
{
	struct bp_conv *cv = plan_new(s, k, max_batch);
	if (cv)
		bp_way_gemm.plan(cv);
	return cv;
}

void bp_conv_free(struct bp_conv *cv)
{
	if (!cv)
		return;
	for (enum pass p = 0; p < PASSES; p++)
		bp_conv_free(cv->wide[p]);
	bp_conv_free(cv->cells);
	bp_conv_free(cv->exchanged);
	bp_zones_free(&cv->forward);
	bp_zones_free(&cv->backward);
	free(cv->forward.lattices);
	free(cv->backward.lattices);
	free(cv->bounds);
	free(cv);
}

size_t bp_conv_pass_workspace(const struct bp_conv *cv, enum pass pass, int threads)
{
	const size_t few = way_of(cv, pass, 1)->workspace(cv, pass, threads);
	const size_t any = way_of(cv, pass, cv->max_batch)->workspace(cv, pass, threads);
	return few > any ? few : any;
}

size_t bp_conv_workspace(const struct bp_conv *cv, int threads)
{
	size_t bytes = 0;
	for (enum pass p = 0; p < PASSES; p++) {
		const size_t wants = bp_conv_pass_workspace(cv, p, threads);
		bytes = wants > bytes ? wants : bytes;
	}
	return bytes;
}

static const struct way_norms *norms_of(const struct bp_conv *cv, bool backward)
{
	return cv->choices[backward ? PASS_DATA : PASS_FORWARD].any->norms;
}

unsigned bp_conv_norms(const struct bp_conv *cv)
{
	const struct way_norms *forward = norms_of(cv, false), *backward = norms_of(cv, true);
	unsigned does = 0;
	if (forward && forward->max_parts(cv, false))
		does |= BP_CONV_STATS | (forward->through ? BP_CONV_THROUGH : 0);
	if (backward && backward->max_parts(cv, true))
		does |= BP_CONV_SUMS;
	return does;
}

bool bp_conv_takes_relu(const struct bp_conv *cv)
{
	const struct choice *c = &cv->choices[PASS_DATA];
	return c->any->takes_relu && (!c->limit || c->few->takes_relu);
}

size_t bp_conv_max_parts(const struct bp_conv *cv)
{
	size_t parts = 0;
	for (int backward = 0; backward <= 1; backward++) {
		const struct way_norms *norms = norms_of(cv, backward);
		const size_t own = norms ? norms->max_parts(cv, backward) : 0;
		parts = own > parts ? own : parts;
	}
	return parts;
}

size_t bp_conv_parts(const struct bp_conv *cv, int n, bool backward)
{
	return norms_of(cv, backward)->parts(cv, (size_t)n, backward);
}

size_t bp_conv_part_rows(const struct bp_conv *cv, int n, size_t part)
{
	return norms_of(cv, false)->part_rows(cv, (size_t)n, part);
}

void bp_conv_forward_call(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	way_of(cv, PASS_FORWARD, (size_t)call->n)->forward(cv, ctx, call, ws);
}

void bp_conv_backward_call(
	const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	way_of(cv, PASS_WEIGHTS, (size_t)call->n)->backward(cv, ctx, call, ws);
}

void bp_backward_apart(const struct bp_conv *cv, const struct bp_ctx *ctx, const struct bp_conv_call *call, void *ws)
{
	if (call->dx) /* first, for a mover may change the weights */
		way_of(cv, PASS_DATA, (size_t)call->n)->data(cv, ctx, call, ws);
	if (call->dw)
		way_of(cv, PASS_WEIGHTS, (size_t)call->n)->weights(cv, ctx, call, ws);
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
