/*
 * entry.c - what libFuzzer calls, one program a target: the Makefile names the line of targets.def, TARGET and
 * its MUTATOR. One thread.
 */
#include "fuzz/mutate.h"

#define JOIN_(a, b) a##b
#define JOIN(a, b) JOIN_(a, b)

void JOIN(fuzz_, TARGET)(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
fuzz_mutator LLVMFuzzerCustomMutator;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	JOIN(fuzz_, TARGET)(data, size);
	return 0;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return MUTATOR(data, size, max_size, seed);
}
