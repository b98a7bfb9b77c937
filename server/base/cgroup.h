/* cgroup.h - files of the cgroup v2 group that this process runs in, and of the groups above it. Any thread. */
#ifndef BASE_CGROUP_H
#define BASE_CGROUP_H

#include <stddef.h>

#define CGROUP_ROOT "/sys/fs/cgroup"

/* Path of this process's group below the root ("/system.slice/backpropd.service"); "/" when it cannot be found out. */
void cgroup_self(char *ret, size_t size);

/* A limit holds for everything below it: calls look with the first line of file in group and in each group above.
 * Groups without that file (the root, a controller that is off, no cgroup v2 at all) are passed over. */
void cgroup_each(
	const char *root, const char *group, const char *file, void (*look)(void *user, const char *line), void *user);

#endif
