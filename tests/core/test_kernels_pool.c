/* test_kernels_pool.c - cases of the pooling kernels (kernel_cases.h), on random windows. */
#include "kernel_cases.h"

#include "kernels/pool.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

enum { PLACES = 12, TAPS = 4 };

/* An axis with random windows: nothing here assumes that they slide evenly. Those of each second one lie apart, as far
 * as there is room for them. */
struct axis {
	struct bp_pool_axis a;
	int32_t first[PLACES], taps[PLACES], tap0[PLACES], span[PLACES];
	int32_t back[PLACES + 1], back_out[PLACES * TAPS], back_tap[PLACES * TAPS];
};

static void axis_init(struct axis *x, struct draw *d, int step)
{
	const bool apart = draw_int(d, 0, 1);
	x->a = (struct bp_pool_axis){draw_int(d, 1, PLACES), draw_int(d, 1, PLACES), step, TAPS + 2, apart, x->first,
		x->taps, x->tap0, x->span, x->back, x->back_out, x->back_tap};
	for (int o = 0, next = draw_int(d, 0, 1); o < x->a.out_count; o++) {
		const bool none = apart && next >= x->a.in;
		x->first[o] = none ? 0 : apart ? next : draw_int(d, 0, x->a.in - 1);
		int room = (x->a.in - 1 - x->first[o]) / x->a.step + 1;
		x->taps[o] = none ? 0 : draw_int(d, draw_int(d, 0, 9) == 0 ? 0 : 1, room < TAPS ? room : TAPS);
		next += x->taps[o] * x->a.step + draw_int(d, 0, 1);
		x->tap0[o] = draw_int(d, 0, 2);
		x->span[o] = x->taps[o] + draw_int(d, 0, 1) + (x->taps[o] == 0);
	}
	int at = 0;
	for (int i = 0; i < x->a.in; i++) {
		x->back[i] = at;
		for (int o = 0; o < x->a.out_count; o++) {
			for (int t = 0; t < x->taps[o]; t++) {
				if (x->first[o] + t * x->a.step != i)
					continue;
				x->back_out[at] = o;
				x->back_tap[at++] = x->tap0[o] + t;
			}
		}
	}
	x->back[x->a.in] = at;
}

struct pool_case {
	struct axis v, h;
	struct bp_pool pool;
	size_t nx, ny;
	bp_real *x, *y; /* y: the output, or dy */
	uint16_t *tap;  /* of each output, as plain C finds it */
	double *sum, *max;
};

/* Plain C over one output of one channel; NaN is larger than anything. */
static void reference(struct pool_case *t, int oy, int ox, int c)
{
	const struct bp_pool_axis *v = &t->v.a, *h = &t->h.a;
	size_t o = ((size_t)oy * (size_t)h->out_count + (size_t)ox) * (size_t)t->pool.c + (size_t)c;
	t->sum[o] = 0;
	t->max[o] = -INFINITY;
	t->tap[o] = BP_POOL_NO_TAP;
	for (int a = 0; a < v->taps[oy]; a++) {
		for (int b = 0; b < h->taps[ox]; b++) {
			int iy = v->first[oy] + a * v->step, ix = h->first[ox] + b * h->step;
			double x = t->x[((size_t)iy * (size_t)h->in + (size_t)ix) * (size_t)t->pool.c + (size_t)c];
			t->sum[o] += x;
			if (t->tap[o] == BP_POOL_NO_TAP || x > t->max[o] || isnan(x)) {
				t->max[o] = x;
				t->tap[o] = (uint16_t)((v->tap0[oy] + a) * h->kernel + h->tap0[ox] + b);
			}
		}
	}
}

/* Windows of averages have no gaps. */
static void pool_case_init(struct pool_case *t, struct draw *d, bool max)
{
	axis_init(&t->v, d, max ? draw_int(d, 1, 2) : 1);
	axis_init(&t->h, d, max ? draw_int(d, 1, 2) : 1);
	t->pool = (struct bp_pool){t->v.a, t->h.a, draw_int(d, 1, 40)};
	t->nx = (size_t)(t->v.a.in * t->h.a.in * t->pool.c);
	t->ny = (size_t)(t->v.a.out_count * t->h.a.out_count * t->pool.c);
	t->x = guard_new(t->nx);
	t->y = guard_new(t->ny);
	t->tap = calloc(t->ny, sizeof *t->tap);
	t->sum = calloc(t->ny, sizeof *t->sum);
	t->max = calloc(t->ny, sizeof *t->max);
	/* Few distinct values, so that there are ties. */
	for (size_t i = 0; i < t->nx; i++)
		t->x[i] = draw_int(d, 0, 200) == 0 ? NAN : (bp_real)draw_int(d, -3, 3);
	for (int oy = 0; oy < t->v.a.out_count; oy++)
		for (int ox = 0; ox < t->h.a.out_count; ox++)
			for (int c = 0; c < t->pool.c; c++)
				reference(t, oy, ox, c);
}

