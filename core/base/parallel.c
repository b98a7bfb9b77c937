/* parallel.c - see parallel.h. */
#include "base/parallel.h"

#ifdef _OPENMP
#include <omp.h>
#endif

void bp_parallel_for(int threads, int64_t n, bp_piece_fn fn, const void *arg)
{
	if (threads > n)
		threads = (int)n;
	if (threads <= 1) {
		for (int64_t i = 0; i < n; i++)
			fn(arg, i);
		return;
	}
#pragma omp parallel for schedule(static) num_threads(threads)
	for (int64_t i = 0; i < n; i++)
		fn(arg, i);
}

void bp_parallel_for_threads(int threads, int64_t n, bp_thread_piece_fn fn, const void *arg)
{
	if (threads > n)
		threads = (int)n;
#ifdef _OPENMP
	if (threads > 1) {
#pragma omp parallel for schedule(static) num_threads(threads)
		for (int64_t i = 0; i < n; i++)
			fn(arg, i, omp_get_thread_num());
		return;
	}
#endif
	for (int64_t i = 0; i < n; i++)
		fn(arg, i, 0);
}
