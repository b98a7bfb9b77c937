/*
 * model.c - a model definition from JSON, and built into a net. Called by api and work, any thread.
 *
 * Layers are read in three rounds, because an input may name any layer and a missing name must not take one that is
 * given further down: given names, then made-up names, then types, arguments and inputs.
 */
#include "spec/spec.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/item.h"
#include "spec/text.h"

enum { MAX_DIM = 65536, NEAR_LAYERS = 256 };

struct reading {
	const json_t *layers;
	char at[SPEC_POINTER]; /* of layers */
	struct problems *problems;
	json_t *index; /* name -> position */
	struct spec_model *model;
};

static const char *const name_form = "1 to 63 of the characters A-Z a-z 0-9 _ . -";

static bool name_is_valid(const char *s)
{
	size_t n = strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-");
	return s[n] == '\0' && n > 0 && n <= BP_NAME_MAX;
}

static void read_name(struct reading *rd, size_t i)
{
	const json_t *v = json_object_get(json_array_get(rd->layers, i), "name");
	if (!v)
		return;
	char layer_at[SPEC_POINTER], at[SPEC_POINTER], quote[SPEC_QUOTE];
	text_pointer_index(layer_at, rd->at, i);
	text_pointer(at, layer_at, "name");
	const char *name = json_string_value(v);
	const json_t *other = name ? json_object_get(rd->index, name) : NULL;
	if (!name)
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "\"name\" must be a string, not %s.", text_kind(v));
	else if (!name_is_valid(name))
		problems_add(rd->problems, ERR_INVALID_NAME, at, "A layer's name is %s.", name_form);
	else if (strcmp(name, "input") == 0)
		problems_add(rd->problems, ERR_INVALID_NAME, at, "The name \"input\" stands for the input of the net.");
	else if (other)
		problems_add(rd->problems, ERR_DUPLICATE_NAME, at, "Layer %lld is already called \"%s\".",
			(long long)json_integer_value(other), text_quote(quote, name));
	else if (json_object_set_new(rd->index, name, json_integer((json_int_t)i)) != 0)
		problems_add(rd->problems, ERR_UNAVAILABLE, at, "There is no memory for the layers' names.");
	else
		snprintf(rd->model->layers[i].name, sizeof(rd->model->layers[i].name), "%s", name);
}

/* Unnamed layers are called by their type and how many of it there were: conv2d_1, relu_1, conv2d_2. */
static void make_names(struct reading *rd, int *counts)
{
	for (size_t i = 0; i < json_array_size(rd->layers) && !rd->problems->more; i++) {
		char *name = rd->model->layers[i].name;
		const json_t *layer = json_array_get(rd->layers, i);
		const char *type = json_string_value(json_object_get(layer, "type"));
		int index = type ? bp_item_find(BP_LAYER, type) : -1;
		if (index < 0 || json_object_get(layer, "name"))
			continue;
		do {
			snprintf(name, BP_NAME_MAX + 1, "%.48s_%d", type, ++counts[index]);
			for (char *p = name; *p; p++)
				*p = (char)tolower((unsigned char)*p);
		} while (json_object_get(rd->index, name));
		if (json_object_set_new(rd->index, name, json_integer((json_int_t)i)) != 0)
			problems_add(
				rd->problems, ERR_UNAVAILABLE, rd->at, "There is no memory for the layers' names.");
	}
}

static void unknown_input(struct reading *rd, size_t i, const char *at, const char *given)
{
	const char *names[NEAR_LAYERS + 1] = {"input"};
	int n = 1;
	for (size_t j = i; j > 0 && n <= NEAR_LAYERS; j--)
		if (rd->model->layers[j - 1].name[0])
			names[n++] = rd->model->layers[j - 1].name;
	char quote[SPEC_QUOTE];
	const char *near = nearest_word(given, names, n);
	problems_add(rd->problems, ERR_UNKNOWN_NAME, at, "No layer above is called \"%s\"%s%s%s",
		text_quote(quote, given), near ? "; did you mean \"" : ".", near ? near : "", near ? "\"?" : "");
}

static void read_input(struct reading *rd, size_t i, const char *at, const json_t *v, int *ret)
{
	const char *name = json_string_value(v);
	if (!name) {
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "An input must be the name of a layer, not %s.",
			text_kind(v));
		return;
	}
	*ret = BP_INPUT;
	if (strcmp(name, "input") == 0)
		return;
	const json_t *position = json_object_get(rd->index, name);
	if (!position) {
		unknown_input(rd, i, at, name);
		return;
	}
	json_int_t from = json_integer_value(position);
	if (from < (json_int_t)i)
		*ret = (int)from;
	else
		problems_add(rd->problems, ERR_INVALID_GRAPH, at,
			"The layer \"%s\" is %s: that would be a cycle. An input names a layer above.", name,
			from == (json_int_t)i ? "this layer itself" : "below this one");
}

