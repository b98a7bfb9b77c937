/*
 * layers.c - the layers of a definition: their names, inputs and arguments; blocks written out. Called by model.c, any
 * thread.
 *
 * A body is a scope: its layers' names start with the block's ("block1.0.conv1"), its "input" is the block's, and an
 * input that it does not know is looked for in the scopes around it. Each scope is read in rounds, because an input may
 * name any layer and a missing name must not take one that is given further down: given names, then made-up names, then
 * types, arguments and inputs, going down into blocks.
 */
#include "spec/layers.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/item.h"
#include "spec/options.h"
#include "spec/text.h"

enum { NEAR_LAYERS = 256, NOT_YET = -2, PREFIX_MAX = 2 * BP_NAME_MAX };

struct reading {
	struct problems *problems;
	json_t *index; /* full name -> place of the output, NOT_YET until it is read */
	struct spec_model *model;
	int room;    /* of model->layers */
	size_t skip; /* of a pointer: up to the definition */
};

struct scope {
	const struct scope *outer;
	char prefix[PREFIX_MAX]; /* of its layers' names: "block1.0." */
	int input;               /* what "input" means in it */
	const json_t *layers;
	const char *at; /* of layers */
};

/* One layer or block while it is read. */
struct part {
	const struct scope *scope;
	const json_t *json;
	const char *at;
	const char *name; /* in full; "" when it has none because of a problem */
	int before;       /* what it follows without inputs */
};

static int read_scope(struct reading *rd, const struct scope *sc);

static bool name_is_valid(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
	return s[n] == '\0' && n > 0 && n <= BP_NAME_MAX;
}

/* The name in full; false with a problem when it is too long. */
static bool join_name(
	struct reading *rd, const struct scope *sc, const char *name, const char *at, char ret[BP_NAME_MAX + 1])
{
	char full[PREFIX_MAX + BP_NAME_MAX + 1];
	snprintf(full, sizeof(full), "%s%s", sc->prefix, name);
	if (strlen(full) > BP_NAME_MAX) {
		problems_add(rd->problems, ERR_INVALID_NAME, at,
			"With its blocks this layer is called \"%.120s\", and a name has at most %d characters: give "
			"them "
			"shorter names.",
			full, BP_NAME_MAX);
		return false;
	}
	memcpy(ret, full, strlen(full) + 1);
	return true;
}

static bool take_name(struct reading *rd, const char *name, const char *at)
{
	if (json_object_set_new(rd->index, name, json_integer(NOT_YET)) == 0)
		return true;
	problems_add(rd->problems, ERR_UNAVAILABLE, at, "There is no memory for the layers' names.");
	return false;
}

static void read_name(struct reading *rd, const struct scope *sc, size_t i, char ret[BP_NAME_MAX + 1])
{
	const json_t *v = json_object_get(json_array_get(sc->layers, i), "name");
	if (!v)
		return;
	char layer_at[SPEC_POINTER], at[SPEC_POINTER], quote[SPEC_QUOTE], full[BP_NAME_MAX + 1];
	text_pointer_index(layer_at, sc->at, i);
	text_pointer(at, layer_at, "name");
	const char *name = json_string_value(v);
	if (!name)
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "\"name\" must be a string, not %s.", text_kind(v));
	else if (!name_is_valid(name))
		problems_add(rd->problems, ERR_INVALID_NAME, at,
			"A layer's name is 1 to %d of the characters A-Z a-z 0-9 _ . -.", BP_NAME_MAX);
	else if (strcmp(name, "input") == 0)
		problems_add(rd->problems, ERR_INVALID_NAME, at, "The name \"input\" stands for the input of the net.");
	else if (!join_name(rd, sc, name, at, full))
		return;
	else if (json_object_get(rd->index, full))
		problems_add(rd->problems, ERR_DUPLICATE_NAME, at, "Another layer is already called \"%s\".",
			text_quote(quote, full));
	else if (take_name(rd, full, at))
		memcpy(ret, full, sizeof(full));
}

