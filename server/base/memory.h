/* memory.h - how much memory there is for jobs. Any thread. */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include <stdint.h>

/* Bytes this process may use: the machine's memory, cut to the cgroup v2 limit. Reads nothing from /proc that a
 * hardened unit hides (ProcSubset=pid). */
int64_t memory_available(void);

/* bytes cut to the limits (memory.max, memory.high) of group and the groups above it. */
int64_t memory_within_limit(const char *cgroup_root, const char *group, int64_t bytes);

#endif
