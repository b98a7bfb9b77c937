/* options.c - see options.h. Called by model.c, summary.c and catalog.c; any thread. */
#include "spec/options.h"

#include "spec/item.h"

enum { FROZEN, LR_SCALE, WEIGHT_DECAY, ARGUMENTS };

static const struct bp_arg arguments[ARGUMENTS] = {
	[FROZEN] = {"frozen", BP_ARG_BOOL, false, {0}, 0, 1, NULL,
		"Whether its weights stay as they are. A batch norm still takes and keeps batch statistics."},
	[LR_SCALE] = {"lr_scale", BP_ARG_REAL, false, {1}, 0, BP_LR_SCALE_MAX, NULL,
		"Times the learning rate of the schedule."},
	[WEIGHT_DECAY] = {"weight_decay", BP_ARG_REAL, false, {BP_UNSET}, 0, BP_WEIGHT_DECAY_MAX, NULL,
		"Instead of the optimizer's."},
};

static const struct {
	const char *name, *help;
} inits[] = {
	{"init", "How its weight starts: an initialisation's name, or an object with its arguments."},
	{"bias_init", "How its bias starts."},
};
enum { INIT, BIAS_INIT, INITS };

const struct bp_arg *options_argument(int i)
{
	return i >= 0 && i < ARGUMENTS ? &arguments[i] : NULL;
}

const char *options_init(int i, const char **ret_help)
{
	if (i < 0 || i >= INITS)
		return NULL;
	*ret_help = inits[i].help;
	return inits[i].name;
}

/* *ret_given: the field is there. */
static void read_real(struct spec_reader *r, int argument, double *ret, bool *ret_given)
{
	const struct bp_arg *arg = &arguments[argument];
	*ret_given = json_object_get(r->obj, arg->name) != NULL;
	spec_read_real(r, arg->name, false, arg->min, arg->max, ret);
}

static bool read_init(struct spec_reader *r, int which, struct bp_item *ret)
{
	const char *name = inits[which].name;
	return json_object_get(r->obj, name) && item_read_field(r, name, BP_INIT, ret, NULL);
}

void options_read(struct spec_reader *r, const struct bp_item *item, struct bp_layer_options *ret)
{
	spec_read_bool(r, arguments[FROZEN].name, false, &ret->frozen);
	read_real(r, LR_SCALE, &ret->lr_scale, &ret->has_lr_scale);
	read_real(r, WEIGHT_DECAY, &ret->weight_decay, &ret->has_weight_decay);
	/* PReLU has an argument of that name, which was read with its others. */
	ret->has_init = !bp_item_arg(BP_LAYER, item, inits[INIT].name) && read_init(r, INIT, &ret->init);
	ret->has_bias_init = read_init(r, BIAS_INIT, &ret->bias_init);
}

static bool write_init(json_t *layer, int which, const struct bp_item *item)
{
	json_t *obj = json_object();
	if (item_write(obj, BP_INIT, item))
		return json_object_set_new(layer, inits[which].name, obj) == 0;
	json_decref(obj);
	return false;
}

bool options_write(json_t *layer, const struct bp_layer_options *o)
{
	return (!o->frozen || json_object_set_new(layer, arguments[FROZEN].name, json_true()) == 0) &&
	       (!o->has_lr_scale ||
		       json_object_set_new(layer, arguments[LR_SCALE].name, spec_number(o->lr_scale)) == 0) &&
	       (!o->has_weight_decay ||
		       json_object_set_new(layer, arguments[WEIGHT_DECAY].name, spec_number(o->weight_decay)) == 0) &&
	       (!o->has_init || write_init(layer, INIT, &o->init)) &&
	       (!o->has_bias_init || write_init(layer, BIAS_INIT, &o->bias_init));
}