/* Unnamed layers are called by their type and how many of it there were: conv2d_1, relu_1, conv2d_2. */
static void make_name(struct reading *rd, const struct scope *sc, size_t i, int *counts, char ret[BP_NAME_MAX + 1])
{
	const json_t *layer = json_array_get(sc->layers, i);
	const char *type = json_string_value(json_object_get(layer, "type"));
	enum spec_block block = spec_block_of(layer);
	int index = type ? bp_item_find(BP_LAYER, type) : -1;
	char at[SPEC_POINTER], name[BP_NAME_MAX + 1];
	if ((index < 0 && !block) || json_object_get(layer, "name"))
		return;
	text_pointer_index(at, sc->at, i);
	int *count = &counts[block ? bp_item_count(BP_LAYER) + (int)block : index];
	do {
		snprintf(name, sizeof(name), "%.48s_%d", type, ++*count);
		for (char *p = name; *p; p++)
			*p = (char)tolower((unsigned char)*p);
		if (!join_name(rd, sc, name, at, ret)) {
			ret[0] = '\0';
			return;
		}
	} while (json_object_get(rd->index, ret));
	if (!take_name(rd, ret, at))
		ret[0] = '\0';
}

static void unknown_input(struct reading *rd, const struct part *p, const char *at, const char *given)
{
	const char *names[NEAR_LAYERS + 1] = {"input"};
	const char *prefix = p->scope->prefix;
	size_t inside = strlen(prefix);
	int n = 1;
	for (int j = rd->model->net.nlayers; j > 0 && n <= NEAR_LAYERS; j--) {
		const char *name = rd->model->layers[j - 1].name;
		if (name[0] && strcmp(name, p->name) != 0)
			names[n++] = strncmp(name, prefix, inside) == 0 ? name + inside : name;
	}
	char quote[SPEC_QUOTE];
	const char *near = nearest_word(given, names, n);
	problems_add(rd->problems, ERR_UNKNOWN_NAME, at, "No layer above is called \"%s\"%s%s%s",
		text_quote(quote, given), near ? "; did you mean \"" : ".", near ? near : "", near ? "\"?" : "");
}

/* What a name means in a scope: one of its own layers, or of the scopes around it. full: its name in full. */
static const json_t *find_name(
	const struct reading *rd, const struct scope *sc, const char *name, char full[PREFIX_MAX + BP_NAME_MAX + 1])
{
	const json_t *found = NULL;
	for (; sc && !found; sc = sc->outer) {
		snprintf(full, PREFIX_MAX + BP_NAME_MAX + 1, "%s%.*s", sc->prefix, BP_NAME_MAX, name);
		found = json_object_get(rd->index, full);
	}
	return found;
}

static void read_input(struct reading *rd, const struct part *p, const char *at, const json_t *v, int *ret)
{
	const char *name = json_string_value(v);
	char full[PREFIX_MAX + BP_NAME_MAX + 1];
	*ret = p->scope->input;
	if (!name) {
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "An input must be the name of a layer, not %s.",
			text_kind(v));
		return;
	}
	if (strcmp(name, "input") == 0)
		return;
	const json_t *place = strlen(name) <= BP_NAME_MAX ? find_name(rd, p->scope, name, full) : NULL;
	if (!place)
		unknown_input(rd, p, at, name);
	else if (json_integer_value(place) != NOT_YET)
		*ret = (int)json_integer_value(place);
	else
		problems_add(rd->problems, ERR_INVALID_GRAPH, at,
			"The layer \"%s\" is %s: that would be a cycle. An input names a layer above.", name,
			strcmp(full, p->name) == 0 ? "this layer itself" : "below this one");
}

/* The inputs of a layer of a type that takes min to max; returns how many, 0 with a problem. type: NULL if unknown. */
static int read_inputs(struct reading *rd, const struct part *p, struct spec_reader *r, const struct bp_item_info *info,
	int ret[BP_MAX_INPUTS])
{
	char at[SPEC_POINTER], input_at[SPEC_POINTER];
	text_pointer(at, r->at, "inputs");
	const json_t *v = spec_read(r, "inputs");
	size_t n = v ? json_array_size(v) : 1;
	ret[0] = p->before;
	if (v && !json_is_array(v)) {
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "\"inputs\" must be an array of names, not %s.",
			text_kind(v));
		return 0;
	}
	if (n < 1 || n > BP_MAX_INPUTS) {
		problems_add(
			rd->problems, ERR_OUT_OF_RANGE, at, "A layer has 1 to %d inputs, not %zu.", BP_MAX_INPUTS, n);
		return 0;
	}
	if (info && ((int)n < info->min_inputs || (int)n > info->max_inputs)) {
		char most[24] = "";
		if (info->max_inputs != info->min_inputs)
			snprintf(most, sizeof(most), " to %d", info->max_inputs);
		problems_add(rd->problems, v ? ERR_INVALID_GRAPH : ERR_MISSING_FIELD, at,
			"%s takes %d%s input%s, not %zu%s", info->name, info->min_inputs, most,
			info->max_inputs > 1 ? "s" : "", n, v ? "." : ": name them in \"inputs\".");
	}
	for (size_t k = 0; v && k < n; k++) {
		text_pointer_index(input_at, at, k);
		read_input(rd, p, input_at, json_array_get(v, k), &ret[k]);
	}
	return (int)n;
}

