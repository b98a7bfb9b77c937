/*
 * fuzz.h - the targets of targets.def and what they share. Run by libFuzzer (entry.c, make fuzz) and by the replay of
 * the corpus in the unit tests (replay.c). One thread.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/problem.h"

#define FUZZ_TARGET(name, mutator, max_bytes, max_mib) void fuzz_##name(const uint8_t *data, size_t size);
#include "fuzz/targets.def"

/* Aborts when what should be so is not. */
void must(bool ok, const char *what);
/* What a client is told: a code, and text that JSON can hold. */
void must_tell(const struct problems *p);
/* Each problem is of the whole body or points into it. */
void must_point(const struct problems *p);

#endif
