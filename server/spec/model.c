/* model.c - a model definition from JSON, and built into a net. Called by api and work, any thread. */
#include "spec/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/layers.h"
#include "spec/text.h"

enum { MAX_DIM = 65536 };

/* A layer made of a body that is written out again and again has one place. */
static bool is_told(const struct problems *problems, int before, const char *at)
{
	for (int i = before; i < problems->count; i++)
		if (strcmp(problems->list[i].param, at) == 0)
			return true;
	return false;
}

/* A layer whose output nobody uses would have no gradient and silently never train. */
static void find_unused(const struct spec_model *m, const char *at, struct problems *problems)
{
	const struct bp_net_spec *net = &m->net;
	bool *used = calloc((size_t)net->nlayers, sizeof(*used));
	int before = problems->count;
	if (!used) {
		problems_add(problems, ERR_UNAVAILABLE, "", "There is no memory for the graph.");
		return;
	}
	for (int i = 0; i < net->nlayers; i++)
		for (int k = 0; k < net->layers[i].ninputs; k++)
			if (net->layers[i].inputs[k] >= 0)
				used[net->layers[i].inputs[k]] = true;
	for (int i = 0; i < net->nlayers - 1; i++) {
		char where[SPEC_POINTER];
		snprintf(where, sizeof(where), "%s%s", at, m->places[i].at);
		if (!used[i] && !is_told(problems, before, where))
			problems_add(problems, ERR_INVALID_GRAPH, where,
				"No layer uses the output of \"%s\", so it would never train; only the last layer is "
				"the "
				"net's output.",
				net->layers[i].name);
	}
	free(used);
}

static void read_layers(const json_t *layers, const char *at, struct problems *problems, struct spec_model *ret)
{
	char layers_at[SPEC_POINTER];
	text_pointer(layers_at, at, "layers");
	if (!json_is_array(layers))
		problems_add(problems, layers ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, layers_at,
			"\"layers\" must be an array of layers, not %s.", text_kind(layers));
	else if (json_array_size(layers) == 0)
		problems_add(
			problems, ERR_OUT_OF_RANGE, layers_at, "A model has 1 to %d layers, not 0.", BP_MAX_LAYERS);
	else
		layers_read(layers, at, problems, ret);
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
	spec_read_title(&r, "name", false, ret->name, sizeof(ret->name));
	read_net_input(&r, &ret->net.input);
	read_layers(spec_read(&r, "layers"), at, problems, ret);
	spec_reader_end(&r);
	if (problems->count == before && !problems->more)
		find_unused(ret, at, problems);
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
	free(m->places);
	*m = (struct spec_model){0};
}

static enum error_code code_of(enum bp_status status)
{
	switch (status) {
	case BP_ELIMIT:
		return ERR_MODEL_TOO_LARGE;
	case BP_ENOMEM:
		return ERR_UNAVAILABLE;
	case BP_OK:
	case BP_EINVAL:
	case BP_EIO:
	case BP_ECORRUPT:
	case BP_EMISMATCH:
	case BP_ESYNC:
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
	bool placed = err.layer >= 0 && err.layer < m->net.nlayers;
	snprintf(where, sizeof(where), "%s%s", at, placed ? m->places[err.layer].at : "");
	/* The sum at the end of a block has no fields in the definition. */
	if (err.field[0] && !(placed && m->places[err.layer].block)) {
		text_pointer(next, where, err.field);
		snprintf(where, sizeof(where), "%s", next);
	}
	const char *layer = placed ? m->net.layers[err.layer].name : "";
	problems_add(problems, code_of(status), where, "%s%s%s%s", layer[0] ? "Layer \"" : "", layer,
		layer[0] ? "\": " : "", err.message);
	return NULL;
}
