/*
 * mutate_model.c - changes a model as a person might: layers come, go and move, arguments change within their bounds
 * and at them. Bytes changed at random would seldom be a net at all. Run by libFuzzer (make fuzz).
 */
#include "fuzz/fuzz.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/json_mutate.h"
#include "spec/item.h"

enum { LAYERS_MAX = 24, NAMES = 12 };

static uint32_t draw(uint32_t *state, uint32_t below)
{
	return json_mutate_draw(state, below);
}

static json_t *number(uint32_t *state, const struct bp_arg *arg)
{
	bool real = arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR;
	double v = draw(state, 5);
	switch (draw(state, 8)) {
	case 0:
		v = arg->min;
		break;
	case 1:
		v = arg->max;
		break;
	case 2:
		v = draw(state, 70000);
		break;
	case 3:
		v = -1.0 * draw(state, 5);
		break;
	}
	if (real && draw(state, 2))
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
		return json_boolean(draw(state, 2));
	case BP_ARG_INT:
	case BP_ARG_REAL:
		return number(state, arg);
	case BP_ARG_PADDING:
		if (draw(state, 4) == 0)
			return json_string(draw(state, 2) ? "same" : "valid");
		return draw(state, 2) ? number(state, arg) : numbers(state, arg, 2);
	case BP_ARG_PAIR:
		return draw(state, 2) ? number(state, arg) : numbers(state, arg, 2);
	case BP_ARG_REAL_PAIR:
		return numbers(state, arg, 2);
	case BP_ARG_INTS:
	case BP_ARG_WEIGHTS:
		return numbers(state, arg, draw(state, 4) + 1);
	case BP_ARG_CHOICE:
		return json_string(item_choice(arg->choices, (int)draw(state, 2), word, sizeof(word)) ? word : "");
	}
	return json_null();
}

static json_t *name(uint32_t *state)
{
	char text[16] = "input";
	if (draw(state, NAMES) > 0)
		snprintf(text, sizeof(text), "l%u", draw(state, NAMES));
	return json_string(text);
}

static void set_inputs(uint32_t *state, json_t *layer, int n)
{
	json_t *inputs = json_array();
	while (n-- > 0)
		json_array_append_new(inputs, name(state));
	json_object_set_new(layer, "inputs", inputs);
}

static json_t *new_layer(uint32_t *state)
{
	const struct bp_item_info *info = bp_item_info(BP_LAYER, (int)draw(state, (uint32_t)bp_item_count(BP_LAYER)));
	json_t *layer = json_pack("{s:s}", "type", info->name);
	for (int i = 0; i < info->nargs; i++)
		if (info->args[i].required || draw(state, 3) == 0)
			json_object_set_new(layer, info->args[i].name, value(state, &info->args[i]));
	if (draw(state, 2))
		json_object_set_new(layer, "name", name(state));
	if (info->max_inputs > 1 || draw(state, 6) == 0)
		set_inputs(state, layer, info->min_inputs + (int)draw(state, 2) * (info->max_inputs > 1));
	return layer;
}

static void change_argument(uint32_t *state, json_t *layer)
{
	const char *type = json_string_value(json_object_get(layer, "type"));
	const struct bp_item_info *info = bp_item_info(BP_LAYER, type ? bp_item_find(BP_LAYER, type) : -1);
	if (!info || info->nargs == 0)
		return;
	const struct bp_arg *arg = &info->args[draw(state, (uint32_t)info->nargs)];
	json_object_set_new(layer, arg->name, value(state, arg));
}

static void change_shape(uint32_t *state, json_t *model)
{
	static const uint32_t most[] = {4, 12, 40, 70000};
	json_t *shape = json_array();
	uint32_t below = most[draw(state, 4)];
	for (uint32_t n = draw(state, 3) + 1; n > 0; n--)
		json_array_append_new(shape, json_integer((json_int_t)draw(state, below) + 1));
	json_object_set_new(model, "input", json_pack("{s:o}", "shape", shape));
}

static void change(uint32_t *state, json_t *model)
{
	json_t *layers = json_object_get(model, "layers");
	size_t n = json_array_size(layers);
	uint32_t what = draw(state, 8), at = draw(state, (uint32_t)n + 1);
	json_t *layer = json_array_get(layers, at);
	if (what < 2 && json_is_array(layers) && n < LAYERS_MAX)
		json_array_insert_new(layers, at, new_layer(state));
	else if (what == 2)
		json_array_remove(layers, at);
	else if (what == 3)
		json_array_insert(layers, draw(state, (uint32_t)n + 1), layer);
	else if (what == 4)
		change_shape(state, model);
	else if (what == 5)
		json_mutate(model, state, 0);
	else
		change_argument(state, layer);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	uint32_t state = seed;
	json_t *model = json_loadb((const char *)data, size, 0, NULL);
	if (!json_is_object(model) || draw(&state, 10) == 0) {
		json_decref(model);
		return LLVMFuzzerMutate(data, size, max_size);
	}
	for (uint32_t n = draw(&state, 4) + 1; n > 0; n--)
		change(&state, model);
	char *text = json_dumps(model, JSON_COMPACT);
	size_t length = text ? strlen(text) : 0;
	if (length > 0 && length <= max_size) {
		memcpy(data, text, length);
		size = length;
	}
	free(text);
	json_decref(model);
	return size;
}
