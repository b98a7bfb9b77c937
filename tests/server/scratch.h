/*
 * scratch.h - a directory of its own for each test, and a look at what was printed. For the suites of tests/server.
 */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <stddef.h>

/* Fixtures: tcase_add_checked_fixture(tc, scratch_make, scratch_remove). */
void scratch_make(void);
void scratch_remove(void);
/* A path in the directory; one of a few static buffers. */
const char *scratch_path(const char *name);
void scratch_write(const char *name, const char *text);

/* Sends the descriptor (1 or 2) to a file until capture_end, which gives the text. Not nested. */
void capture_begin(int fd);
const char *capture_end(void);

#endif
