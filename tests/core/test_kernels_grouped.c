/* test_kernels_grouped.c - cases of the kernels of convolutions in narrow groups, and of those with a channel
 * multiplier (kernel_cases.h says how cases are found). */
#include "kernel_cases.h"

#include "kernels/grouped.h"

#include <string.h>

void check_repeat(const struct bp_kernels *k, struct draw *d)
{
	const size_t n = draw_int(d, 1, 5 * k->vlen), m = draw_int(d, 1, 9);
	bp_real *x = guard_new(n), *y = guard_new(n * m);
	draw_reals(d, x, n);
	guard_freeze(x, n);
	k->repeat(n, m, x, y);
	for (size_t i = 0; i < n * m; i++)
		check_near(k, "repeat", i, y[i], x[i / m], 0);
	guard_free(x, n);
	guard_free(y, n * m);
}

void check_fold(const struct bp_kernels *k, struct draw *d)
{
	const size_t n = draw_int(d, 1, 5 * k->vlen), m = draw_int(d, 1, 9);
	const bool acc = draw_bool(d);
	bp_real *x = guard_new(n * m), *y = guard_new(n), *before = guard_new(n);
	draw_reals(d, x, n * m);
	draw_reals(d, before, n);
	guard_freeze(x, n * m);
	for (size_t i = 0; acc && i < n; i++)
		y[i] = before[i];
	k->fold(n, m, x, acc, y);
	for (size_t i = 0; i < n; i++) {
		double sum = acc ? before[i] : 0;
		for (size_t j = 0; j < m; j++)
			sum += x[i * m + j];
		check_near(k, "fold", i, y[i], sum, rounding(m));
	}
	guard_free(x, n * m);
	guard_free(y, n);
	guard_free(before, n);
}

/* A line of random sizes: points of a source `step` apart, taps that overlap it, panels with a gap between them. */
struct line {
	size_t points, channels, vlen;
	int kh, kw, per;
	size_t tap, step, row;    /* of the source */
	size_t source;            /* elements of it */
	size_t w_tap, panel, all; /* of the weights */
};

static struct line draw_line(const struct bp_kernels *k, struct draw *d)
{
	struct line l = {
		.points = draw_int(d, 1, 19), .vlen = k->vlen, .kh = draw_int(d, 0, 4), .kw = draw_int(d, 1, 4)};
	do
		l.per = 1 << draw_int(d, 1, 3);
	while (l.per > k->vlen);
	l.channels = l.per * (size_t)draw_int(d, 1, 4 * k->vlen / l.per);
	l.tap = l.channels + (draw_bool(d) ? draw_int(d, 0, 5) : 0);
	l.step = l.tap * draw_int(d, 1, 3);
	l.row = (l.points - 1) * l.step + l.kw * l.tap + draw_int(d, 0, 5);
	l.source = l.kh ? (l.kh - 1) * l.row + (l.points - 1) * l.step + (l.kw - 1) * l.tap + l.channels : 0;
	l.w_tap = l.per * l.vlen;
	l.panel = l.kh * l.kw * l.w_tap + draw_int(d, 0, 5);
	l.all = (l.channels + l.vlen - 1) / l.vlen * l.panel;
	return l;
}

/* The weight of a tap between channels j and j ^ r. */
static size_t weight_at(const struct line *l, size_t tap, size_t r, size_t j)
{
	return j / l->vlen * l->panel + tap * l->w_tap + r * l->vlen + j % l->vlen;
}

static size_t source_at(const struct line *l, size_t tap, size_t point, size_t j)
{
	return tap / l->kw * l->row + tap % l->kw * l->tap + point * l->step + j;
}

