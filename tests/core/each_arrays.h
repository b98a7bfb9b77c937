/* each_arrays.h - arrays for the cases of element-wise kernels (kernel_cases.h): random lengths, guarded, inputs
 * frozen. */
#ifndef TESTS_EACH_ARRAYS_H
#define TESTS_EACH_ARRAYS_H

#include "kernel_cases.h"

struct arrays {
	size_t n;
	bp_real *v, *dy, *y; /* two inputs, one output */
	bp_real before[600]; /* what the output holds, when acc */
	bool acc;
};

void arrays_init(struct arrays *a, struct draw *d);
void arrays_done(struct arrays *a);

/* Wide values, so that functions saturate; sometimes a zero, an infinity or a NaN. */
bp_real draw_any(struct draw *d);
/* Rounding of the elementary functions: a few units in the last place. */
static const double ulps = sizeof(bp_real) == 8 ? 1e-15 : 5e-7;
/* As check_near with that rounding; infinities are equal to themselves. */
void check_value(const struct bp_kernels *k, const char *where, size_t i, bp_real got, double want);

#endif
