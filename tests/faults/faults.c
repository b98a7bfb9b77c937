/*
 * faults.c - a library that is loaded into the daemon by tests (LD_PRELOAD) and makes what it asks of the system fail:
 * the k-th call on a file of the state directory, the k-th allocation, a thread of a chosen job. The daemon itself has
 * no such switch. See faults.h; without $FAULTS it only passes calls on. Any thread.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "faults/faults.h"

enum { FDS = 65536, BATCHES = 40 /* looks at the clock before a doomed thread dies */ };

static struct fault_control none, *control = &none;
static _Atomic unsigned char places[FDS]; /* by descriptor: enum fault_place, 0 = not counted */

/* The next definition of a function, looked up once. */
#define NEXT(name)                                                                                                     \
	static __typeof__(&name) next;                                                                                 \
	if (!next)                                                                                                     \
	next = (__typeof__(&name))dlsym(RTLD_NEXT, #name)

__attribute__((constructor)) static void control_map(void)
{
	const char *path = getenv("FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(none), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (at != MAP_FAILED)
		control = at;
}

/* ---- files --------------------------------------------------------------------------------------------- */

static int place_of(const char *path)
{
	size_t n = strlen(control->dir);
	if (!n || strncmp(path, control->dir, n) != 0)
		return 0;
	static const struct {
		const char *begins;
		int place;
	} places_of[] = {{"backpropd.db", FAULT_DATABASE}, {"checkpoints/", FAULT_CHECKPOINT},
		{"uploads", FAULT_UPLOAD}, {"datasets", FAULT_DATASET}};
	for (size_t i = 0; i < sizeof(places_of) / sizeof(places_of[0]); i++)
		if (strncmp(path + n, places_of[i].begins, strlen(places_of[i].begins)) == 0)
			return places_of[i].place;
	return FAULT_ELSEWHERE;
}

static int place_of_fd(int fd)
{
	return fd >= 0 && fd < FDS ? atomic_load(&places[fd]) : 0;
}

static int remember(int fd, int place)
{
	if (fd >= 0 && fd < FDS)
		atomic_store(&places[fd], (unsigned char)place);
	return fd;
}

static bool is_due(struct fault_count *c)
{
	int64_t call = atomic_fetch_add(&c->calls, 1) + 1, at = atomic_load(&c->at);
	bool due = at > 0 && (call == at || (call > at && atomic_load(&c->lasting)));
	if (due)
		atomic_fetch_add(&c->hits, 1);
	return due;
}

/* 0: the call goes on. Else errno is set, unless it is FAULT_SHORT. */
static int fails(enum fault_op op, int place)
{
	int only = atomic_load(&control->place);
	if (!place || (only && only != place) || !(atomic_load(&control->ops) & (int)op) || !is_due(&control->file))
		return 0;
	int error = atomic_load(&control->error), zero = 0;
	if (atomic_compare_exchange_strong(&control->hit_op, &zero, (int)op))
		atomic_store(&control->hit_place, place);
	if (op == FAULT_SYNC)
		atomic_store(&control->synced_badly, 1);
	if (error > 0)
		errno = error;
	return error;
}

#define OPEN(name, parameters, arguments)                                                                              \
	int name parameters                                                                                            \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		va_list ap;                                                                                            \
		va_start(ap, flags);                                                                                   \
		mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(ap, mode_t) : 0;                                  \
		va_end(ap);                                                                                            \
		int place = place_of(path);                                                                            \
		return fails(FAULT_OPEN, place) ? -1 : remember(next arguments, place);                                \
	}
OPEN(open, (const char *path, int flags, ...), (path, flags, mode))
OPEN(open64, (const char *path, int flags, ...), (path, flags, mode))
OPEN(openat, (int at, const char *path, int flags, ...), (at, path, flags, mode))
OPEN(openat64, (int at, const char *path, int flags, ...), (at, path, flags, mode))

#define MKOSTEMP(name)                                                                                                 \
	int name(char *path, int flags)                                                                                \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		int place = place_of(path);                                                                            \
		return fails(FAULT_OPEN, place) ? -1 : remember(next(path, flags), place);                             \
	}
MKOSTEMP(mkostemp)
MKOSTEMP(mkostemp64)

int close(int fd)
{
	NEXT(close);
	remember(fd, 0);
	return next(fd);
}