/* The next layer of the model, called as the part is; NULL when there is no room, which the count rules out. */
static struct bp_layer_spec *add_layer(struct reading *rd, const struct part *p)
{
	struct spec_model *m = rd->model;
	if (m->net.nlayers >= rd->room) {
		problems_add(rd->problems, ERR_INTERNAL, p->at, "There is no room for this layer.");
		return NULL;
	}
	struct spec_place *place = &m->places[m->net.nlayers];
	snprintf(place->at, sizeof(place->at), "%s", p->at + rd->skip);
	place->block = spec_block_of(p->json) != SPEC_NO_BLOCK;
	struct bp_layer_spec *ret = &m->layers[m->net.nlayers++];
	snprintf(ret->name, sizeof(ret->name), "%s", p->name);
	return ret;
}

static int read_layer(struct reading *rd, const struct part *p)
{
	struct spec_reader r;
	bool known = false;
	struct bp_layer_spec *spec = add_layer(rd, p);
	if (!spec || !spec_reader_begin(&r, p->json, p->at, rd->problems))
		return p->before;
	spec_read(&r, "name");
	item_read(&r, BP_LAYER, &spec->item, &known);
	spec->ninputs = read_inputs(rd, p, &r, known ? bp_item_info(BP_LAYER, spec->item.type) : NULL, spec->inputs);
	options_read(&r, &spec->item, &spec->options);
	if (known)
		spec_reader_end(&r);
	return rd->model->net.nlayers - 1;
}

/* The layers of a block below `field`; false with a problem when they are none. */
static bool read_body(
	struct reading *rd, struct spec_reader *r, const char *field, struct scope *ret, char ret_at[SPEC_POINTER])
{
	text_pointer(ret_at, r->at, field);
	ret->at = ret_at;
	ret->layers = spec_read(r, field);
	if (!json_is_array(ret->layers))
		problems_add(rd->problems, ret->layers ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, ret_at,
			"\"%s\" must be an array of layers, not %s.", field, text_kind(ret->layers));
	else if (json_array_size(ret->layers) == 0)
		problems_add(rd->problems, ERR_OUT_OF_RANGE, ret_at, "\"%s\" must have a layer.", field);
	return json_array_size(ret->layers) > 0;
}

/* Blocks take one input. */
static const struct bp_item_info repeat_info = {.name = "Repeat", .min_inputs = 1, .max_inputs = 1},
				 residual_info = {.name = "Residual", .min_inputs = 1, .max_inputs = 1};

static int read_repeat(struct reading *rd, const struct part *p)
{
	struct spec_reader r;
	struct scope body = {.outer = p->scope};
	char at[SPEC_POINTER];
	int64_t n = 0;
	int inputs[BP_MAX_INPUTS], before = rd->problems->count;
	spec_reader_begin(&r, p->json, p->at, rd->problems);
	spec_read(&r, "type");
	spec_read(&r, "name");
	spec_read_int(&r, "n", true, 1, BP_MAX_LAYERS, &n);
	bool has_body = read_body(rd, &r, "body", &body, at);
	read_inputs(rd, p, &r, &repeat_info, inputs);
	spec_reader_end(&r);
	body.input = inputs[0];
	/* What is wrong with the body is told once: after the first time there are no others. */
	for (int64_t i = 0; i < (n < 1 ? 1 : n) && has_body && (i == 0 || rd->problems->count == before); i++) {
		snprintf(body.prefix, sizeof(body.prefix), "%s.%d.", p->name, (int)i);
		body.input = read_scope(rd, &body);
	}
	return body.input;
}

