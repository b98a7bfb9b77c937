/* clock.c - see clock.h. */
#include "http/clock.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void clock_set(struct clock_rig *r, double offset)
{
	int fd = open(r->file, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, &offset, sizeof offset), sizeof offset);
	close(fd);
}

void clock_open(struct clock_rig *r, const char *const *flags)
{
	const char *program = getenv("BACKPROPD") ? getenv("BACKPROPD") : "build/backpropd";
	const char *slash = strrchr(program, '/');
	*r = (struct clock_rig){0};
	daemon_prepare(&r->d, flags);
	snprintf(r->preload, sizeof r->preload, "LD_PRELOAD=%.*s/clock.so", slash ? (int)(slash - program) : 1,
		slash ? program : ".");
	ck_assert_msg(access(r->preload + strlen("LD_PRELOAD="), R_OK) == 0, "%s is not built", r->preload);
	snprintf(r->file, sizeof r->file, "%s/offset", r->d.dir);
	snprintf(r->variable, sizeof r->variable, "CLOCK_OFFSET=%s", r->file);
	clock_set(r, 0);
	r->env[0] = r->preload;
	r->env[1] = r->variable;
	r->d.env = r->env;
}
