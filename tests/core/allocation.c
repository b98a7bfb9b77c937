/* allocation.c - see allocation.h. */
#include "allocation.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/mem.h"

static _Atomic int64_t calls, block_bytes, record_bytes;

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_aligned_alloc(size_t align, size_t size);
void *__real_bp_mem_new(size_t bytes);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_aligned_alloc(size_t align, size_t size);
void *__wrap_bp_mem_new(size_t bytes);

static void record(size_t size)
{
	atomic_fetch_add(&calls, 1);
	atomic_fetch_add(&record_bytes, (int64_t)size);
}

void *__wrap_malloc(size_t size)
{
	record(size);
	return __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
	record(n * size);
	return __real_calloc(n, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	record(size);
	return __real_realloc(old, size);
}

/* Only bp_mem_new calls it, and rounds up what it is asked for. */
void *__wrap_aligned_alloc(size_t align, size_t size)
{
	atomic_fetch_add(&calls, 1);
	return __real_aligned_alloc(align, size);
}

void *__wrap_bp_mem_new(size_t bytes)
{
	atomic_fetch_add(&block_bytes, (int64_t)bytes);
	return __real_bp_mem_new(bytes);
}

struct allocation allocation_now(void)
{
	return (struct allocation){.calls = calls, .block_bytes = block_bytes, .record_bytes = record_bytes};
}