static void pool_case_done(struct pool_case *t)
{
	guard_free(t->x, t->nx);
	guard_free(t->y, t->ny);
	free(t->tap);
	free(t->sum);
	free(t->max);
}

void check_max_pool(const struct bp_kernels *k, struct draw *d)
{
	struct pool_case t;
	pool_case_init(&t, d, true);
	guard_freeze(t.x, t.nx);
	size_t row = (size_t)(t.h.a.out_count * t.pool.c);
	uint16_t *tap = calloc(t.ny, sizeof *tap);
	bool wants_tap = draw_bool(d), relu = draw_bool(d);
	for (int r = 0; r < t.v.a.out_count; r++)
		k->max_pool(&t.pool, r, t.x, relu, t.y + (size_t)r * row, wants_tap ? tap + (size_t)r * row : NULL);
	for (size_t i = 0; i < t.ny; i++) {
		if (isinf(t.max[i]))
			ck_assert(t.y[i] == (bp_real)-INFINITY);
		else
			check_near(k, "max_pool", i, t.y[i], t.max[i], 0);
		if (wants_tap)
			ck_assert_uint_eq(tap[i], relu && t.max[i] <= 0 ? BP_POOL_NO_TAP : t.tap[i]);
	}
	free(tap);
	pool_case_done(&t);
}

void check_avg_pool(const struct bp_kernels *k, struct draw *d)
{
	struct pool_case t;
	pool_case_init(&t, d, false);
	guard_freeze(t.x, t.nx);
	size_t row = (size_t)(t.h.a.out_count * t.pool.c);
	for (int r = 0; r < t.v.a.out_count; r++)
		k->avg_pool(&t.pool, r, t.x, t.y + (size_t)r * row);
	for (size_t i = 0; i < t.ny; i++) {
		size_t pixel = i / (size_t)t.pool.c, w = (size_t)t.h.a.out_count;
		double count = (double)t.v.span[pixel / w] * t.h.span[pixel % w];
		check_near(k, "avg_pool", i, t.y[i], t.sum[i] / count, rounding(TAPS * TAPS));
	}
	pool_case_done(&t);
}

/* What the outputs send back to place i; max: only to their maximum. */
static double sent_back(const struct pool_case *t, size_t i, bool max)
{
	const struct bp_pool_axis *v = &t->v.a, *h = &t->h.a;
	size_t c = (size_t)t->pool.c, pixel = i / c;
	int iy = (int)(pixel / (size_t)h->in), ix = (int)(pixel % (size_t)h->in);
	double sum = 0;
	for (int oy = 0; oy < v->out_count; oy++) {
		for (int ox = 0; ox < h->out_count; ox++) {
			int a = iy - v->first[oy], b = ix - h->first[ox];
			if (a < 0 || b < 0 || a % v->step || b % h->step || a / v->step >= v->taps[oy] ||
				b / h->step >= h->taps[ox])
				continue;
			int tap = (v->tap0[oy] + a / v->step) * h->kernel + h->tap0[ox] + b / h->step;
			size_t o = ((size_t)oy * (size_t)h->out_count + (size_t)ox) * c + i % c;
			if (max)
				sum += t->tap[o] == tap ? t->y[o] : 0;
			else
				sum += t->y[o] / ((double)t->v.span[oy] * t->h.span[ox]);
		}
	}
	return sum;
}

static void check_pool_grad(const struct bp_kernels *k, struct draw *d, bool max)
{
	struct pool_case t;
	pool_case_init(&t, d, max);
	bp_real *dx = guard_new(t.nx);
	bool acc = draw_bool(d);
	draw_reals(d, t.y, t.ny);
	guard_freeze(t.y, t.ny);
	for (size_t i = 0; acc && i < t.nx; i++)
		dx[i] = 1;
	size_t row = (size_t)(t.h.a.in * t.pool.c);
	for (int r = 0; r < t.v.a.in; r++) {
		if (max)
			k->max_pool_grad(&t.pool, r, t.y, t.tap, acc, dx + (size_t)r * row);
		else
			k->avg_pool_grad(&t.pool, r, t.y, acc, dx + (size_t)r * row);
	}
	for (size_t i = 0; i < t.nx; i++)
		check_near(k, "pool_grad", i, dx[i], sent_back(&t, i, max) + acc, rounding(PLACES * PLACES));
	guard_free(dx, t.nx);
	pool_case_done(&t);
}

void check_max_pool_grad(const struct bp_kernels *k, struct draw *d)
{
	check_pool_grad(k, d, true);
}

void check_avg_pool_grad(const struct bp_kernels *k, struct draw *d)
{
	check_pool_grad(k, d, false);
}
