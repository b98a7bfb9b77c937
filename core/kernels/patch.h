/* patch.h - the arguments of the kernel that gathers patches of maps with few channels. */
#ifndef BP_PATCH_H
#define BP_PATCH_H

#include "backprop.h"

enum { BP_PATCH_LINES = 64 };

/*
 * Row i of dst, i < count, is the runs at src[l] + i * step[l], l < lines, one behind the other. Copies go in whole
 * vectors: up to a vector past the rows of dst is overwritten, and sources are read past their runs, but not past end;
 * a source of step 0 (zeros) may be read a vector past its run.
 */
struct bp_patch {
	int count, lines;
	size_t run;
	const bp_real *src[BP_PATCH_LINES], *end;
	size_t step[BP_PATCH_LINES];
	bp_real *dst;
};

#endif
