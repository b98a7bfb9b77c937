/* cpus.h - how many threads it makes sense to run. libgomp does not see a cgroup's CPU quota, so we look. Any thread.
 */
#ifndef BASE_CPUS_H
#define BASE_CPUS_H

/* Processors that this process may use: its affinity mask, cut to the cgroup v2 CPU quota. At least 1. */
int cpus_available(void);

/* cpus cut to the quotas (cpu.max) of group and the groups above it, rounded down, at least 1: a thread beyond the
 * quota would be stopped while the others wait for it. */
int cpus_within_quota(const char *cgroup_root, const char *group, int cpus);

#endif