static void read_inputs(struct reading *rd, size_t i, struct spec_reader *r, bool known)
{
	struct bp_layer_spec *spec = &rd->model->layers[i];
	const struct bp_item_info *info = known ? bp_item_info(BP_LAYER, spec->item.type) : NULL;
	char at[SPEC_POINTER], input_at[SPEC_POINTER];
	text_pointer(at, r->at, "inputs");
	const json_t *v = spec_read(r, "inputs");
	size_t n = v ? json_array_size(v) : 1;
	if (v && !json_is_array(v)) {
		problems_add(rd->problems, ERR_WRONG_TYPE, at, "\"inputs\" must be an array of names, not %s.",
			text_kind(v));
		return;
	}
	if (n < 1 || n > BP_MAX_INPUTS) {
		problems_add(
			rd->problems, ERR_OUT_OF_RANGE, at, "A layer has 1 to %d inputs, not %zu.", BP_MAX_INPUTS, n);
		return;
	}
	if (info && ((int)n < info->min_inputs || (int)n > info->max_inputs)) {
		char most[24] = "";
		if (info->max_inputs != info->min_inputs)
			snprintf(most, sizeof(most), " to %d", info->max_inputs);
		problems_add(rd->problems, v ? ERR_INVALID_GRAPH : ERR_MISSING_FIELD, at,
			"%s takes %d%s input%s, not %zu%s", info->name, info->min_inputs, most,
			info->max_inputs > 1 ? "s" : "", n, v ? "." : ": name them in \"inputs\".");
	}
	spec->ninputs = (int)n;
	spec->inputs[0] = i > 0 ? (int)i - 1 : BP_INPUT;
	for (size_t k = 0; v && k < n; k++) {
		text_pointer_index(input_at, at, k);
		read_input(rd, i, input_at, json_array_get(v, k), &spec->inputs[k]);
	}
}

static void read_layer(struct reading *rd, size_t i)
{
	char at[SPEC_POINTER];
	struct spec_reader r;
	bool known = false;
	text_pointer_index(at, rd->at, i);
	if (!spec_reader_begin(&r, json_array_get(rd->layers, i), at, rd->problems))
		return;
	spec_read(&r, "name");
	item_read(&r, BP_LAYER, &rd->model->layers[i].item, &known);
	read_inputs(rd, i, &r, known);
	if (known)
		spec_reader_end(&r);
}

/* A layer whose output nobody uses would have no gradient and silently never train. */
static void find_unused(struct reading *rd)
{
	const struct bp_net_spec *net = &rd->model->net;
	bool *used = calloc((size_t)net->nlayers, sizeof(*used));
	if (!used) {
		problems_add(rd->problems, ERR_UNAVAILABLE, rd->at, "There is no memory for the graph.");
		return;
	}
	for (int i = 0; i < net->nlayers; i++)
		for (int k = 0; k < net->layers[i].ninputs; k++)
			if (net->layers[i].inputs[k] >= 0)
				used[net->layers[i].inputs[k]] = true;
	for (int i = 0; i < net->nlayers - 1; i++) {
		if (used[i])
			continue;
		char at[SPEC_POINTER];
		text_pointer_index(at, rd->at, (size_t)i);
		problems_add(rd->problems, ERR_INVALID_GRAPH, at,
			"No layer uses the output of \"%s\", so it would never train; only the last layer is the net's "
			"output.",
			net->layers[i].name);
	}
	free(used);
}

static void read_layers(struct reading *rd)
{
	size_t n = json_array_size(rd->layers);
	if (!json_is_array(rd->layers)) {
		problems_add(rd->problems, rd->layers ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, rd->at,
			"\"layers\" must be an array of layers, not %s.", text_kind(rd->layers));
		return;
	}
	if (n < 1 || n > BP_MAX_LAYERS) {
		problems_add(rd->problems, ERR_OUT_OF_RANGE, rd->at, "A model has 1 to %d layers, not %zu.",
			BP_MAX_LAYERS, n);
		return;
	}
	int *counts = calloc((size_t)bp_item_count(BP_LAYER) + 1, sizeof(*counts));
	rd->model->layers = calloc(n, sizeof(*rd->model->layers));
	rd->index = json_object();
	if (!counts || !rd->model->layers || !rd->index) {
		problems_add(rd->problems, ERR_UNAVAILABLE, rd->at, "There is no memory for the layers.");
		goto out;
	}
	rd->model->net.layers = rd->model->layers;
	rd->model->net.nlayers = (int)n;
	for (size_t i = 0; i < n && !rd->problems->more; i++)
		read_name(rd, i);
	make_names(rd, counts);
	for (size_t i = 0; i < n && !rd->problems->more; i++)
		read_layer(rd, i);
out:
	free(counts);
	json_decref(rd->index);
}

