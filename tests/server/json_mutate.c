/* json_mutate.c - see json_mutate.h. Used by tests of parsing; any thread. */
#include "json_mutate.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

enum { DEPTH_MAX = 12 };

uint32_t json_mutate_draw(uint32_t *state, uint32_t below)
{
	*state = *state * 1664525u + 1013904223u;
	return (*state >> 8) % below;
}

static json_t *odd_value(uint32_t *state)
{
	static const char *const words[] = {"", "input", "same", "valid", "auto", "test", "Conv2d", "Add", "fc",
		"StepLR", "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", "~/~1",
		"a very long word, a very long word, a very long word, a very "
		"long word, \xe2\x82\xac and more than sixty-three bytes"};
	static const json_int_t numbers[] = {
		0, 1, -1, 2, 3, 255, 65536, 65537, 2147483647, 2147483648, INT64_MAX, INT64_MIN};
	static const double reals[] = {0.0, -0.0, 0.5, 1e-300, 1e300, -1e300, 3.0};
	switch (json_mutate_draw(state, 8)) {
	case 0:
		return json_string(words[json_mutate_draw(state, sizeof(words) / sizeof(words[0]))]);
	case 1:
		return json_integer(numbers[json_mutate_draw(state, sizeof(numbers) / sizeof(numbers[0]))]);
	case 2:
		return json_real(reals[json_mutate_draw(state, sizeof(reals) / sizeof(reals[0]))]);
	case 3:
		return json_null();
	case 4:
		return json_boolean(json_mutate_draw(state, 2));
	case 5:
		return json_object();
	case 6:
		return json_pack("[i, s]", 3, "conv1");
	default:
		return json_array();
	}
}

void json_mutate(json_t *v, uint32_t *state, int depth)
{
	size_t n = json_is_array(v) ? json_array_size(v) : json_object_size(v);
	if (n == 0)
		return;
	size_t pick = json_mutate_draw(state, (uint32_t)n);
	void *iter = json_object_iter(v);
	for (size_t i = 0; iter && i < pick; i++)
		iter = json_object_iter_next(v, iter);
	char key[128] = "";
	if (iter)
		snprintf(key, sizeof(key), "%s", json_object_iter_key(iter));
	json_t *child = iter ? json_object_iter_value(iter) : json_array_get(v, pick);
	bool container = json_is_array(child) || json_is_object(child);
	if (container && depth < DEPTH_MAX && json_mutate_draw(state, 8) > 0) {
		json_mutate(child, state, depth + 1);
		return;
	}
	uint32_t action = json_mutate_draw(state, 4);
	json_t *copy = json_deep_copy(child);
	if (iter && action == 0)
		json_object_del(v, key);
	else if (iter && action == 1)
		key[json_mutate_draw(state, (uint32_t)strlen(key) + 1)] ^= 1, json_object_set(v, key, copy);
	else if (iter)
		json_object_set_new(v, key, odd_value(state));
	else if (action == 0)
		json_array_remove(v, pick);
	else if (action == 1)
		json_array_insert(v, pick, copy);
	else
		json_array_set_new(v, pick, odd_value(state));
	json_decref(copy);
}
