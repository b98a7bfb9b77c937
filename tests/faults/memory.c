/*
 * memory.c - the part of faults.c that makes allocations fail: those of the daemon, of the C library in its name, and
 * of jansson, SQLite, libmicrohttpd, libarchive and inih. libgomp and the loader end the process when they get no
 * memory, so theirs are left alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faults/faults.h"

/* glibc's own names: dlsym allocates, so it cannot be asked for them. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *block, size_t n);
void *__libc_memalign(size_t align, size_t n);

enum { RANGES = 64 };
static struct {
	uintptr_t from, to;
} ranges[RANGES];
static int nranges;
static struct fault_control *control;

static int note_library(struct dl_phdr_info *info, size_t size, void *user)
{
	static const char *const names[] = {
		"libjansson", "libsqlite3", "libmicrohttpd", "libarchive", "libinih", "libc.so"};
	bool counted = info->dlpi_name[0] == '\0';
	(void)size;
	(void)user;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		counted |= strstr(info->dlpi_name, names[i]) != NULL;
	for (int i = 0; counted && i < info->dlpi_phnum && nranges < RANGES; i++) {
		if (info->dlpi_phdr[i].p_type != PT_LOAD || !(info->dlpi_phdr[i].p_flags & PF_X))
			continue;
		ranges[nranges].from = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;
		ranges[nranges].to = ranges[nranges].from + info->dlpi_phdr[i].p_memsz;
		nranges++;
	}
	return 0;
}

__attribute__((constructor)) static void memory_watch(void)
{
	const char *path = getenv("FAULTS");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
	void *at = fd >= 0 ? mmap(NULL, sizeof(*control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) : MAP_FAILED;
	dl_iterate_phdr(note_library, NULL);
	if (at != MAP_FAILED)
		control = at;
}

static bool fails(const void *caller)
{
	if (!control || !atomic_load(&control->memory_counts))
		return false;
	bool counted = false;
	for (int i = 0; i < nranges; i++)
		counted |= (uintptr_t)caller >= ranges[i].from && (uintptr_t)caller < ranges[i].to;
	if (!counted)
		return false;
	struct fault_count *c = &control->memory;
	int64_t call = atomic_fetch_add(&c->calls, 1) + 1, fatal = atomic_load(&c->at);
	if (fatal <= 0 || call < fatal || (call > fatal && !atomic_load(&c->lasting)))
		return false;
	atomic_fetch_add(&c->hits, 1);
	errno = ENOMEM;
	return true;
}

#define CALLER __builtin_return_address(0)

void *malloc(size_t n)
{
	return fails(CALLER) ? NULL : __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	return fails(CALLER) ? NULL : __libc_calloc(n, size);
}

void *realloc(void *block, size_t n)
{
	return fails(CALLER) ? NULL : __libc_realloc(block, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	return fails(CALLER) ? NULL : __libc_memalign(align, n);
}

void *reallocarray(void *block, size_t n, size_t size)
{
	size_t bytes;
	if (__builtin_mul_overflow(n, size, &bytes)) {
		errno = ENOMEM;
		return NULL;
	}
	return fails(CALLER) ? NULL : __libc_realloc(block, bytes);
}

int posix_memalign(void **ret, size_t align, size_t n)
{
	void *block = fails(CALLER) ? NULL : __libc_memalign(align, n);
	if (!block)
		return ENOMEM;
	*ret = block;
	return 0;
}