/* Half of it at least, so that it ends. */
static size_t shorter(int error, size_t n)
{
	return error == FAULT_SHORT && n > 1 ? n / 2 : n;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
	NEXT(write);
	int error = fails(FAULT_WRITE, place_of_fd(fd));
	return error > 0 ? -1 : next(fd, bytes, shorter(error, n));
}

#define PWRITE(name, offset)                                                                                           \
	ssize_t name(int fd, const void *bytes, size_t n, offset at)                                                   \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		int error = fails(FAULT_WRITE, place_of_fd(fd));                                                       \
		return error > 0 ? -1 : next(fd, bytes, shorter(error, n), at);                                        \
	}
PWRITE(pwrite, off_t)
PWRITE(pwrite64, off64_t)

/* Calls that fail as a whole. */
#define CALL(result, name, parameters, arguments, op, place)                                                           \
	result name parameters                                                                                         \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		return fails(op, place) > 0 ? -1 : next arguments;                                                     \
	}
CALL(ssize_t, read, (int fd, void *to, size_t n), (fd, to, n), FAULT_READ, place_of_fd(fd))
CALL(ssize_t, pread, (int fd, void *to, size_t n, off_t at), (fd, to, n, at), FAULT_READ, place_of_fd(fd))
CALL(ssize_t, pread64, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at), FAULT_READ, place_of_fd(fd))
CALL(int, fsync, (int fd), (fd), FAULT_SYNC, place_of_fd(fd))
CALL(int, fdatasync, (int fd), (fd), FAULT_SYNC, place_of_fd(fd))
CALL(int, ftruncate, (int fd, off_t n), (fd, n), FAULT_TRUNCATE, place_of_fd(fd))
CALL(int, ftruncate64, (int fd, off64_t n), (fd, n), FAULT_TRUNCATE, place_of_fd(fd))
CALL(int, rename, (const char *from, const char *to), (from, to), FAULT_RENAME, place_of(to))
CALL(int, unlink, (const char *path), (path), FAULT_UNLINK, place_of(path))

#define MMAP(name, offset)                                                                                             \
	void *name(void *at, size_t n, int protection, int flags, int fd, offset from)                                 \
	{                                                                                                              \
		NEXT(name);                                                                                            \
		if (fails(FAULT_MAP, flags & MAP_ANONYMOUS ? 0 : place_of_fd(fd)) > 0)                                 \
			return MAP_FAILED;                                                                             \
		return next(at, n, protection, flags, fd, from);                                                       \
	}
MMAP(mmap, off_t)
MMAP(mmap64, off64_t)

/* ---- a doomed job --------------------------------------------------------------------------------------- */

static __thread char running[64]; /* the job whose directory this thread made last: each attempt begins with that */
static __thread int looks;

int mkdir(const char *path, mode_t mode)
{
	NEXT(mkdir);
	int place = place_of(path);
	const char *name = strrchr(path, '/');
	if (place == FAULT_CHECKPOINT && name && strlen(name + 1) < sizeof(running)) {
		memcpy(running, name + 1, strlen(name + 1) + 1);
		looks = 0;
	}
	return fails(FAULT_MKDIR, place) > 0 ? -1 : next(path, mode);
}

static int doom(void)
{
	return running[0] && strcmp(running, control->doomed) == 0 ? atomic_load(&control->doom_signal) : 0;
}

/* The worker looks at the clock after each batch. */
int clock_gettime(clockid_t id, struct timespec *ret)
{
	NEXT(clock_gettime);
	int sig = doom();
	if (sig && !atomic_load(&control->doom_team) && looks++ >= BATCHES)
		raise(sig);
	return next(id, ret);
}

struct region {
	void (*fn)(void *data);
	void *data;
	pid_t master;
	int sig;
};

static void run_doomed(void *arg)
{
	struct region *r = arg;
	if (gettid() != r->master)
		raise(r->sig);
	r->fn(r->data);
}

/* What gcc makes of "omp parallel". */
void GOMP_parallel(void (*fn)(void *), void *data, unsigned threads, unsigned flags);
void GOMP_parallel(void (*fn)(void *), void *data, unsigned threads, unsigned flags)
{
	NEXT(GOMP_parallel);
	struct region r = {fn, data, gettid(), doom()};
	if (r.sig && atomic_load(&control->doom_team) && looks++ >= BATCHES)
		next(run_doomed, &r, threads, flags);
	else
		next(fn, data, threads, flags);
}
