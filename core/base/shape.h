/*
 * shape.h - sizes with overflow checks. Pure functions; any thread.
 */
#ifndef BP_BASE_SHAPE_H
#define BP_BASE_SHAPE_H

#include "backprop.h"

/* The largest number of elements of any one array. */
#define BP_MAX_ELEMENTS ((int64_t)1 << 40)

/* a * b when both are positive and the product is at most BP_MAX_ELEMENTS, else -1. */
int64_t bp_elements_mul(int64_t a, int64_t b);
bool bp_shape_equal(const struct bp_shape *a, const struct bp_shape *b);
/* Height, width and channels of a shape; a sequence is a map of one row, a flat shape one of 1x1. */
static inline int64_t bp_shape_h(const struct bp_shape *s)
{
	return s->ndim == 3 ? s->dim[1] : 1;
}
static inline int64_t bp_shape_w(const struct bp_shape *s)
{
	return s->ndim > 1 ? s->dim[s->ndim - 1] : 1;
}
static inline int64_t bp_shape_c(const struct bp_shape *s)
{
	return s->dim[0];
}
/* "64x32x32" into ret, which holds BP_SHAPE_TEXT bytes; returns ret. */
enum { BP_SHAPE_TEXT = 72 };
const char *bp_shape_text(const struct bp_shape *s, char *ret);

#endif
