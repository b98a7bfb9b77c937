/* shape.c - see shape.h. */
#include "base/shape.h"

#include <inttypes.h>
#include <stdio.h>

int64_t bp_elements_mul(int64_t a, int64_t b)
{
	int64_t product;
	if (a <= 0 || b <= 0 || __builtin_mul_overflow(a, b, &product) || product > BP_MAX_ELEMENTS)
		return -1;
	return product;
}

int64_t bp_shape_size(const struct bp_shape *s)
{
	if (s->ndim < 1 || s->ndim > BP_MAX_DIMS)
		return -1;
	int64_t size = 1;
	for (int i = 0; i < s->ndim && size > 0; i++)
		size = bp_elements_mul(size, s->dim[i]);
	return size;
}

bool bp_shape_equal(const struct bp_shape *a, const struct bp_shape *b)
{
	if (a->ndim != b->ndim)
		return false;
	for (int i = 0; i < a->ndim; i++)
		if (a->dim[i] != b->dim[i])
			return false;
	return true;
}

const char *bp_shape_text(const struct bp_shape *s, char *ret)
{
	int at = 0;
	ret[0] = '\0';
	for (int i = 0; i < s->ndim && i < BP_MAX_DIMS; i++)
		at += snprintf(ret + at, (size_t)(BP_SHAPE_TEXT - at), "%s%" PRId64, i ? "x" : "", s->dim[i]);
	return ret;
}