static int read_residual(struct reading *rd, const struct part *p)
{
	struct spec_reader r;
	struct scope body = {.outer = p->scope}, shortcut = {.outer = p->scope};
	char at[SPEC_POINTER], shortcut_at[SPEC_POINTER];
	int inputs[BP_MAX_INPUTS], ends[2];
	spec_reader_begin(&r, p->json, p->at, rd->problems);
	spec_read(&r, "type");
	spec_read(&r, "name");
	bool has_body = read_body(rd, &r, "body", &body, at);
	bool has_shortcut = spec_read(&r, "shortcut") && read_body(rd, &r, "shortcut", &shortcut, shortcut_at);
	read_inputs(rd, p, &r, &residual_info, inputs);
	spec_reader_end(&r);
	body.input = shortcut.input = ends[0] = ends[1] = inputs[0];
	snprintf(body.prefix, sizeof(body.prefix), "%s.", p->name);
	snprintf(shortcut.prefix, sizeof(shortcut.prefix), "%s.shortcut.", p->name);
	if (has_body)
		ends[0] = read_scope(rd, &body);
	if (has_shortcut)
		ends[1] = read_scope(rd, &shortcut);
	struct bp_layer_spec *sum = add_layer(rd, p);
	if (!sum)
		return inputs[0];
	bp_item_defaults(BP_LAYER, bp_item_find(BP_LAYER, "Add"), &sum->item);
	sum->ninputs = 2;
	memcpy(sum->inputs, ends, sizeof(ends));
	return rd->model->net.nlayers - 1;
}

static int read_part(struct reading *rd, const struct part *p)
{
	int output = p->before;
	switch (spec_block_of(p->json)) {
	case SPEC_NO_BLOCK:
		output = read_layer(rd, p);
		break;
	case SPEC_REPEAT:
		output = read_repeat(rd, p);
		break;
	case SPEC_RESIDUAL:
		output = read_residual(rd, p);
		break;
	}
	if (p->name[0] && json_object_set_new(rd->index, p->name, json_integer(output)) != 0)
		problems_add(rd->problems, ERR_UNAVAILABLE, p->at, "There is no memory for the layers' names.");
	return output;
}

/* Reads the layers of a scope; returns the place of the last one's output. */
static int read_scope(struct reading *rd, const struct scope *sc)
{
	size_t n = json_array_size(sc->layers);
	char(*names)[BP_NAME_MAX + 1] = calloc(n, sizeof(*names));
	int *counts = calloc((size_t)bp_item_count(BP_LAYER) + 1 + SPEC_RESIDUAL, sizeof(*counts));
	int before = sc->input;
	if (!names || !counts) {
		problems_add(rd->problems, ERR_UNAVAILABLE, sc->at, "There is no memory for the layers.");
		goto out;
	}
	for (size_t i = 0; i < n && !rd->problems->more; i++)
		read_name(rd, sc, i, names[i]);
	for (size_t i = 0; i < n && !rd->problems->more; i++)
		make_name(rd, sc, i, counts, names[i]);
	for (size_t i = 0; i < n && !rd->problems->more; i++) {
		char at[SPEC_POINTER];
		text_pointer_index(at, sc->at, i);
		before = read_part(rd, &(struct part){sc, json_array_get(sc->layers, i), at, names[i], before});
	}
out:
	free(counts);
	free(names);
	return before;
}

void layers_read(const json_t *layers, const char *at, struct problems *problems, struct spec_model *ret)
{
	char layers_at[SPEC_POINTER];
	struct reading rd = {.problems = problems, .model = ret, .skip = strlen(at)};
	struct scope top = {.input = BP_INPUT, .layers = layers, .at = layers_at};
	text_pointer(layers_at, at, "layers");
	rd.room = layers_count(layers, layers_at, problems);
	if (rd.room < 0)
		return;
	rd.index = json_object();
	/* One more, because there is nothing to allocate for blocks without a body. */
	ret->layers = calloc((size_t)rd.room + 1, sizeof(*ret->layers));
	ret->places = calloc((size_t)rd.room + 1, sizeof(*ret->places));
	ret->net.layers = ret->layers;
	if (rd.index && ret->layers && ret->places)
		read_scope(&rd, &top);
	else
		problems_add(problems, ERR_UNAVAILABLE, layers_at, "There is no memory for the layers.");
	json_decref(rd.index);
}
