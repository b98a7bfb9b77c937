/* crash.c - see crash.h. */
#include "base/crash.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

static const int watched[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
enum { WATCHED = sizeof(watched) / sizeof(watched[0]), THREAD_NAME = 16 /* bytes, as the kernel has it */ };

static int file = -1;
static struct sigaction before[WATCHED];
static struct slot {
	atomic_bool taken, ready;
	char id[CRASH_ID_MAX];
	char thread[THREAD_NAME];
} slots[CRASH_JOBS_MAX];
static __thread struct slot *mine;

/* Async-signal-safe. In one write, for two threads may crash at once. */
static void blame(const struct slot *s)
{
	char line[CRASH_ID_MAX + 1];
	size_t n = 0;
	for (; n < CRASH_ID_MAX && s->id[n]; n++)
		line[n] = s->id[n];
	line[n++] = '\n';
	if (write(file, line, n) < 0)
		return; /* nothing more can be done here */
}

static bool same(const char *a, const char *b)
{
	int i = 0;
	while (i < THREAD_NAME - 1 && a[i] == b[i] && a[i])
		i++;
	return a[i] == b[i];
}

/* A thread starts with the name of the one that made it, so a team's thread has that of its worker. */
static void on_crash(int sig, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	int saved = errno;
	char name[THREAD_NAME] = "";
	prctl(PR_GET_NAME, name);
	for (int i = 0; !mine && i < CRASH_JOBS_MAX; i++)
		if (atomic_load(&slots[i].ready) && same(slots[i].thread, name))
			blame(&slots[i]);
	if (mine)
		blame(mine);
	for (int i = 0; i < WATCHED; i++)
		if (watched[i] == sig)
			sigaction(sig, &before[i], NULL);
	errno = saved;
	raise(sig); /* pending until this returns; then it does what it would have done */
}

bool crash_watch(const char *path)
{
	struct sigaction act = {.sa_sigaction = on_crash, .sa_flags = SA_SIGINFO};
	sigemptyset(&act.sa_mask);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	if (file < 0)
		return false;
	for (int i = 0; i < WATCHED; i++)
		if (sigaction(watched[i], &act, &before[i]) != 0)
			return false;
	return true;
}

void crash_job_set(const char *id)
{
	if (mine) {
		atomic_store(&mine->ready, false);
		atomic_store(&mine->taken, false);
		mine = NULL;
	}
	for (int i = 0; id && !mine && i < CRASH_JOBS_MAX; i++)
		if (!atomic_exchange(&slots[i].taken, true))
			mine = &slots[i];
	if (!mine)
		return;
	snprintf(mine->id, sizeof(mine->id), "%s", id);
	prctl(PR_GET_NAME, mine->thread);
	atomic_store(&mine->ready, true);
}

int crash_read(const char *path, char ret[CRASH_JOBS_MAX][CRASH_ID_MAX])
{
	char line[CRASH_ID_MAX + 2];
	int n = 0;
	FILE *f = fopen(path, "re");
	while (f && n < CRASH_JOBS_MAX && fgets(line, sizeof(line), f)) {
		bool known = false;
		line[strcspn(line, "\n")] = '\0';
		for (int i = 0; i < n; i++)
			known |= strcmp(ret[i], line) == 0;
		if (!known && line[0] && strlen(line) < CRASH_ID_MAX)
			memcpy(ret[n++], line, strlen(line) + 1);
	}
	if (f)
		fclose(f);
	return n;
}
