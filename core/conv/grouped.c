/*
 * grouped.c - what differs where groups are narrower than a vector, but not of one channel: the kernels and the order
 * of their weights (kernels/grouped.h). Called by depthwise.c, whose lines these share, on any thread.
 */
#include "conv/plan.h"

#include "kernels/depthwise.h"
#include "kernels/grouped.h"

bool bp_grouped_fits(const struct bp_conv_shape *s, const struct bp_kernels *k)
{
	const int per = (int)group_channels(s);
	return s->c == s->oc && per > 1 && per <= BP_GROUPED_LARGEST && per < k->vlen && k->vlen % per == 0;
}

size_t bp_grouped_panels(const struct bp_conv *cv)
{
	return divide_up(cv->s.c, cv->k->vlen);
}

size_t bp_grouped_panel(const struct bp_conv *cv)
{
	return (size_t)cv->s.kh * cv->s.kw * group_channels(&cv->s) * cv->k->vlen;
}

/* Where element `at` of panel i has its weight among those of its tap: from channel j to j ^ r, or, for dx, the other
 * way. False past the last channel. */
static bool place_of(const struct bp_conv *cv, bool forward, size_t i, size_t at, size_t *ret)
{
	const size_t vlen = cv->k->vlen, c = cv->s.c, mask = group_channels(&cv->s) - 1;
	const size_t r = at / vlen & mask, j = i * vlen + at % vlen, tap = at / vlen / (mask + 1);
	*ret = tap * (mask + 1) * c + (forward ? (j & mask) * c + (j ^ r) : ((j ^ r) & mask) * c + j);
	return j < c;
}

void bp_grouped_turn(const struct bp_conv *cv, bool forward, size_t i, const bp_real *w, bp_real *ret)
{
	size_t from;
	for (size_t at = 0; at < bp_grouped_panel(cv); at++)
		ret[at] = place_of(cv, forward, i, at, &from) ? w[from] : 0;
}

void bp_grouped_turn_back(const struct bp_conv *cv, size_t i, const bp_real *dw, bp_real *ret)
{
	size_t to;
	for (size_t at = 0; at < bp_grouped_panel(cv); at++)
		if (place_of(cv, false, i, at, &to))
			ret[to] = dw[at];
}

void bp_grouped_forward(const struct bp_conv *cv, const struct bp_depthwise *d)
{
	const struct bp_depthwise_line *l = &d->line;
	struct bp_grouped g = {
		.points = l->points,
		.channels = l->channels,
		.kh = l->kh,
		.kw = l->kw,
		.per = (int)group_channels(&cv->s),
		.x = l->x,
		.x_line = (ptrdiff_t)l->line_step,
		.x_tap = (ptrdiff_t)l->tap_step,
		.x_step = (ptrdiff_t)l->step,
		.w = d->w,
		.w_line = d->w_step * l->kw,
		.w_tap = d->w_step,
		.panel = bp_grouped_panel(cv),
		.y = d->y,
		.y_step = l->channels,
		.bias = d->bias,
		.acc = d->acc,
		.relu = d->relu,
		.ahead = d->ahead,
	};
	cv->k->grouped(&g);
}

void bp_grouped_backward(const struct bp_conv *cv, const struct bp_depthwise_backward *d)
{
	const int per = (int)group_channels(&cv->s);
	struct bp_grouped_weights w = {
		.points = d->points,
		.channels = d->channels,
		.kh = d->kh,
		.kw = d->kw,
		.per = per,
		.g = d->g,
		.g_line = d->g_line,
		.g_tap = d->g_tap,
		.x = d->x,
		.x_step = d->step,
		.dw = d->dw,
		.w_line = d->w_line,
		.w_tap = d->w_tap,
		.panel = bp_grouped_panel(cv),
	};
	struct bp_grouped x = {
		.points = d->points,
		.channels = d->channels,
		.kh = d->kh,
		.kw = d->kw,
		.per = per,
		.x = d->g,
		.x_line = d->g_line,
		.x_tap = d->g_tap,
		.x_step = (ptrdiff_t)d->channels,
		.w = d->w,
		.w_line = d->w_line,
		.w_tap = d->w_tap,
		.panel = bp_grouped_panel(cv),
		.y = d->dx,
		.y_step = d->step,
		.acc = d->acc,
		.ahead = d->ahead,
	};
	if (d->dw)
		cv->k->grouped_weights(&w);
	if (d->dx)
		cv->k->grouped(&x);
}
