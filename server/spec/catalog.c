/* catalog.c - all that can be asked for, as JSON from the core's tables. Called by api, any thread. */
#include "spec/spec.h"

#include "spec/item.h"
#include "spec/options.h"

const char *spec_isa(void)
{
	return bp_isa_name(BP_ISA_ALL);
}

static const char *kind_name(enum bp_arg_kind kind)
{
	switch (kind) {
	case BP_ARG_BOOL:
		return "bool";
	case BP_ARG_INT:
		return "int";
	case BP_ARG_PAIR:
		return "int_pair";
	case BP_ARG_PADDING:
		return "padding";
	case BP_ARG_REAL:
		return "real";
	case BP_ARG_REAL_PAIR:
		return "real_pair";
	case BP_ARG_CHOICE:
		return "choice";
	case BP_ARG_INTS:
	case BP_ARG_LONG_LIST:
		return "int_list";
	case BP_ARG_WEIGHTS:
		return "weights";
	}
	return "";
}

/* Bounds are of a given value; a bound that stands for "none" is null. */
static json_t *bound_json(const struct bp_arg *arg, double v)
{
	bool none = v <= -1e15 || v >= 1e15 || arg->kind == BP_ARG_BOOL || arg->kind == BP_ARG_CHOICE;
	if (none)
		return json_null();
	bool real = arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR || arg->kind == BP_ARG_WEIGHTS;
	return real ? spec_number(v) : json_integer((json_int_t)v);
}

static json_t *argument_json(const struct bp_arg *arg)
{
	char word[64];
	const struct bp_value def = {.v = {arg->def[0], arg->def[1]}};
	json_t *ret = json_pack("{s:s, s:s, s:b, s:s, s:o, s:o, s:o}", "name", arg->name, "kind", kind_name(arg->kind),
		"required", arg->required, "help", arg->help, "min", bound_json(arg, arg->min), "max",
		bound_json(arg, arg->max), "default", arg->required ? json_null() : item_value(arg, &def));
	if (!ret || !arg->choices)
		return ret;
	json_t *choices = json_array();
	for (int i = 0; item_choice(arg->choices, i, word, sizeof(word)); i++)
		json_array_append_new(choices, json_string(word));
	json_object_set_new(ret, "choices", choices);
	return ret;
}

static json_t *items_json(enum bp_item_kind kind)
{
	json_t *ret = json_array();
	for (int i = 0; i < bp_item_count(kind); i++) {
		const struct bp_item_info *info = bp_item_info(kind, i);
		json_t *arguments = json_array();
		for (int k = 0; k < info->nargs; k++)
			json_array_append_new(arguments, argument_json(&info->args[k]));
		json_t *item =
			json_pack("{s:s, s:s, s:o}", "name", info->name, "help", info->help, "arguments", arguments);
		if (item && kind == BP_LAYER)
			json_object_set_new(item, "inputs",
				json_pack("{s:i, s:i}", "min", info->min_inputs, "max", info->max_inputs));
		json_array_append_new(ret, item);
	}
	return ret;
}

/* What may stand for layers in a definition. */
static json_t *blocks_json(void)
{
	return json_pack("[{s:s, s:s, s:[s, s, s, s]}, {s:s, s:s, s:[s, s, s, s]}]", "name", "Repeat", "help",
		"Its body n times, one after the other.", "fields", "name", "n", "body", "inputs", "name", "Residual",
		"help",
		"The sum of what its body and its shortcut make of its input; without a shortcut, of the input.",
		"fields", "name", "body", "shortcut", "inputs");
}

/* What every layer with weights may say, too. */
static json_t *options_json(void)
{
	json_t *ret = json_array();
	const char *name, *help = "";
	for (int i = 0; options_argument(i); i++)
		json_array_append_new(ret, argument_json(options_argument(i)));
	for (int i = 0; (name = options_init(i, &help)); i++)
		json_array_append_new(
			ret, json_pack("{s:s, s:s, s:b, s:s, s:n, s:n, s:n}", "name", name, "kind", "initialisation",
				     "required", 0, "help", help, "min", "max", "default"));
	return ret;
}

json_t *spec_catalog(void)
{
	return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "layers", items_json(BP_LAYER), "layer_options",
		options_json(), "blocks", blocks_json(), "initialisations", items_json(BP_INIT), "losses",
		items_json(BP_LOSS), "optimizers", items_json(BP_OPTIMIZER), "schedulers", items_json(BP_SCHEDULER),
		"augmentations", items_json(BP_AUGMENT));
}
