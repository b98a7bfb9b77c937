/*
 * glu.c - the gated linear unit of rows, and its gradient (Dauphin et al., "Language modeling with gated convolutional
 * networks", 2017). Called by layers/glu.c, inside its parallel loops.
 */
#include "kernels/exp.h"

VEC_INLINE int width(size_t c, size_t j)
{
	return c - j < (size_t)VLEN ? (int)(c - j) : VLEN;
}

void KERNEL_NAME(glu)(size_t rows, size_t c, const bp_real *x, bp_real *y)
{
	vec slope;
	for (size_t r = 0; r < rows; r++, x += 2 * c, y += c)
		for (size_t j = 0; j < c; j += VLEN) {
			int n = width(c, j);
			vec_store_part(
				y + j, vec_load_part(x + j, n) * vec_sigmoid(vec_load_part(x + c + j, n), &slope), n);
		}
}

/* Of y = a s(b): s(b) dy for a, a s'(b) dy for b. */
void KERNEL_NAME(glu_grad)(size_t rows, size_t c, const bp_real *x, const bp_real *dy, bool acc, bp_real *dx)
{
	vec slope;
	for (size_t r = 0; r < rows; r++, x += 2 * c, dx += 2 * c, dy += c)
		for (size_t j = 0; j < c; j += VLEN) {
			int n = width(c, j);
			vec a = vec_load_part(x + j, n), d = vec_load_part(dy + j, n);
			vec da = d * vec_sigmoid(vec_load_part(x + c + j, n), &slope), db = d * a * slope;
			vec_store_part(dx + j, acc ? vec_load_part(dx + j, n) + da : da, n);
			vec_store_part(dx + c + j, acc ? vec_load_part(dx + c + j, n) + db : db, n);
		}
}
