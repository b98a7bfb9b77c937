/*
 * allocation.h - what the library allocates, counted: the linker sends its calls of malloc and its kin, and of
 * bp_mem_new, through allocation.c (-Wl,--wrap in the Makefile). Calls inside shared libraries are not seen. Any
 * thread.
 */
#ifndef TESTS_ALLOCATION_H
#define TESTS_ALLOCATION_H

#include <stdint.h>

struct allocation {
	int64_t calls;        /* of malloc, calloc, realloc and aligned_alloc */
	int64_t block_bytes;  /* asked of bp_mem_new */
	int64_t record_bytes; /* asked of malloc, calloc and realloc: the small things beside the blocks */
};

/* Since the process began. */
struct allocation allocation_now(void);

#endif
