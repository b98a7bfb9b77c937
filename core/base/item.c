/* item.c - see item.h. */
#include "base/item.h"

#include "base/status.h"

#include <math.h>
#include <string.h>

static const struct bp_item_table *table_of(enum bp_item_kind kind)
{
	switch (kind) {
	case BP_LAYER:
		return &bp_layer_items;
	case BP_LOSS:
		return &bp_loss_items;
	case BP_OPTIMIZER:
		return &bp_optimizer_items;
	case BP_SCHEDULER:
		return &bp_scheduler_items;
	case BP_INIT:
		return &bp_init_items;
	case BP_AUGMENT:
		return &bp_augment_items;
	}
	return NULL;
}

int bp_item_count(enum bp_item_kind kind)
{
	const struct bp_item_table *t = table_of(kind);
	return t ? t->count : 0;
}

const struct bp_item_info *bp_item_info(enum bp_item_kind kind, int type)
{
	const struct bp_item_table *t = table_of(kind);
	return t && type >= 0 && type < t->count ? t->infos[type] : NULL;
}

int bp_item_find(enum bp_item_kind kind, const char *name)
{
	int n = bp_item_count(kind);
	for (int i = 0; i < n; i++) {
		const char *known = bp_item_info(kind, i)->name;
		if (known[0] == name[0] && strcmp(known, name) == 0)
			return i;
	}
	return -1;
}

void bp_item_defaults(enum bp_item_kind kind, int type, struct bp_item *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->type = type;
	const struct bp_item_info *info = bp_item_info(kind, type);
	for (int i = 0; info && i < info->nargs; i++)
		for (int j = 0; j < 2 && !info->args[i].required && info->args[i].kind != BP_ARG_INTS; j++)
			ret->args[i].v[j] = info->args[i].def[j];
}

const struct bp_value *bp_item_arg(enum bp_item_kind kind, const struct bp_item *item, const char *name)
{
	const struct bp_item_info *info = bp_item_info(kind, item->type);
	for (int i = 0; info && i < info->nargs; i++)
		if (strcmp(info->args[i].name, name) == 0)
			return &item->args[i];
	return NULL;
}

int bp_value_count(const struct bp_arg *arg, const struct bp_value *value)
{
	switch (arg->kind) {
	case BP_ARG_BOOL:
	case BP_ARG_INT:
	case BP_ARG_REAL:
	case BP_ARG_CHOICE:
		return 1;
	case BP_ARG_PAIR:
	case BP_ARG_PADDING:
	case BP_ARG_REAL_PAIR:
		return 2;
	case BP_ARG_INTS:
		return value->n < 0 ? 0 : value->n > BP_MAX_VALUES ? BP_MAX_VALUES : value->n;
	case BP_ARG_LONG_LIST:
		return 0;
	case BP_ARG_WEIGHTS:
		return 1; /* the word */
	}
	return 0;
}

/* The value stands for a word or for "not given", outside the bounds of given numbers. */
static bool is_special(const struct bp_arg *arg, const struct bp_value *value)
{
	if (arg->kind == BP_ARG_PADDING && value->v[0] == BP_SAME && value->v[1] == BP_SAME)
		return true;
	if (arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST)
		return !arg->required && value->n == 0;
	return !arg->required && arg->def[0] == BP_UNSET && value->v[0] == BP_UNSET &&
	       (bp_value_count(arg, value) == 1 || value->v[1] == BP_UNSET);
}

/* Words but one; -1 without any. */
static int bar_count(const char *choices)
{
	int bars = choices ? 0 : -1;
	for (const char *c = choices; c && *c; c++)
		bars += *c == '|';
	return bars;
}

/* The numbers that an item borrows. */
static enum bp_status check_list(
	const struct bp_arg *arg, const struct bp_item *item, int n, int layer, struct bp_error *err)
{
	bool whole = arg->kind == BP_ARG_LONG_LIST;
	if (n < 0 || (n > 0 && !item->list))
		return bp_fail(err, BP_EINVAL, layer, arg->name, "%s is not there", arg->name);
	for (int i = 0; i < n; i++) {
		double v = item->list[i];
		if (!(v >= arg->min && v <= arg->max) || (whole && v != floor(v)))
			return bp_fail(err, BP_EINVAL, layer, arg->name,
				"%s must be %snumbers between %.10g and %.10g, and number %d is %.10g", arg->name,
				whole ? "whole " : "", arg->min, arg->max, i, v);
	}
	return BP_OK;
}

static enum bp_status check_arg(const struct bp_arg *arg, const struct bp_value *value, int layer, struct bp_error *err)
{
	bool real = arg->kind == BP_ARG_REAL || arg->kind == BP_ARG_REAL_PAIR;
	if (is_special(arg, value))
		return BP_OK;
	int most = arg->kind == BP_ARG_INTS ? BP_MAX_VALUES : arg->kind == BP_ARG_LONG_LIST ? BP_MAX_LIST : 0;
	if (most > 0 && (value->n < 1 || value->n > most))
		return bp_fail(err, BP_EINVAL, layer, arg->name, "%s must be a list of 1 to %d whole numbers, not %d",
			arg->name, most, value->n);
	for (int i = 0; i < bp_value_count(arg, value); i++) {
		double v = value->v[i];
		if (!isfinite(v) || (!real && v != floor(v)))
			return bp_fail(err, BP_EINVAL, layer, arg->name, "%s must be %s number", arg->name,
				real ? "a finite" : "a whole");
		double min = arg->min, max = arg->max;
		if (arg->kind == BP_ARG_BOOL || arg->kind == BP_ARG_CHOICE || arg->kind == BP_ARG_WEIGHTS) {
			min = 0;
			max = arg->kind == BP_ARG_BOOL ? 1 : bar_count(arg->choices);
		}
		if (v < min || v > max)
			return bp_fail(err, BP_EINVAL, layer, arg->name,
				"%s must be between %.10g and %.10g, not %.10g", arg->name, min, max, v);
	}
	return BP_OK;
}

enum bp_status bp_item_check(enum bp_item_kind kind, const struct bp_item *item, int layer, struct bp_error *err)
{
	const struct bp_item_info *info = bp_item_info(kind, item->type);
	if (!info)
		return bp_fail(err, BP_EINVAL, layer, "type", "there is no item of type %d", item->type);
	for (int i = 0; i < info->nargs; i++) {
		enum bp_status st = check_arg(&info->args[i], &item->args[i], layer, err);
		if (!st && (info->args[i].kind == BP_ARG_WEIGHTS || info->args[i].kind == BP_ARG_LONG_LIST))
			st = check_list(&info->args[i], item, item->args[i].n, layer, err);
		if (st)
			return st;
	}
	return BP_OK;
}
