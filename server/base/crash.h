/*
 * crash.h - which job's thread was the one that crashed: written by a signal handler, read at the next start.
 *
 * The handler writes ids to a file that was opened before, and then lets the signal do what it would have done (a core
 * dump, a sanitizer's report, the end). A thread of a team is told by its name, which it has from the worker that made
 * it: worker threads have a name each, before they run a job. Any other thread blames nobody.
 * This room is the one place with state that a signal handler can reach.
 */
#ifndef BASE_CRASH_H
#define BASE_CRASH_H

#include <stdbool.h>

enum { CRASH_ID_MAX = 40, CRASH_JOBS_MAX = 64 };

/* Opens the file at path, and watches SIGSEGV, SIGBUS, SIGILL, SIGFPE and SIGABRT from now on. Main thread. False: not
 * watched (errno). */
bool crash_watch(const char *path);
/* The calling thread runs that job now, or none (NULL). */
void crash_job_set(const char *id);
/* What a file says: up to CRASH_JOBS_MAX ids, each once. 0 when there is no such file, or nothing in it. */
int crash_read(const char *path, char ret[CRASH_JOBS_MAX][CRASH_ID_MAX]);

#endif
