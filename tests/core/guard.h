/*
 * guard.h - blocks that catch code which reads or writes where it must not.
 *
 * A block ends at a page that cannot be touched, so one element too far faults; before it lies poison, which guard_free
 * checks, and before that another such page.
 */
#ifndef TESTS_GUARD_H
#define TESTS_GUARD_H

#include "backprop.h"

#define GUARD_POISON ((bp_real)-7654321)

/* n elements, all GUARD_POISON, so that one left unwritten is seen. Fails the test when there is no memory. */
bp_real *guard_new(size_t n);
/* The block becomes read-only: code that writes its input faults. */
void guard_freeze(bp_real *block, size_t n);
/* Fails the test when something was written before the block. */
void guard_free(bp_real *block, size_t n);

#endif
