/*
 * bands.h - what the passes of a depthwise convolution share (depthwise.c, depthwise_backward.c): the job of a call,
 * the bands of lines that maps are cut into, and what is asked for ahead of them.
 */
#ifndef BP_CONV_BANDS_H
#define BP_CONV_BANDS_H

#include "conv/plan.h"

#include <string.h>

struct bands_job {
	const struct bp_conv *cv;
	struct bp_conv_call call;
	size_t bands, chunks; /* bands of a map; parts of the batch's bands */
	bp_real *parts, *bias_parts;
	bp_real *turned; /* of groups: the weights, later their gradient, as the kernels have them */
};

/* A band: lines [o0, o1) of y and [i0, i1) of dx, of one map. */
struct band {
	size_t image, part, o0, o1, i0, i1;
};

/* Lines that the kernels ask for while they are at work on one (kernels/depthwise.h). */
enum { AHEAD_LINES = 6 };
struct lines_ahead {
	const bp_real *at[AHEAD_LINES + 1]; /* up to the first NULL */
	int n;
};

static inline struct band band_at(const struct bands_job *j, size_t part)
{
	const struct bp_conv_shape *s = &j->cv->s;
	size_t b = part % j->bands;
	return (struct band){part / j->bands, part, b * s->oh / j->bands, (b + 1) * s->oh / j->bands,
		b * s->h / j->bands, (b + 1) * s->h / j->bands};
}

static inline void clear(bp_real *p, size_t n)
{
	memset(p, 0, n * sizeof *p);
}

/* Adds n elements at p, in lines of `length`: as many as there is room for. */
static inline void lines_add(struct lines_ahead *a, const bp_real *p, size_t n, size_t length)
{
	for (size_t done = 0; p && done < n && a->n < AHEAD_LINES; done += length)
		a->at[a->n++] = p + done;
}

/* From tap to tap of the weights, as the kernels have them, and of all. */
static inline size_t tap_weights(const struct bp_conv *cv)
{
	return has_groups(cv) ? group_channels(&cv->s) * cv->k->vlen : (size_t)cv->s.oc;
}
static inline size_t weights_size(const struct bp_conv *cv)
{
	return has_groups(cv) ? bp_grouped_panels(cv) * bp_grouped_panel(cv) : (size_t)cv->s.kh * cv->s.kw * cv->s.oc;
}

/* Lines of scratch beside a band's: x and dx as wide as y, for a multiplier; x with the norm before applied, which the
 * kernels of groups do not do. */
static inline size_t spare_lines(const struct bp_conv *cv)
{
	return multiplier(&cv->s) > 1 ? 2 : has_groups(cv) ? 1 : 0;
}

/* The panels that weights are turned and their gradients summed by. */
static inline size_t panel_count(const struct bp_conv *cv)
{
	return has_groups(cv) ? bp_grouped_panels(cv) : 1;
}

/* depthwise_backward.c: tasks of a struct bands_job, one for each of its chunks; then one for each panel of weights,
 * and one for the bias. */
void bp_bands_backward_task(const void *job, size_t i, void *scratch);
void bp_bands_sum_task(const void *job, size_t i, void *scratch);

#endif
