/* philox.c - numbers of the counter-based generator, many at a time (philox.h). Called by train/shuffle.c. */
#include "kernels/philox.h"

void KERNEL_NAME(philox)(uint64_t seed, uint32_t stream, uint32_t sub, uint64_t counter, size_t n, uint32_t *ret)
{
	const struct philox philox = philox_of(seed, stream, sub);
	for (size_t i = 0; i < n; i += PHILOX_ABREAST)
		philox_draw(&philox, counter + i, ret + 4 * i);
}
