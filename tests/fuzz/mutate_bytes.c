/* mutate_bytes.c - for formats that libFuzzer's own changes of bytes serve. */
#include "fuzz/mutate.h"

size_t mutate_bytes(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	(void)seed;
	return LLVMFuzzerMutate(data, size, max_size);
}
