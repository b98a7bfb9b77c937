/* fault.c - see fault.h. */
#include "http/fault.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void name_library(struct fault_rig *r)
{
	const char *program = getenv("BACKPROPD") ? getenv("BACKPROPD") : "build/backpropd";
	const char *slash = strrchr(program, '/');
	int n = slash ? (int)(slash - program) : 1;
	snprintf(r->preload, sizeof r->preload, "LD_PRELOAD=%.*s/faults.so", n, slash ? program : ".");
	ck_assert_msg(access(r->preload + strlen("LD_PRELOAD="), R_OK) == 0, "%s is not built", r->preload);
}

void fault_open(struct fault_rig *r, const char *const *flags)
{
	char path[96];
	*r = (struct fault_rig){0};
	name_library(r);
	daemon_prepare(&r->d, flags);
	snprintf(path, sizeof path, "%.64s/faults", r->d.dir);
	int fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(ftruncate(fd, sizeof *r->control), 0);
	r->control = mmap(NULL, sizeof *r->control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(r->control, MAP_FAILED);
	close(fd);
	snprintf(r->control->dir, sizeof r->control->dir, "%.64s/state/", r->d.dir);
	snprintf(r->control_env, sizeof r->control_env, "FAULTS=%s", path);
	r->env[0] = r->preload;
	r->env[1] = r->control_env;
	r->env[2] = "OMP_WAIT_POLICY=passive"; /* else the daemon starts itself again, and counts twice */
	r->d.env = r->env;
}

static void count_from(struct fault_count *c, int64_t k, bool lasting)
{
	atomic_store(&c->at, 0);
	atomic_store(&c->calls, 0);
	atomic_store(&c->hits, 0);
	atomic_store(&c->lasting, lasting);
	atomic_store(&c->at, k);
}

void fault_arm(struct fault_rig *r, int ops, int error, int64_t k, bool lasting)
{
	atomic_store(&r->control->hit_op, 0);
	atomic_store(&r->control->synced_badly, 0);
	atomic_store(&r->control->error, error);
	count_from(&r->control->file, k, lasting);
	atomic_store(&r->control->ops, ops);
}

void fault_arm_memory(struct fault_rig *r, int64_t k, bool lasting)
{
	count_from(&r->control->memory, k, lasting);
	atomic_store(&r->control->memory_counts, 1);
}

void fault_disarm(struct fault_rig *r)
{
	atomic_store(&r->control->ops, 0);
	atomic_store(&r->control->place, 0);
	atomic_store(&r->control->memory_counts, 0);
	atomic_store(&r->control->doom_signal, 0);
}

void fault_close(struct fault_rig *r)
{
	fault_disarm(r);
	munmap(r->control, sizeof *r->control);
	daemon_done(&r->d);
}
