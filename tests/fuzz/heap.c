/* heap.c - see heap.h. */
#include "fuzz/heap.h"

#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#include "fuzz/fuzz.h"

#if defined __has_feature
#if __has_feature(address_sanitizer)
#define POISONS 1
#endif
#endif
#if defined __SANITIZE_ADDRESS__ || defined POISONS
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

/* A piece: its size, poisoned like the gap behind it, then its bytes. */
enum { HEAP_BYTES = 1 << 22, ALIGN = 16, GAP = 16 };

static _Alignas(ALIGN) unsigned char heap[HEAP_BYTES];
static size_t used, pieces;
static json_malloc_t outer_take;
static json_free_t outer_leave;

static void *take(size_t size)
{
	const size_t around = 2 * ALIGN + GAP, left = HEAP_BYTES - used;
	if (left < around || size > left - around)
		return outer_take(size);
	unsigned char *head = heap + used, *p = head + ALIGN;
	used += ALIGN + ((size + ALIGN - 1) & ~(size_t)(ALIGN - 1)) + GAP;
	ASAN_UNPOISON_MEMORY_REGION(head, sizeof(size));
	*(size_t *)head = size;
	ASAN_POISON_MEMORY_REGION(head, sizeof(size));
	ASAN_UNPOISON_MEMORY_REGION(p, size);
	pieces++;
	return p;
}

static void leave(void *piece)
{
	unsigned char *p = piece;
	if (!p || (uintptr_t)p < (uintptr_t)heap || (uintptr_t)p >= (uintptr_t)heap + HEAP_BYTES) {
		outer_leave(p);
		return;
	}
	unsigned char *head = p - ALIGN;
	ASAN_UNPOISON_MEMORY_REGION(head, sizeof(size_t));
	size_t size = *(size_t *)head;
	must(size != SIZE_MAX, "a piece is given back once");
	*(size_t *)head = SIZE_MAX;
	ASAN_POISON_MEMORY_REGION(head, ALIGN + size);
	pieces--;
}

void heap_begin(void)
{
	static bool poisoned;
	if (!poisoned)
		ASAN_POISON_MEMORY_REGION(heap, HEAP_BYTES);
	poisoned = true;
	json_get_alloc_funcs(&outer_take, &outer_leave);
	json_set_alloc_funcs(take, leave);
}

void heap_end(void)
{
	json_set_alloc_funcs(outer_take, outer_leave);
	must(pieces == 0, "all JSON is given back");
	used = 0;
}
