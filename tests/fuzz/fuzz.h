/* fuzz.h - what libFuzzer calls, and the replay of its corpus (replay.c) too. One thread. */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/* Takes any bytes as the body of a model; aborts when something is not as it should be. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Changes a body in place, to at most max_size bytes; returns its new size. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
/* libFuzzer's own changes of bytes. */
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);

#endif
