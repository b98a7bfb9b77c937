/*
 * heap.h - where a target's JSON lives while it looks at one input: as strict as AddressSanitizer's own heap, which
 * takes most of a run on the many small pieces of JSON. Gaps between pieces and pieces given back are poisoned, no
 * piece is used twice, and what is left at the end is a leak. One thread.
 */
#ifndef TESTS_FUZZ_HEAP_H
#define TESTS_FUZZ_HEAP_H

/* From here on jansson allocates from it. What is made before and freed after is not of it. */
void heap_begin(void);
/* Aborts when anything is left. */
void heap_end(void);

#endif
