/*
 * blocks.c - which layers of a definition are blocks, and how many layers they stand for. Called by layers.c before
 * anything is made of them, any thread.
 */
#include "spec/layers.h"

#include <string.h>

#include "spec/text.h"

/* Blocks in blocks; a pointer into the innermost fits SPEC_POINTER. */
enum { DEPTH_MAX = 8 };
/* Counts stop here, far above what is allowed and far below an overflow. */
static const int64_t countless = 1 << 30;

enum spec_block spec_block_of(const json_t *layer)
{
	const char *type = json_string_value(json_object_get(layer, "type"));
	if (type && strcmp(type, "Repeat") == 0)
		return SPEC_REPEAT;
	return type && strcmp(type, "Residual") == 0 ? SPEC_RESIDUAL : SPEC_NO_BLOCK;
}

struct counting {
	struct problems *problems;
	bool failed;
};

static int64_t count_list(struct counting *c, const json_t *layers, const char *at, int depth);

static void fail(struct counting *c, const char *at, const char *what)
{
	if (!c->failed)
		problems_add(c->problems, ERR_OUT_OF_RANGE, at, "%s", what);
	c->failed = true;
}

static int64_t count_block(struct counting *c, const json_t *block, const char *at, int depth)
{
	char part[SPEC_POINTER];
	if (depth > DEPTH_MAX) {
		fail(c, at, "Blocks may be nested 8 deep and not deeper.");
		return 0;
	}
	text_pointer(part, at, "body");
	int64_t body = count_list(c, json_object_get(block, "body"), part, depth);
	if (spec_block_of(block) == SPEC_RESIDUAL) {
		text_pointer(part, at, "shortcut");
		return body + count_list(c, json_object_get(block, "shortcut"), part, depth) + 1;
	}
	const json_t *n = json_object_get(block, "n");
	int64_t times = json_integer_value(n);
	if (times < 1 || times > BP_MAX_LAYERS) /* told when the block is read */
		return body;
	if (body <= BP_MAX_LAYERS && body * times > BP_MAX_LAYERS) {
		text_pointer(part, at, "n");
		fail(c, part, "Written out, this block has more than 4096 layers.");
	}
	return body * times;
}

static int64_t count_list(struct counting *c, const json_t *layers, const char *at, int depth)
{
	int64_t total = 0;
	for (size_t i = 0; i < json_array_size(layers) && !c->failed; i++) {
		const json_t *layer = json_array_get(layers, i);
		char layer_at[SPEC_POINTER];
		text_pointer_index(layer_at, at, i);
		total += spec_block_of(layer) ? count_block(c, layer, layer_at, depth + 1) : 1;
		if (total > countless)
			total = countless;
	}
	return total;
}

int layers_count(const json_t *layers, const char *at, struct problems *problems)
{
	struct counting c = {.problems = problems};
	int64_t n = count_list(&c, layers, at, 0);
	if (!c.failed && n > BP_MAX_LAYERS) {
		problems_add(problems, ERR_OUT_OF_RANGE, at, "A model has 1 to %d layers, not %lld.", BP_MAX_LAYERS,
			(long long)n);
		c.failed = true;
	}
	return c.failed ? -1 : (int)n;
}
