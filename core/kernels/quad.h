/* quad.h - squares of four by four elements, transposed; for kernels that turn matrices. */
#ifndef BP_QUAD_H
#define BP_QUAD_H

#include "kernels/vec.h"

typedef bp_real quad __attribute__((vector_size(4 * sizeof(bp_real))));
typedef bp_real quad_memory __attribute__((vector_size(4 * sizeof(bp_real)), aligned(sizeof(bp_real)), may_alias));

/* Four lines of four elements at x, each ldx after the one before, to the columns of those at y. */
VEC_INLINE void turn_quad(const bp_real *x, size_t ldx, bool acc, bp_real *y, size_t ldy)
{
	quad a = *(const quad_memory *)x, b = *(const quad_memory *)(x + ldx);
	quad c = *(const quad_memory *)(x + 2 * ldx), d = *(const quad_memory *)(x + 3 * ldx);
	quad ab = __builtin_shufflevector(a, b, 0, 4, 1, 5), ab2 = __builtin_shufflevector(a, b, 2, 6, 3, 7);
	quad cd = __builtin_shufflevector(c, d, 0, 4, 1, 5), cd2 = __builtin_shufflevector(c, d, 2, 6, 3, 7);
	quad t[4] = {__builtin_shufflevector(ab, cd, 0, 1, 4, 5), __builtin_shufflevector(ab, cd, 2, 3, 6, 7),
		__builtin_shufflevector(ab2, cd2, 0, 1, 4, 5), __builtin_shufflevector(ab2, cd2, 2, 3, 6, 7)};
	for (int i = 0; i < 4; i++) {
		quad_memory *at = (quad_memory *)(y + (size_t)i * ldy);
		if (acc)
			t[i] += *at;
		*at = t[i];
	}
}

#endif