static void read_shape(const json_t *v, const char *at, struct problems *problems, struct bp_shape *ret)
{
	size_t n = json_array_size(v);
	if (!json_is_array(v)) {
		problems_add(problems, v ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, at,
			"\"shape\" must be [features], [channels, length] or [channels, height, width], not %s.",
			text_kind(v));
		return;
	}
	if (n < 1 || n > BP_MAX_DIMS) {
		problems_add(problems, ERR_INVALID_SHAPE, at,
			"\"shape\" must be [features], [channels, length] or [channels, height, width], not an array "
			"of "
			"%zu.",
			n);
		return;
	}
	int before = problems->count;
	ret->ndim = (int)n;
	for (size_t i = 0; i < n; i++) {
		const json_t *dim = json_array_get(v, i);
		char dim_at[SPEC_POINTER];
		text_pointer_index(dim_at, at, i);
		ret->dim[i] = json_integer_value(dim);
		if (!json_is_integer(dim))
			problems_add(problems, ERR_WRONG_TYPE, dim_at, "A dimension must be an integer, not %s.",
				text_kind(dim));
		else if (ret->dim[i] < 1 || ret->dim[i] > MAX_DIM)
			problems_add(problems, ERR_OUT_OF_RANGE, dim_at, "A dimension must be from 1 to %d, not %lld.",
				MAX_DIM, (long long)ret->dim[i]);
	}
	if (problems->count == before && (bp_shape_size(ret) < 1 || bp_shape_size(ret) > SPEC_MAX_SAMPLE))
		problems_add(problems, ERR_OUT_OF_RANGE, at, "A sample may have at most %d values.", SPEC_MAX_SAMPLE);
}

static void read_net_input(struct spec_reader *model, struct bp_shape *ret)
{
	char at[SPEC_POINTER], shape_at[SPEC_POINTER];
	struct spec_reader r;
	text_pointer(at, model->at, "input");
	text_pointer(shape_at, at, "shape");
	const json_t *v = spec_read(model, "input");
	if (!v) {
		problems_add(model->problems, ERR_MISSING_FIELD, at,
			"\"input\" is required: {\"shape\": [features]}, [channels, length] or "
			"[channels, height, width].");
		return;
	}
	if (!spec_reader_begin(&r, v, at, model->problems))
		return;
	read_shape(spec_read(&r, "shape"), shape_at, model->problems, ret);
	spec_reader_end(&r);
}

bool spec_model_parse(const json_t *json, const char *at, struct problems *problems, struct spec_model *ret)
{
	int before = problems->count;
	struct spec_reader r;
	*ret = (struct spec_model){0};
	if (!spec_reader_begin(&r, json, at, problems))
		return false;
	struct reading rd = {.problems = problems, .model = ret};
	text_pointer(rd.at, at, "layers");
	spec_read_title(&r, "name", false, ret->name, sizeof(ret->name));
	read_net_input(&r, &ret->net.input);
	rd.layers = spec_read(&r, "layers");
	read_layers(&rd);
	spec_reader_end(&r);
	if (problems->count == before && !problems->more)
		find_unused(&rd);
	if (problems->count == before && !problems->more)
		return true;
	spec_model_done(ret);
	return false;
}

void spec_model_done(struct spec_model *m)
{
	if (!m)
		return;
	free(m->layers);
	*m = (struct spec_model){0};
}

static enum error_code code_of(enum bp_status status)
{
	switch (status) {
	case BP_ELIMIT:
	case BP_ENOMEM:
		return ERR_MODEL_TOO_LARGE;
	case BP_OK:
	case BP_EINVAL:
	case BP_EIO:
	case BP_ECORRUPT:
	case BP_EMISMATCH:
		return ERR_INVALID_SHAPE;
	}
	return ERR_INTERNAL;
}

struct bp_net *spec_model_build(const struct spec_model *m, const char *at, struct problems *problems)
{
	struct bp_net *net = NULL;
	struct bp_error err = {.layer = -1};
	enum bp_status status = bp_net_new(&m->net, &net, &err);
	if (status == BP_OK)
		return net;
	char where[SPEC_POINTER], next[SPEC_POINTER];
	snprintf(where, sizeof(where), "%s", at);
	if (err.layer >= 0) {
		text_pointer(next, where, "layers");
		text_pointer_index(where, next, (size_t)err.layer);
	}
	if (err.field[0]) {
		text_pointer(next, where, err.field);
		snprintf(where, sizeof(where), "%s", next);
	}
	const char *layer = err.layer >= 0 && err.layer < m->net.nlayers ? m->net.layers[err.layer].name : "";
	problems_add(problems, code_of(status), where, "%s%s%s%s", layer[0] ? "Layer \"" : "", layer,
		layer[0] ? "\": " : "", err.message);
	return NULL;
}
