/* each_arrays.c - see each_arrays.h. Used by the tests of kernels; one thread. */
#include "each_arrays.h"

#include <check.h>
#include <math.h>

void check_value(const struct bp_kernels *k, const char *where, size_t i, bp_real got, double want)
{
	if (isinf(want) && got != (bp_real)want)
		ck_abort_msg("%s: %s[%zu] is %g, not %g", k->name, where, i, (double)got, want);
	if (!isinf(want))
		check_near(k, where, i, got, want, ulps);
}

bp_real draw_any(struct draw *d)
{
	switch (draw_int(d, 0, 40)) {
	case 0:
		return 0;
	case 1:
		return NAN;
	case 2:
		return draw_bool(d) ? INFINITY : -INFINITY;
	}
	return draw_real(d) * (bp_real)pow(10, draw_int(d, -4, 2));
}

void arrays_init(struct arrays *a, struct draw *d)
{
	a->n = (size_t)draw_int(d, 0, 500);
	a->v = guard_new(a->n);
	a->dy = guard_new(a->n);
	a->y = guard_new(a->n);
	a->acc = draw_bool(d);
	for (size_t i = 0; i < a->n; i++) {
		a->v[i] = draw_any(d);
		a->dy[i] = draw_real(d);
		a->before[i] = draw_real(d);
		if (a->acc)
			a->y[i] = a->before[i];
	}
	guard_freeze(a->v, a->n);
	guard_freeze(a->dy, a->n);
}

void arrays_done(struct arrays *a)
{
	guard_free(a->v, a->n);
	guard_free(a->dy, a->n);
	guard_free(a->y, a->n);
}
