/* cursor.h - where the reading of events goes on. Pure functions, any thread. */
#ifndef API_CURSOR_H
#define API_CURSOR_H

#include <stdbool.h>
#include <stdint.h>

#include "base/problem.h"

/* Moves *after up to the id in a Last-Event-ID header, which a browser sends by itself when it connects again (HTML,
 * 9.2.4). value: NULL or "" when there is none. True when it was an id; else *after stays, with a problem when there
 * was a value. */
bool cursor_resume(const char *value, int64_t *after, struct problems *problems);

#endif
