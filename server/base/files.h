/* files.h - how many files the daemon may have open at once. Called by main at the start, before threads. */
#ifndef BASE_FILES_H
#define BASE_FILES_H

/* Raises the soft limit to `wanted` where it is lower and the hard limit allows it; says in the log when it falls
 * short. */
void files_allow(long wanted);

#endif
