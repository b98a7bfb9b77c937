/*
 * mutate_model.c - changes a model as a person might: layers come, go and move, arguments change within their bounds
 * and at them. Bytes changed at random would seldom be a net at all. Run by libFuzzer (make fuzz).
 */
#include "fuzz/mutate.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/mutate_item.h"
#include "server/json_mutate.h"

enum { LAYERS_MAX = 12, NAMES = 12 };

static json_t *name(uint32_t *state)
{
	char text[16] = "input";
	if (json_mutate_draw(state, NAMES) > 0)
		snprintf(text, sizeof(text), "l%u", json_mutate_draw(state, NAMES));
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
	const struct bp_item_info *info = NULL;
	json_t *layer = mutate_item(state, BP_LAYER, &info);
	if (json_mutate_draw(state, 2))
		json_object_set_new(layer, "name", name(state));
	if (info->max_inputs > 1 || json_mutate_draw(state, 6) == 0)
		set_inputs(state, layer, info->min_inputs + (int)json_mutate_draw(state, 2) * (info->max_inputs > 1));
	return layer;
}

static void change_shape(uint32_t *state, json_t *model)
{
	static const uint32_t most[] = {4, 12, 40, 70000};
	json_t *shape = json_array();
	uint32_t below = most[json_mutate_draw(state, 4)];
	for (uint32_t n = json_mutate_draw(state, 3) + 1; n > 0; n--)
		json_array_append_new(shape, json_integer((json_int_t)json_mutate_draw(state, below) + 1));
	json_object_set_new(model, "input", json_pack("{s:o}", "shape", shape));
}

/* How a layer starts and learns. */
static void change_options(uint32_t *state, json_t *layer)
{
	switch (json_mutate_draw(state, 5)) {
	case 0:
		json_object_set_new(layer, "frozen", json_boolean(json_mutate_draw(state, 2)));
		break;
	case 1:
		json_object_set_new(layer, "lr_scale", json_real(json_mutate_draw(state, 40) / 4.0));
		break;
	case 2:
		json_object_set_new(layer, "weight_decay", json_real(json_mutate_draw(state, 40) / 4.0));
		break;
	case 3:
		json_object_set_new(layer, "init", mutate_item(state, BP_INIT, NULL));
		break;
	default:
		json_object_set_new(layer, "bias_init", mutate_item(state, BP_INIT, NULL));
	}
}

static void change(uint32_t *state, json_t *model)
{
	json_t *layers = json_object_get(model, "layers");
	size_t n = json_array_size(layers);
	uint32_t what = json_mutate_draw(state, 9), at = json_mutate_draw(state, (uint32_t)n + 1);
	json_t *layer = json_array_get(layers, at);
	if (what < 2 && json_is_array(layers) && n < LAYERS_MAX)
		json_array_insert_new(layers, at, new_layer(state));
	else if (what == 2)
		json_array_remove(layers, at);
	else if (what == 3)
		json_array_insert(layers, json_mutate_draw(state, (uint32_t)n + 1), layer);
	else if (what == 4)
		change_shape(state, model);
	else if (what == 5)
		json_mutate(model, state, 0);
	else if (what == 6)
		change_options(state, layer);
	else
		mutate_argument(state, BP_LAYER, layer);
}

size_t mutate_model(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	return mutate_json(data, size, max_size, seed, change);
}
