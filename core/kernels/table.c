/* table.c - the kernels of one instruction set, gathered from kernels.def. Compiled once for each; read by kernels.c.
 */
#include "kernels/vec.h"

#define TEXT2(x) #x
#define TEXT(x) TEXT2(x)

extern const struct bp_kernels KERNEL_NAME(kernels);

const struct bp_kernels KERNEL_NAME(kernels) = {
	.name = TEXT(BP_ISA),
	.vlen = VLEN,
	.tall = {TALL_ROWS, TALL_VECS *VLEN},
	.wide = {WIDE_ROWS, WIDE_VECS *VLEN},
	.idot_rows = {IDOT_ROWS(1), IDOT_ROWS(2), IDOT_ROWS(3), IDOT_ROWS(4)},
#define KERNEL(name, ret, args) .name = KERNEL_NAME(name),
#include "kernels/kernels.def"
};
