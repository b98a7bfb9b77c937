/*
 * zone.c - cuts the lattices of maps into zones, whose points read through the same taps inside the map. Called
 * by side.c when a plan is made.
 *
 * At the border of a map taps see only padding. In a 2x2 map a 3x3 kernel has 4 of 9 taps inside, so most of what is
 * multiplied would be zeros. A zone is a lattice of those points that have the same taps inside, and of these taps
 * alone; a corner's points come from all images of the batch, so tiles stay full. A zone reads the weights that were
 * packed for its lattice. Measured on AVX2, forward and backward-data: 2x2 maps with 3x3 kernels 1.7 to 2.1 times as
 * fast as with the zeros, 4x4 with 5x5 1.7, 4x4 with 3x3 1.4, 8x8 with 5x5 1.25, with 3x3 or a stride of 2 1.1.
 */
#include "conv/plan.h"

#include <limits.h>
#include <stdlib.h>

enum {
	SPANS = 16,        /* of an axis, at most: more are large kernels on maps that have an inside */
	WORTH_PERCENT = 95 /* of the taps inside, at most: above, the shorter tiles cost what is saved */
};

/* Points of an axis [from, from + n) that have taps [tap, tap + taps) inside. */
struct span {
	int from, n, tap, taps;
};
struct spans {
	int n;
	struct span list[SPANS];
	size_t inside; /* pairs of point and tap */
};

/* An axis of a lattice: point i reads the source at + i * step + t * tap_step through tap t. */
struct axis {
	int points, at, step, taps, tap_step, size;
};

/* How many points from one that reads at `at` on read below `limit`. */
static int points_below(const struct axis *a, int at, int64_t limit)
{
	const int64_t n = limit > at ? (limit - at + a->step - 1) / a->step : 1;
	return n < INT_MAX ? (int)n : INT_MAX;
}

/* From span to span, for an axis may have a hundred million points. False when there are too many. */
static bool find_spans(const struct axis *a, struct spans *ret)
{
	ret->n = 0;
	ret->inside = 0;
	for (int i = 0, n; i < a->points; i += n) {
		const int at = a->at + i * a->step;
		const int first = least(most(divide_ceil(-at, a->tap_step), 0), a->taps);
		const int end = most(least(divide_ceil(a->size - at, a->tap_step), a->taps), 0);
		const int taps = most(end - first, 0), tap = taps ? first : 0;
		/* The tap before the first comes inside, or the last goes out. */
		n = a->points - i;
		n = first > 0 ? least(n, points_below(a, at, -(int64_t)(first - 1) * a->tap_step)) : n;
		n = end > 0 ? least(n, points_below(a, at, a->size - (int64_t)(end - 1) * a->tap_step)) : n;
		struct span *last = ret->n ? &ret->list[ret->n - 1] : NULL;
		if (last && last->tap == tap && last->taps == taps)
			last->n += n;
		else if (ret->n == SPANS)
			return false;
		else
			ret->list[ret->n++] = (struct span){i, n, tap, taps};
		ret->inside += (size_t)n * taps;
	}
	return true;
}

/* Both axes of lattice l; false when there are too many spans, or no taps. */
static bool lattice_spans(const struct side *sd, const struct lattice *l, struct spans *ret_y, struct spans *ret_x)
{
	const struct axis y = {l->h, l->iy, l->isy, l->nky, l->ty, sd->in_h};
	const struct axis x = {l->w, l->ix, l->isx, l->nkx, l->tx, sd->in_w};
	return lattice_taps(l) > 0 && find_spans(&y, ret_y) && find_spans(&x, ret_x);
}

static struct lattice zone_of(const struct lattice *l, const struct span *y, const struct span *x)
{
	struct lattice z = *l;
	z.h = y->n;
	z.w = x->n;
	z.y0 += y->from * l->sy;
	z.x0 += x->from * l->sx;
	z.iy += y->from * l->isy + y->tap * l->ty;
	z.ix += x->from * l->isx + x->tap * l->tx;
	z.nky = x->taps ? y->taps : 0;
	z.nkx = y->taps ? x->taps : 0;
	z.ky += y->tap * l->kys;
	z.kx += x->tap * l->kxs;
	z.first_tap = (size_t)y->tap * l->nkx + x->tap;
	z.inside = x->taps && y->taps;
	return z;
}

/*
 * Whether taps of a line are neighbours in memory. In a zone, whose taps all lie inside the map, the tiles then read a
 * line of them as one tap of all its values: fewer pointers to make and to load, and nothing to gather. One thread,
 * AVX-512, forward: 16 channels 5x5 112 -> 136 GFLOP/s, 7x7 118 -> 150, 32 and 64 channels 3 to 6 % more; first layers,
 * whose patches were gathered before, 1 -> 32 channels 3x3 62 -> 76, 3 -> 32 5x5 97 -> 128, 3 -> 64 7x7 stride 2 122 ->
 * 152.
 */
static bool joins(const struct side *sd)
{
	bool many = false;
	for (int i = 0; i < sd->nlattices; i++) {
		if (sd->lattices[i].tx != 1 || sd->kg != sd->in_c)
			return false;
		many = many || sd->lattices[i].nkx > 1;
	}
	return many;
}

/* How many zones there are when it is worth it, else 0; and the pairs of target and tap inside, or all that there are
 * where they were not counted. */
static size_t count_zones(const struct side *sd, size_t *ret_inside)
{
	size_t n = 0, all = 0, inside = 0;
	struct spans y, x;
	bool cut = sd->nlattices <= SPANS && (joins(sd) || !bp_side_wants_patches(sd));
	for (int i = 0; i < sd->nlattices; i++) {
		const struct lattice *l = &sd->lattices[i];
		all += lattice_points(l) * lattice_taps(l);
		cut = cut && lattice_spans(sd, l, &y, &x);
		n += cut ? (size_t)y.n * x.n : 0;
		inside += cut ? y.inside * x.inside : 0;
	}
	*ret_inside = cut ? inside : all;
	return cut && (joins(sd) || inside * 100 <= all * WORTH_PERCENT) ? n : 0;
}

bool bp_zones_new(struct side *sd)
{
	const size_t n = count_zones(sd, &sd->inside);
	size_t taps = 0;
	sd->zones = sd->lattices;
	sd->nzones = sd->nlattices;
	if (!n)
		return true;
	sd->joined = joins(sd);
	for (int i = 0; i < sd->nlattices; i++)
		taps = (size_t)sd->lattices[i].nkx > taps ? (size_t)sd->lattices[i].nkx : taps;
	sd->zones = malloc(n * (sizeof *sd->zones + 2 * taps * sizeof(int)));
	if (!sd->zones)
		return false;
	sd->nzones = 0;
	int *bounds = (int *)(sd->zones + n);
	for (int i = 0; i < sd->nlattices; i++) {
		struct spans y, x;
		lattice_spans(sd, &sd->lattices[i], &y, &x);
		for (int j = 0; j < y.n * x.n; j++) {
			struct lattice *z = &sd->zones[sd->nzones++];
			*z = zone_of(&sd->lattices[i], &y.list[j / x.n], &x.list[j % x.n]);
			z->lo = bounds;
			z->hi = bounds + z->nkx;
			for (int b = 0; b < z->nkx; b++) {
				bounds[b] = 0;
				bounds[z->nkx + b] = z->w;
			}
			bounds += 2 * z->nkx;
		}
	}
	return true;
}

void bp_zones_free(struct side *sd)
{
	if (sd->zones != sd->lattices)
		free(sd->zones);
}
