/*
 * statedir.h - the directory that belongs to one daemon: made, checked and locked before anything in it is read.
 * Main thread.
 */
#ifndef BASE_STATEDIR_H
#define BASE_STATEDIR_H

#include <stdbool.h>

/* Creates path (0700) with uploads/, datasets/ and checkpoints/ when they are missing, and locks it against a second
 * daemon until the descriptor is closed. The lock's descriptor, or -1 (logged). */
int statedir_open(const char *path);
/* File systems of other machines lie about locks or syncs, which neither SQLite nor our own lock survives. type is
 * statfs(2)'s f_type. */
bool statedir_is_remote(long type);

#endif
