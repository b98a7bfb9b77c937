/*
 * parallel.h - the plain parallel loop of the library. Called by losses, layers and the trainer, outside parallel
 * regions.
 */
#ifndef BP_BASE_PARALLEL_H
#define BP_BASE_PARALLEL_H

#include <stdint.h>

/* One of n pieces of work: i says which, arg is what bp_parallel_for was given. Pieces write disjoint memory. */
typedef void (*bp_piece_fn)(const void *arg, int64_t i);

/*
 * Calls fn for each i in 0..n-1, in any order, on at most `threads` threads. With one thread it is a loop and nothing
 * more: even a parallel region of one costs a microsecond, which is more than a whole step of a small net. So callers
 * ask for one thread when there is little work.
 */
void bp_parallel_for(int threads, int64_t n, bp_piece_fn fn, const void *arg);

/* The same for pieces that need memory of their own for a while: thread says which, and is below `threads`. */
typedef void (*bp_thread_piece_fn)(const void *arg, int64_t i, int thread);
void bp_parallel_for_threads(int threads, int64_t n, bp_thread_piece_fn fn, const void *arg);

#endif
