/*
 * jsonmem.h - whether jansson ran out of memory: it leaves out what it has no memory for, and says so call by call. Who
 * builds or reads JSON asks once instead, before what was built leaves.
 *
 * Each thread has an answer of its own.
 */
#ifndef BASE_JSONMEM_H
#define BASE_JSONMEM_H

#include <jansson.h>
#include <stdbool.h>

/* Before threads are started, and before any JSON is made. */
void jsonmem_watch(void);
/* From here on the calling thread is asked. */
void jsonmem_begin(void);
/* Whether an allocation of jansson's on this thread failed since. */
bool jsonmem_ran_out(void);

/* json_loads and json_loadb, with a reserve of memory: jansson 2.14 writes past the end of a string that it had no
 * memory to gather. What they return when jsonmem_ran_out is whole, but nobody should count on there being more. */
json_t *jsonmem_loads(const char *text, size_t flags, json_error_t *err);
json_t *jsonmem_loadb(const char *bytes, size_t n, size_t flags, json_error_t *err);
/* json_dumps, which leaves a member's name out of the text when it has no memory to lengthen it by that, and says
 * nothing. NULL: not all of it could be written, or json is NULL. */
char *jsonmem_dumps(const json_t *json, size_t flags);

#endif
