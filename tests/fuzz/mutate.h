/* mutate.h - how libFuzzer changes the inputs of each target of targets.def. One thread. */
#ifndef TESTS_FUZZ_MUTATE_H
#define TESTS_FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

/* Each changes an input in place, to at most max_size bytes, and returns its new size. */
typedef size_t fuzz_mutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
#define FUZZ_TARGET(name, mutator, max_bytes, max_mib) fuzz_mutator mutator;
#include "fuzz/targets.def"

/* libFuzzer's own changes of bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
