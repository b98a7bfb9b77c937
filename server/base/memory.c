/* memory.c - see memory.h. */
#include "base/memory.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <sys/sysinfo.h>

#include "base/cgroup.h"

/* memory.max holds bytes, or "max". */
static void limit_look(void *user, const char *line)
{
	int64_t *bytes = user;
	int64_t limit;
	if (sscanf(line, "%" SCNd64, &limit) == 1 && limit > 0 && limit < *bytes)
		*bytes = limit;
}

int64_t memory_within_limit(const char *cgroup_root, const char *group, int64_t bytes)
{
	cgroup_each(cgroup_root, group, "memory.max", limit_look, &bytes);
	cgroup_each(cgroup_root, group, "memory.high", limit_look, &bytes);
	return bytes;
}

int64_t memory_available(void)
{
	char group[PATH_MAX];
	struct sysinfo info;
	int64_t bytes = INT64_C(1) << 30;
	if (sysinfo(&info) == 0)
		bytes = (int64_t)info.totalram * info.mem_unit;
	cgroup_self(group, sizeof(group));
	return memory_within_limit(CGROUP_ROOT, group, bytes);
}
