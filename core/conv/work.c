/*
 * work.c - runs the tasks of a pass on the threads it was given. The one place in this room that knows OpenMP.
 *
 * Which thread runs a task makes no difference to the result: tasks write disjoint memory, and how work is cut into
 * tasks depends on shapes alone.
 */
#include "conv/plan.h"

#ifdef _OPENMP
#include <omp.h>
#endif

static void run_alone(const struct work *w)
{
	for (int p = 0; p < w->nphases; p++)
		for (size_t i = 0; i < w->phases[p].count; i++)
			w->phases[p].task(w->job, i, w->scratch);
}

void bp_work_run(const struct bp_ctx *ctx, size_t multiply_adds, const struct work *w)
{
#ifdef _OPENMP
	if (ctx->threads > 1 && multiply_adds >= WORK_SMALL) {
#pragma omp parallel num_threads(ctx->threads)
		{
			char *scratch = (char *)w->scratch + (size_t)omp_get_thread_num() * w->scratch_bytes;
			for (int p = 0; p < w->nphases; p++) {
#pragma omp for schedule(dynamic, 1)
				for (size_t i = 0; i < w->phases[p].count; i++)
					w->phases[p].task(w->job, i, scratch);
			}
		}
		return;
	}
#else
	(void)ctx, (void)multiply_adds;
#endif
	run_alone(w);
}
