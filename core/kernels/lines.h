/* lines.h - walking along lines of a map, and asking for those that come next; for the kernels of depthwise and grouped
 * convolutions. */
#ifndef BP_LINES_H
#define BP_LINES_H

#include "kernels/vec.h"

/* p + n. The compiler sees a pointer like any other: it would make the addresses of all inputs before the loop over
 * channels, and load each one from the stack: a 3x3 takes 0.8 of that time now, with stride 2 0.7. */
VEC_INLINE const bp_real *walk(const bp_real *p, ptrdiff_t n)
{
	p += n;
	__asm__("" : "+r"(p));
	return p;
}

/* Asks for the vector at element `at` of points [p, p + n), of `step` elements, of each of the lines: a few loads among
 * the many multiply-adds of a strip, where bursts of them wait for each other. A cache line is asked for once. */
VEC_INLINE void ask_lines(const bp_real *const *lines, size_t p, const int n, size_t step, size_t at)
{
	if (!lines || at * sizeof **lines % 64)
		return;
	for (; *lines; lines++) {
		const bp_real *line = *lines + p * step + at;
#pragma GCC unroll 8
		for (int i = 0; i < n; i++, line = walk(line, (ptrdiff_t)step))
			__builtin_prefetch(line, 0, 2);
	}
}

#endif
