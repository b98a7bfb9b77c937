/*
 * fpu.h - denormal numbers as zeros, while the library computes.
 *
 * An operation on a denormal can take a hundred times as long, and dying activations and Adam's moments are full of
 * them. The mode belongs to a thread, so it is set on the caller's and on those of its OpenMP pool. Since it changes
 * the last bits, every computation of the library runs in it, on any number of threads.
 */
#ifndef BP_BASE_FPU_H
#define BP_BASE_FPU_H

#include <stdint.h>

/* Sets flush-to-zero and denormals-are-zero on the calling thread, and on the other threads of its pool when threads is
 * above 1; those keep it, as they run nothing but the library's regions. Returns what bp_fpu_leave needs. */
uint64_t bp_fpu_enter(int threads);
/* Gives the calling thread its mode back. */
void bp_fpu_leave(uint64_t mode);

#endif
