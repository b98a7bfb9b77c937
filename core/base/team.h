/*
 * team.h - the parallel loop with plain threads, in place of OpenMP's: for ThreadSanitizer, which does not know libgomp
 * and would report each of its barriers. `make tsan` builds with OPENMP=-DBP_PTHREADS; nothing else does.
 */
#ifndef BP_BASE_TEAM_H
#define BP_BASE_TEAM_H

#include "base/parallel.h"

/*
 * As bp_parallel_for_threads with threads > 1. Its threads live as long as the loop: so they begin with the caller's
 * floating-point mode, and bp_fpu_enter need not reach them.
 */
void bp_team_for(int threads, int64_t n, bp_thread_piece_fn fn, const void *arg);

#endif
