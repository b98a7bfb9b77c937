/*
 * jsonmem.c - see jsonmem.h. The reserve is taken from the front, and starts anew when all of it was given back. What a
 * text is read into is given back through jansson alone, so it may come from the reserve; what jansson writes may not.
 */
#include "base/jsonmem.h"

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { RESERVE = 8 << 20, ALIGN = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Alignas(ALIGN) char reserve[RESERVE];
static size_t used;
static int blocks; /* of it, that are out */
static __thread bool ran_out, reading;

static void *take(size_t n)
{
	void *block = malloc(n);
	if (block)
		return block;
	ran_out = true;
	if (!reading || n > RESERVE)
		return NULL;
	pthread_mutex_lock(&lock);
	size_t size = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (size <= RESERVE - used) {
		block = reserve + used;
		used += size;
		blocks++;
	}
	pthread_mutex_unlock(&lock);
	return block;
}

static void give(void *block)
{
	uintptr_t at = (uintptr_t)block, from = (uintptr_t)reserve;
	if (at < from || at >= from + RESERVE) {
		free(block);
		return;
	}
	pthread_mutex_lock(&lock);
	if (--blocks == 0)
		used = 0;
	pthread_mutex_unlock(&lock);
}

void jsonmem_watch(void)
{
	json_set_alloc_funcs(take, give);
}

void jsonmem_begin(void)
{
	ran_out = false;
}

bool jsonmem_ran_out(void)
{
	return ran_out;
}

json_t *jsonmem_loadb(const char *bytes, size_t n, size_t flags, json_error_t *err)
{
	reading = true;
	json_t *json = json_loadb(bytes, n, flags, err);
	reading = false;
	return json;
}

json_t *jsonmem_loads(const char *text, size_t flags, json_error_t *err)
{
	return jsonmem_loadb(text, strlen(text), flags, err);
}

char *jsonmem_dumps(const json_t *json, size_t flags)
{
	bool before = ran_out;
	ran_out = false;
	char *text = json ? json_dumps(json, flags) : NULL;
	if (ran_out) {
		free(text);
		text = NULL;
	}
	ran_out |= before;
	return text;
}
