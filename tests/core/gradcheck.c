/* gradcheck.c - see gradcheck.h. Used by the tests of layers, nets and losses; one thread. */
#include "gradcheck.h"

#include <check.h>
#include <math.h>
#include <stdio.h>

enum { WHY = 200 };

static const double step = 1e-5, tolerance = 1e-6;

/* What rounding in f can do to a central difference, with room: f is a sum of many terms. */
static double noise_of(double f)
{
	return 1e-14 * (1 + fabs(f)) / step;
}

bool gradcheck(const struct gradcheck *g, char *ret_why)
{
	size_t excused = 0, nonzero = 0;
	double noise = noise_of(g->value(g->user));
	for (size_t i = 0; i < g->n; i++) {
		bp_real v = g->v[i];
		g->v[i] = v + (bp_real)step;
		double above = g->value(g->user), width = (double)g->v[i];
		g->v[i] = v - (bp_real)step;
		double below = g->value(g->user);
		width -= (double)g->v[i];
		g->v[i] = v;
		double numeric = (above - below) / width, claimed = (double)g->gradient[i], d = fabs(numeric - claimed);
		nonzero += claimed != 0;
		if (d <= tolerance * fmax(fabs(numeric), fabs(claimed)))
			continue;
		if (!(d <= noise)) {
			snprintf(ret_why, WHY, "%s[%zu] is %.12g, but the difference quotient is %.12g", g->what, i,
				claimed, numeric);
			return false;
		}
		excused++;
	}
	if (excused * 20 > g->n) {
		snprintf(ret_why, WHY, "%s: %zu of %zu elements are lost in noise", g->what, excused, g->n);
		return false;
	}
	if (nonzero == 0) {
		snprintf(ret_why, WHY, "%s: all of the gradient is 0", g->what);
		return false;
	}
	return true;
}

void gradcheck_assert(const struct gradcheck *g)
{
	char why[WHY];
	ck_assert_msg(gradcheck(g, why), "%s", why);
}