void check_grouped(const struct bp_kernels *k, struct draw *d)
{
	const struct line l = draw_line(k, d);
	const size_t y_step = l.channels + draw_int(d, 0, 3), y_size = (l.points - 1) * y_step + l.channels;
	const size_t taps = (size_t)l.kh * l.kw;
	bp_real *x = guard_new(l.source), *w = guard_new(l.all), *y = guard_new(y_size), *before = guard_new(y_size);
	bp_real *bias = guard_new(l.channels);
	draw_reals(d, x, l.source);
	draw_reals(d, w, l.all);
	draw_reals(d, before, y_size);
	draw_reals(d, bias, l.channels);
	memcpy(y, before, y_size * sizeof *y);
	guard_freeze(x, l.source);
	guard_freeze(w, l.all);
	struct bp_grouped p = {
		.points = l.points,
		.channels = l.channels,
		.kh = l.kh,
		.kw = l.kw,
		.per = l.per,
		.x = x,
		.x_line = (ptrdiff_t)l.row,
		.x_tap = (ptrdiff_t)l.tap,
		.x_step = (ptrdiff_t)l.step,
		.w = w,
		.w_line = (ptrdiff_t)(l.kw * l.w_tap),
		.w_tap = (ptrdiff_t)l.w_tap,
		.panel = l.panel,
		.y = y,
		.y_step = y_step,
		.bias = draw_bool(d) ? bias : NULL,
		.acc = draw_bool(d),
		.relu = draw_bool(d),
	};
	k->grouped(&p);
	for (size_t i = 0; i < y_size; i++) {
		const size_t point = i / y_step, j = i % y_step;
		double sum = p.acc ? before[i] : 0;
		for (size_t t = 0; j < l.channels && t < taps; t++)
			for (int r = 0; r < l.per; r++) /* from channel j ^ r */
				sum += (double)x[source_at(&l, t, point, j ^ r)] * w[weight_at(&l, t, r, j ^ r)];
		sum += j < l.channels && p.bias ? bias[j] : 0;
		sum = p.relu && sum < 0 ? 0 : sum;
		check_near(k, "grouped", i, y[i], j < l.channels ? sum : before[i], rounding(taps * l.per));
	}
	guard_free(x, l.source);
	guard_free(w, l.all);
	guard_free(y, y_size);
	guard_free(before, y_size);
	guard_free(bias, l.channels);
}

void check_grouped_weights(const struct bp_kernels *k, struct draw *d)
{
	struct line l = draw_line(k, d);
	l.step = l.channels; /* of G */
	const size_t x_step = l.channels + draw_int(d, 0, 5), x_size = (l.points - 1) * x_step + l.channels;
	const size_t taps = (size_t)l.kh * l.kw;
	bp_real *g = guard_new(l.source), *x = guard_new(x_size), *dw = guard_new(l.all), *before = guard_new(l.all);
	draw_reals(d, g, l.source);
	draw_reals(d, x, x_size);
	draw_reals(d, before, l.all);
	memcpy(dw, before, l.all * sizeof *dw);
	guard_freeze(g, l.source);
	guard_freeze(x, x_size);
	struct bp_grouped_weights p = {
		.points = l.points,
		.channels = l.channels,
		.kh = l.kh,
		.kw = l.kw,
		.per = l.per,
		.g = g,
		.g_line = (ptrdiff_t)l.row,
		.g_tap = (ptrdiff_t)l.tap,
		.x = x,
		.x_step = x_step,
		.dw = dw,
		.w_line = (ptrdiff_t)(l.kw * l.w_tap),
		.w_tap = (ptrdiff_t)l.w_tap,
		.panel = l.panel,
	};
	k->grouped_weights(&p);
	for (size_t t = 0; t < taps; t++)
		for (int r = 0; r < l.per; r++)
			for (size_t j = 0; j < l.channels; j++) {
				const size_t at = weight_at(&l, t, r, j);
				double sum = before[at];
				for (size_t i = 0; i < l.points; i++)
					sum += (double)g[source_at(&l, t, i, j)] * x[i * x_step + (j ^ r)];
				check_near(k, "grouped dw", at, dw[at], sum, rounding(l.points + 1) * 2);
			}
	guard_free(g, l.source);
	guard_free(x, x_size);
	guard_free(dw, l.all);
	guard_free(before, l.all);
}
