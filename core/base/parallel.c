/* parallel.c - see parallel.h. */
#include "base/parallel.h"

#include "backprop.h"

#ifdef _OPENMP
#include <omp.h>
#elif defined BP_PTHREADS
#include "base/team.h"

struct plain {
	bp_piece_fn fn;
	const void *arg;
};

static void run_plain(const void *arg, int64_t i, int thread)
{
	const struct plain *p = arg;
	(void)thread;
	p->fn(p->arg, i);
}
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
#ifdef BP_PTHREADS
	bp_team_for(threads, n, run_plain, &(struct plain){fn, arg});
#else
#pragma omp parallel for schedule(static) num_threads(threads)
	for (int64_t i = 0; i < n; i++)
		fn(arg, i);
#endif
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
#elif defined BP_PTHREADS
	if (threads > 1) {
		bp_team_for(threads, n, fn, arg);
		return;
	}
#endif
	for (int64_t i = 0; i < n; i++)
		fn(arg, i, 0);
}

void bp_threads_end(void)
{
#ifdef _OPENMP
	(void)omp_pause_resource_all(omp_pause_soft);
#endif
}
