/* mutate_item.c - see mutate_item.h. Bytes changed at random would seldom be JSON that is read at all. */
#include "fuzz/mutate_item.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/mutate.h"
#include "server/json_mutate.h"
#include "spec/item.h"

static json_t *number(uint32_t *state, const struct bp_arg *arg)
{
	bool real = arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR;
	double v = json_mutate_draw(state, 5);
	switch (json_mutate_draw(state, 8)) {
	case 0:
		v = arg->min;
		break;
	case 1:
		v = arg->max;
		break;
	case 2:
		v = json_mutate_draw(state, 70000);
		break;
	case 3:
		v = -1.0 * json_mutate_draw(state, 5);
		break;
	}
	if (real && json_mutate_draw(state, 2))
		v /= 4;
	return real ? json_real(v) : json_integer((json_int_t)v);
}

static json_t *numbers(uint32_t *state, const struct bp_arg *arg, uint32_t n)
{
	json_t *list = json_array();
	while (n-- > 0)
		json_array_append_new(list, number(state, arg));
	return list;
}

static json_t *value(uint32_t *state, const struct bp_arg *arg)
{
	char word[64];
	switch (arg->kind) {
	case BP_ARG_BOOL:
		return json_boolean(json_mutate_draw(state, 2));
	case BP_ARG_INT:
	case BP_ARG_REAL:
		return number(state, arg);
	case BP_ARG_PADDING:
		if (json_mutate_draw(state, 4) == 0)
			return json_string(json_mutate_draw(state, 2) ? "same" : "valid");
		return json_mutate_draw(state, 2) ? number(state, arg) : numbers(state, arg, 2);
	case BP_ARG_PAIR:
		return json_mutate_draw(state, 2) ? number(state, arg) : numbers(state, arg, 2);
	case BP_ARG_REAL_PAIR:
		return numbers(state, arg, 2);
	case BP_ARG_INTS:
	case BP_ARG_WEIGHTS:
		return numbers(state, arg, json_mutate_draw(state, 4) + 1);
	case BP_ARG_LONG_LIST:
		return numbers(state, arg, json_mutate_draw(state, 8) ? json_mutate_draw(state, 20) : BP_MAX_LIST + 1);
	case BP_ARG_CHOICE:
		return json_string(
			item_choice(arg->choices, (int)json_mutate_draw(state, 2), word, sizeof(word)) ? word : "");
	}
	return json_null();
}

json_t *mutate_item(uint32_t *state, enum bp_item_kind kind, const struct bp_item_info **ret)
{
	const struct bp_item_info *info =
		bp_item_info(kind, (int)json_mutate_draw(state, (uint32_t)bp_item_count(kind)));
	json_t *item = json_pack("{s:s}", "type", info->name);
	for (int i = 0; i < info->nargs; i++)
		if (info->args[i].required || json_mutate_draw(state, 3) == 0)
			json_object_set_new(item, info->args[i].name, value(state, &info->args[i]));
	if (ret)
		*ret = info;
	return item;
}

void mutate_argument(uint32_t *state, enum bp_item_kind kind, json_t *item)
{
	const char *type = json_string_value(json_object_get(item, "type"));
	const struct bp_item_info *info = bp_item_info(kind, type ? bp_item_find(kind, type) : -1);
	if (!info || info->nargs == 0)
		return;
	const struct bp_arg *arg = &info->args[json_mutate_draw(state, (uint32_t)info->nargs)];
	json_object_set_new(item, arg->name, value(state, arg));
}

/* Where the JSON of one change lives, given back as a whole: AddressSanitizer's own allocator would take most of the
 * time, and there is nothing to find in it. */
enum { ARENA_BYTES = 1 << 20, ALIGN = 16 };
static _Alignas(ALIGN) unsigned char arena[ARENA_BYTES];
static size_t arena_used;

static void *arena_take(size_t size)
{
	if (size > ARENA_BYTES - arena_used - ALIGN)
		return NULL;
	void *p = arena + arena_used;
	arena_used += (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
	return p;
}

static void arena_leave(void *p)
{
	(void)p;
}

size_t mutate_json(
	uint8_t *data, size_t size, size_t max_size, unsigned seed, void (*change)(uint32_t *state, json_t *body))
{
	uint32_t state = seed;
	json_malloc_t take;
	json_free_t leave;
	json_get_alloc_funcs(&take, &leave);
	json_set_alloc_funcs(arena_take, arena_leave);
	json_t *body = json_loadb((const char *)data, size, 0, NULL);
	bool whole = json_is_object(body) && json_mutate_draw(&state, 10) > 0;
	for (uint32_t n = whole ? json_mutate_draw(&state, 4) + 1 : 0; n > 0; n--)
		change(&state, body);
	size_t length = whole ? json_dumpb(body, (char *)data, max_size, JSON_COMPACT) : 0;
	json_set_alloc_funcs(take, leave);
	arena_used = 0;
	if (length > 0 && length <= max_size)
		return length;
	/* What was too long is now a part of it. */
	return LLVMFuzzerMutate(data, length > 0 ? max_size : size, max_size);
}
