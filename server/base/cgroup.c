/* cgroup.c - see cgroup.h. Nothing here fails: what cannot be read does not limit. */
#include "base/cgroup.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

static void line_cut(char *line)
{
	line[strcspn(line, "\n")] = '\0';
}

void cgroup_self(char *ret, size_t size)
{
	char line[PATH_MAX + 8];
	snprintf(ret, size, "/");
	FILE *f = fopen("/proc/self/cgroup", "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, "0::", 3) != 0)
			continue;
		line_cut(line);
		snprintf(ret, size, "%s", line + 3);
	}
	fclose(f);
}

static void group_look(
	const char *root, const char *group, const char *file, void (*look)(void *user, const char *line), void *user)
{
	char path[2 * PATH_MAX], line[256];
	snprintf(path, sizeof(path), "%s%s/%s", root, group, file);
	FILE *f = fopen(path, "re");
	if (!f)
		return;
	if (fgets(line, sizeof(line), f)) {
		line_cut(line);
		look(user, line);
	}
	fclose(f);
}

void cgroup_each(
	const char *root, const char *group, const char *file, void (*look)(void *user, const char *line), void *user)
{
	char at[PATH_MAX];
	snprintf(at, sizeof(at), "%s", group);
	for (;;) {
		group_look(root, at, file, look, user);
		char *slash = strrchr(at, '/');
		if (!slash || !at[0] || strcmp(at, "/") == 0)
			return;
		*slash = '\0';
	}
}
