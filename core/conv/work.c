/*
 * work.c - runs the tasks of a pass on the threads it was given, and asks for memory ahead of its use. The one place in
 * this room that knows of threads.
 *
 * Which thread runs a task makes no difference to the result: tasks write disjoint memory, and how sums are cut among
 * them depends on shapes alone. Where no sum is cut, how many tasks there are may depend on the threads.
 */
#include "conv/plan.h"

#include "base/mem.h"

#ifdef _OPENMP
#include <omp.h>
#elif defined BP_PTHREADS
#include "base/team.h"

struct share {
	const struct work *w;
	const struct phase *phase;
};

static void run_share(const void *arg, int64_t i, int thread)
{
	const struct share *s = arg;
	s->phase->task(s->w->job, (size_t)i, (char *)s->w->scratch + (size_t)thread * s->w->scratch_bytes);
}
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
#elif defined BP_PTHREADS
	if (ctx->threads > 1 && multiply_adds >= WORK_SMALL) {
		for (int p = 0; p < w->nphases; p++)
			bp_team_for(ctx->threads, (int64_t)w->phases[p].count, run_share,
				&(struct share){w, &w->phases[p]});
		return;
	}
#else
	(void)ctx, (void)multiply_adds;
#endif
	run_alone(w);
}

void bp_ahead_add_runs(struct ahead *a, const bp_real *p, size_t n, size_t runs, size_t step, size_t times)
{
	int i = 0;
	while (a->streams[i].at)
		i++;
	const size_t lines = divide_up(n * sizeof *p, BP_ALIGN);
	if (p && lines && runs)
		a->streams[i] = (struct stream){.at = (const char *)p,
			.lines = lines,
			.runs = runs,
			.step = step * sizeof *p,
			.each = divide_up(lines * runs, times)};
}

void bp_ahead_add(struct ahead *a, const bp_real *p, size_t n, size_t times)
{
	bp_ahead_add_runs(a, p, n, 1, 0, times);
}

void bp_ahead_ask(struct ahead *a)
{
	for (struct stream *s = a->streams; s < a->streams + BP_AHEAD_STREAMS && s->at; s++)
		for (size_t i = 0; i < s->each && s->runs; i++) {
			__builtin_prefetch(s->at + s->line * BP_ALIGN, 0, 2);
			if (++s->line == s->lines) {
				s->line = 0;
				s->at += s->step;
				s->runs--;
			}
		}
}
