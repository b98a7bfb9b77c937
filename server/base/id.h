/* id.h - opaque ids: a prefix, then 26 characters that sort by time of making ("job_01jd..."). Any thread. */
#ifndef BASE_ID_H
#define BASE_ID_H

#include <stddef.h>

/* prefix "job_"; ret holds at least 40 bytes. 48 bits of milliseconds and 80 random bits, Crockford base 32 (as ULID),
 * strictly increasing within a process. */
void id_new(const char *prefix, char *ret, size_t size);

/* Every id made from now on is greater than this one, whatever the clock says. Not an id of ours: nothing happens. */
void id_follow(const char *id);

#endif
