/* cpus.c - see cpus.h. */
#include "base/cpus.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <unistd.h>

#include "base/cgroup.h"

/* cpu.max holds "QUOTA PERIOD" in microseconds, or "max PERIOD". */
static void quota_look(void *user, const char *line)
{
	int *cpus = user;
	int64_t quota, period;
	if (sscanf(line, "%" SCNd64 " %" SCNd64, &quota, &period) != 2 || quota <= 0 || period <= 0)
		return;
	int64_t whole = quota / period;
	if (whole < *cpus)
		*cpus = whole < 1 ? 1 : (int)whole;
}

int cpus_within_quota(const char *cgroup_root, const char *group, int cpus)
{
	cgroup_each(cgroup_root, group, "cpu.max", quota_look, &cpus);
	return cpus;
}

int cpus_available(void)
{
	char group[PATH_MAX];
	cpu_set_t set;
	int cpus = 1;
	if (sched_getaffinity(0, sizeof(set), &set) == 0)
		cpus = CPU_COUNT(&set);
	else if (sysconf(_SC_NPROCESSORS_ONLN) > 0) /* more processors than cpu_set_t holds */
		cpus = (int)sysconf(_SC_NPROCESSORS_ONLN);
	cgroup_self(group, sizeof(group));
	return cpus_within_quota(CGROUP_ROOT, group, cpus < 1 ? 1 : cpus);
}
