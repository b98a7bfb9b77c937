/* team.c - see team.h. */
#include "base/team.h"

#ifdef BP_PTHREADS
#include <pthread.h>
#include <stdbool.h>

enum { THREADS_MAX = 256 };

struct member {
	int thread, threads;
	int64_t n;
	bp_thread_piece_fn fn;
	const void *arg;
	pthread_t id;
	bool begun;
};

/* Neighbours run on different threads, and nothing orders them but the loop's end: so each pair that meets is seen. */
static void *work(void *arg)
{
	const struct member *m = arg;
	for (int64_t i = m->thread; i < m->n; i += m->threads)
		m->fn(m->arg, i, m->thread);
	return NULL;
}

void bp_team_for(int threads, int64_t n, bp_thread_piece_fn fn, const void *arg)
{
	struct member members[THREADS_MAX];
	if (threads > THREADS_MAX)
		threads = THREADS_MAX;
	for (int i = 0; i < threads; i++) {
		members[i] = (struct member){.thread = i, .threads = threads, .n = n, .fn = fn, .arg = arg};
		members[i].begun = i > 0 && pthread_create(&members[i].id, NULL, work, &members[i]) == 0;
	}
	for (int i = 0; i < threads; i++)
		if (!members[i].begun)
			work(&members[i]);
	for (int i = 1; i < threads; i++)
		if (members[i].begun)
			pthread_join(members[i].id, NULL);
}
#endif
