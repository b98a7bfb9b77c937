/* summary.c - a model as JSON: the definition in full, and what it amounts to. Called by api and work, any thread. */
#include "spec/spec.h"

#include "spec/item.h"
#include "spec/lint.h"
#include "spec/options.h"

static json_t *shape_json(const struct bp_shape *s)
{
	json_t *ret = json_array();
	for (int i = 0; i < s->ndim; i++)
		json_array_append_new(ret, json_integer(s->dim[i]));
	return ret;
}

static json_t *inputs_json(const struct spec_model *m, int layer)
{
	json_t *ret = json_array();
	const struct bp_layer_spec *spec = &m->layers[layer];
	for (int k = 0; k < spec->ninputs; k++)
		json_array_append_new(
			ret, json_string(spec->inputs[k] < 0 ? "input" : m->layers[spec->inputs[k]].name));
	return ret;
}

json_t *spec_model_to_json(const struct spec_model *m)
{
	json_t *layers = json_array();
	json_t *ret = json_pack("{s:{s:o}, s:o}", "input", "shape", shape_json(&m->net.input), "layers", layers);
	if (!ret)
		return NULL;
	if (m->name[0])
		json_object_set_new(ret, "name", json_string(m->name));
	for (int i = 0; i < m->net.nlayers; i++) {
		json_t *layer = json_pack("{s:s, s:o}", "name", m->layers[i].name, "inputs", inputs_json(m, i));
		if (!layer || !item_write(layer, BP_LAYER, &m->layers[i].item) ||
			!options_write(layer, &m->layers[i].options) || json_array_append(layers, layer) != 0) {
			json_decref(layer);
			json_decref(ret);
			return NULL;
		}
		json_decref(layer);
	}
	return ret;
}

json_t *spec_model_summary(const struct spec_model *m, const struct bp_net *net)
{
	json_t *layers = json_array();
	int64_t trainable = 0;
	for (int i = 0; i < bp_net_layers(net) && i < m->net.nlayers; i++) {
		struct bp_layer_info info;
		bp_net_layer_info(net, i, &info);
		trainable += info.frozen ? 0 : info.parameters;
		json_array_append_new(
			layers, json_pack("{s:s, s:s, s:o, s:o, s:I, s:I, s:I, s:b}", "name", info.name, "type",
					info.type, "inputs", inputs_json(m, i), "output_shape", shape_json(&info.out),
					"parameters", (json_int_t)info.parameters, "buffers", (json_int_t)info.buffers,
					"flops", (json_int_t)info.flops, "frozen", info.frozen));
	}
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	return json_pack("{s:o, s:o, s:I, s:I, s:I, s:I, s:o, s:o}", "input_shape", shape_json(&in), "output_shape",
		shape_json(&out), "parameters", (json_int_t)bp_net_parameters(net), "trainable_parameters",
		(json_int_t)trainable, "flops", (json_int_t)bp_net_flops(net), "training_flops",
		(json_int_t)bp_net_training_flops(net), "layers", layers, "warnings", lint_model(m, net));
}
