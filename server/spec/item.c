/* item.c - items and their arguments between JSON and struct bp_item. Called by model.c, job.c, catalog.c, any thread.
 */
#include "spec/item.h"

#include <stdio.h>
#include <string.h>

#include "spec/text.h"

enum { NAMES_MAX = 256, WORD_MAX = 64 };

static const char *item_kind_name(enum bp_item_kind kind)
{
	static const char *const names[] = {
		"layer", "loss", "optimizer", "scheduler", "initialisation", "augmentation"};
	return names[kind];
}

const char *item_choice(const char *choices, int i, char *ret, size_t size)
{
	for (; choices && i > 0; i--) {
		choices = strchr(choices, '|');
		choices = choices ? choices + 1 : NULL;
	}
	if (!choices || i < 0)
		return NULL;
	size_t n = strcspn(choices, "|");
	if (n >= size)
		n = size - 1;
	memcpy(ret, choices, n);
	ret[n] = '\0';
	return ret;
}

/* Where a value goes while it is read: its argument, its pointer and the place for problems. */
struct place {
	const struct bp_arg *arg;
	const char *at;
	struct problems *problems;
};

static bool wrong_type(const struct place *pl, const char *want, const json_t *v)
{
	problems_add(
		pl->problems, ERR_WRONG_TYPE, pl->at, "\"%s\" must be %s, not %s.", pl->arg->name, want, text_kind(v));
	return false;
}

static bool in_range(const struct place *pl, double v, double *ret)
{
	if (v >= pl->arg->min && v <= pl->arg->max) {
		*ret = v;
		return true;
	}
	char words[SPEC_WORDS];
	problems_add(pl->problems, ERR_OUT_OF_RANGE, pl->at, "\"%s\" must be %s, not %.10g.", pl->arg->name,
		text_range(words, pl->arg->min, pl->arg->max), v);
	return false;
}

static bool read_number(const struct place *pl, const json_t *v, bool real, const char *want, double *ret)
{
	if (real ? !json_is_number(v) : !json_is_integer(v))
		return wrong_type(pl, want, v);
	return in_range(pl, json_number_value(v), ret);
}

/* Two numbers; one alone means both, unless two are wanted. */
static bool read_pair(const struct place *pl, const json_t *v, bool real, const char *want, struct bp_value *ret)
{
	if (!json_is_array(v)) {
		if (real || !read_number(pl, v, real, want, &ret->v[0]))
			return real ? wrong_type(pl, want, v) : false;
		ret->v[1] = ret->v[0];
		return true;
	}
	if (json_array_size(v) != 2) {
		problems_add(pl->problems, ERR_WRONG_TYPE, pl->at, "\"%s\" must be %s, not an array of %zu.",
			pl->arg->name, want, json_array_size(v));
		return false;
	}
	for (size_t i = 0; i < 2; i++) {
		char at[SPEC_POINTER];
		text_pointer_index(at, pl->at, i);
		struct place part = {pl->arg, at, pl->problems};
		const char *one = real ? "two numbers" : "two integers";
		if (!read_number(&part, json_array_get(v, i), real, one, &ret->v[i]))
			return false;
	}
	return true;
}

/* A list of integers; one alone is a list of one. Those of a long list stay in the JSON: see item_list. */
static bool read_ints(const struct place *pl, const json_t *v, struct bp_value *ret)
{
	bool is_long = pl->arg->kind == BP_ARG_LONG_LIST;
	size_t most = is_long ? BP_MAX_LIST : BP_MAX_VALUES;
	double unused;
	char want[SPEC_WORDS];
	snprintf(want, sizeof(want), "an array of 1 to %zu integers", most);
	if (!json_is_array(v)) {
		ret->n = 1;
		return read_number(pl, v, false, want, is_long ? &unused : &ret->v[0]);
	}
	if (json_array_size(v) < 1 || json_array_size(v) > most) {
		problems_add(pl->problems, ERR_OUT_OF_RANGE, pl->at, "\"%s\" must be %s, not of %zu.", pl->arg->name,
			want, json_array_size(v));
		return false;
	}
	ret->n = (int)json_array_size(v);
	for (int i = 0; i < ret->n; i++) {
		char at[SPEC_POINTER];
		text_pointer_index(at, pl->at, (size_t)i);
		struct place part = {pl->arg, at, pl->problems};
		if (!read_number(&part, json_array_get(v, (size_t)i), false, want, is_long ? &unused : &ret->v[i]))
			return false;
	}
	return true;
}

static bool read_choice(const struct place *pl, const json_t *v, struct bp_value *ret)
{
	if (!json_is_string(v))
		return wrong_type(pl, "a string", v);
	char word[WORD_MAX], quote[SPEC_QUOTE];
	for (int i = 0; item_choice(pl->arg->choices, i, word, sizeof(word)); i++) {
		if (strcmp(word, json_string_value(v)) != 0)
			continue;
		ret->v[0] = i;
		return true;
	}
	problems_add(pl->problems, ERR_UNKNOWN_NAME, pl->at, "\"%s\" must be one of %s, not \"%s\".", pl->arg->name,
		pl->arg->choices, text_quote(quote, json_string_value(v)));
	return false;
}

/* A list of numbers, a number for a list of one, or a word; the numbers stay in the JSON: see item_list. */
static bool read_weights(const struct place *pl, const json_t *v, struct bp_value *ret)
{
	double unused;
	size_t n = json_array_size(v);
	if (json_is_string(v) && pl->arg->choices)
		return read_choice(pl, v, ret);
	ret->n = 1;
	if (!json_is_array(v))
		return read_number(pl, v, true,
			pl->arg->choices ? "an array of numbers or a word" : "a number or an array of them", &unused);
	if (n < 1 || n > SPEC_MAX_WEIGHTS) {
		problems_add(pl->problems, ERR_OUT_OF_RANGE, pl->at, "\"%s\" must be 1 to %d numbers, not %zu.",
			pl->arg->name, SPEC_MAX_WEIGHTS, n);
		return false;
	}
	ret->n = (int)n;
	for (size_t i = 0; i < n; i++) {
		char at[SPEC_POINTER];
		text_pointer_index(at, pl->at, i);
		struct place part = {pl->arg, at, pl->problems};
		if (!read_number(&part, json_array_get(v, i), true, "an array of numbers", &unused))
			return false;
	}
	return true;
}

static bool read_padding(const struct place *pl, const json_t *v, struct bp_value *ret)
{
	const char *want = "an integer, two integers, \"same\" or \"valid\"";
	if (!json_is_string(v))
		return read_pair(pl, v, false, want, ret);
	bool same = strcmp(json_string_value(v), "same") == 0;
	if (!same && strcmp(json_string_value(v), "valid") != 0) {
		char quote[SPEC_QUOTE];
		problems_add(pl->problems, ERR_UNKNOWN_NAME, pl->at, "\"%s\" must be %s, not \"%s\".", pl->arg->name,
			want, text_quote(quote, json_string_value(v)));
		return false;
	}
	ret->v[0] = ret->v[1] = same ? BP_SAME : 0;
	return true;
}

/* The item derives the value itself when it is not given. */
static bool is_optional(const struct bp_arg *arg)
{
	return !arg->required && (arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST ||
					 (arg->def[0] == BP_UNSET && arg->min > BP_UNSET));
}

static bool read_value(const struct place *pl, const json_t *v, struct bp_value *ret)
{
	if (json_is_null(v) && is_optional(pl->arg))
		return true;
	switch (pl->arg->kind) {
	case BP_ARG_BOOL:
		if (!json_is_boolean(v))
			return wrong_type(pl, "true or false", v);
		ret->v[0] = json_is_true(v);
		return true;
	case BP_ARG_INT:
		return read_number(pl, v, false, "an integer", &ret->v[0]);
	case BP_ARG_REAL:
		return read_number(pl, v, true, "a number", &ret->v[0]);
	case BP_ARG_PAIR:
		return read_pair(pl, v, false, "an integer or two integers", ret);
	case BP_ARG_PADDING:
		return read_padding(pl, v, ret);
	case BP_ARG_REAL_PAIR:
		return read_pair(pl, v, true, "an array of two numbers", ret);
	case BP_ARG_CHOICE:
		return read_choice(pl, v, ret);
	case BP_ARG_INTS:
	case BP_ARG_LONG_LIST:
		return read_ints(pl, v, ret);
	case BP_ARG_WEIGHTS:
		return read_weights(pl, v, ret);
	}
	return false;
}

/* Index of the item called name, or -1 with a problem. */
static int find_type(const char *name, enum bp_item_kind kind, const char *at, struct problems *problems)
{
	int index = bp_item_find(kind, name);
	if (index >= 0)
		return index;
	const char *names[NAMES_MAX + 2];
	int n = 0;
	for (; n < bp_item_count(kind) && n < NAMES_MAX; n++)
		names[n] = bp_item_info(kind, n)->name;
	if (kind == BP_LAYER) { /* a block may be meant, too */
		names[n++] = "Repeat";
		names[n++] = "Residual";
	}
	char quote[SPEC_QUOTE];
	const char *near = nearest_word(name, names, n);
	problems_add(problems, ERR_UNKNOWN_NAME, at, "There is no %s \"%s\"%s%s%s", item_kind_name(kind),
		text_quote(quote, name), near ? "; did you mean \"" : "; ", near ? near : "GET /v1/catalog lists them.",
		near ? "\"?" : "");
	return -1;
}

static bool missing(
	const struct bp_item_info *info, const struct bp_arg *arg, const char *at, struct problems *problems)
{
	problems_add(problems, ERR_MISSING_FIELD, at, "%s needs \"%s\": %s", info->name, arg->name, arg->help);
	return false;
}

/* The item that a string names, with its defaults; at is the string's pointer. False when problems were added. */
static bool item_from_name(
	const char *name, enum bp_item_kind kind, const char *at, struct problems *problems, struct bp_item *ret)
{
	int index = find_type(name, kind, at, problems);
	if (index < 0)
		return false;
	bp_item_defaults(kind, index, ret);
	const struct bp_item_info *info = bp_item_info(kind, index);
	bool ok = true;
	for (int i = 0; i < info->nargs; i++)
		if (info->args[i].required)
			ok = missing(info, &info->args[i], at, problems);
	return ok;
}

bool item_read(struct spec_reader *r, enum bp_item_kind kind, struct bp_item *ret, bool *ret_known)
{
	char at[SPEC_POINTER];
	text_pointer(at, r->at, "type");
	const json_t *type = spec_read(r, "type");
	if (!json_is_string(type))
		problems_add(r->problems, type ? ERR_WRONG_TYPE : ERR_MISSING_FIELD, at,
			"\"type\" must be the name of a %s, not %s.", item_kind_name(kind), text_kind(type));
	int index = json_is_string(type) ? find_type(json_string_value(type), kind, at, r->problems) : -1;
	*ret_known = index >= 0;
	if (index < 0)
		return false;
	bp_item_defaults(kind, index, ret);
	const struct bp_item_info *info = bp_item_info(kind, index);
	bool ok = true;
	for (int i = 0; i < info->nargs; i++) {
		const struct bp_arg *arg = &info->args[i];
		const json_t *v = spec_read(r, arg->name);
		text_pointer(at, r->at, arg->name);
		if (v)
			ok = read_value(&(struct place){arg, at, r->problems}, v, &ret->args[i]) && ok;
		else if (arg->required)
			ok = missing(info, arg, at, r->problems);
	}
	return ok;
}

bool item_read_value(
	const json_t *v, const char *at, enum bp_item_kind kind, struct problems *problems, struct bp_item *ret)
{
	struct spec_reader r;
	bool known = false;
	if (json_is_string(v))
		return item_from_name(json_string_value(v), kind, at, problems, ret);
	if (!spec_reader_begin(&r, v, at, problems))
		return false;
	bool ok = item_read(&r, kind, ret, &known);
	if (known)
		spec_reader_end(&r);
	return ok;
}

bool item_read_field(
	struct spec_reader *parent, const char *name, enum bp_item_kind kind, struct bp_item *ret, double *warmup)
{
	char at[SPEC_POINTER];
	struct spec_reader r;
	bool known = false;
	const json_t *v = json_object_get(parent->obj, name);
	if (json_is_string(v)) {
		spec_read(parent, name);
		text_pointer(at, parent->at, name);
		return item_from_name(json_string_value(v), kind, at, parent->problems, ret);
	}
	if (!spec_read_object(parent, name, at, &r))
		return false;
	bool ok = item_read(&r, kind, ret, &known);
	if (warmup)
		ok = spec_read_real(&r, "warmup_epochs", false, 0, BP_MAX_EPOCHS, warmup) && ok;
	if (known)
		spec_reader_end(&r);
	return ok;
}

static json_t *integer(double v)
{
	return json_integer((json_int_t)v);
}

static json_t *numbers(const double *v, int n, json_t *one(double v))
{
	json_t *ret = json_array();
	for (int i = 0; i < n; i++)
		if (json_array_append_new(ret, one(v[i])) != 0) {
			json_decref(ret);
			return NULL;
		}
	return ret;
}

json_t *item_value(const struct bp_arg *arg, const struct bp_value *value)
{
	char word[WORD_MAX];
	double a = value->v[0], b = value->v[1];
	bool list = arg->kind == BP_ARG_INTS || arg->kind == BP_ARG_LONG_LIST;
	if (is_optional(arg) && (list ? value->n == 0 : a == BP_UNSET))
		return json_null();
	switch (arg->kind) {
	case BP_ARG_BOOL:
		return json_boolean(a != 0);
	case BP_ARG_INT:
		return integer(a);
	case BP_ARG_REAL:
		return spec_number(a);
	case BP_ARG_PADDING:
		if (a == BP_SAME)
			return json_string("same");
		return a == b ? integer(a) : json_pack("[oo]", integer(a), integer(b));
	case BP_ARG_PAIR:
		return a == b ? integer(a) : json_pack("[oo]", integer(a), integer(b));
	case BP_ARG_REAL_PAIR:
		return json_pack("[oo]", spec_number(a), spec_number(b));
	case BP_ARG_CHOICE:
		return item_choice(arg->choices, (int)a, word, sizeof(word)) ? json_string(word) : json_null();
	case BP_ARG_INTS:
		return numbers(value->v, value->n, integer);
	case BP_ARG_LONG_LIST: /* of the item: list_value */
		return NULL;
	case BP_ARG_WEIGHTS: /* the same, but for a word */
		return item_choice(arg->choices, (int)a, word, sizeof(word)) ? json_string(word) : json_null();
	}
	return NULL;
}

/* A value that may be the numbers that the item borrows. */
static json_t *list_value(const struct bp_arg *arg, const struct bp_item *item, const struct bp_value *value)
{
	if (value->n > 0 && arg->kind == BP_ARG_LONG_LIST)
		return numbers(item->list, value->n, integer);
	if (value->n > 0 && arg->kind == BP_ARG_WEIGHTS && value->v[0] == BP_UNSET)
		return numbers(item->list, value->n, spec_number);
	return item_value(arg, value);
}

int item_list(const json_t *obj, const struct bp_item_info *info, double *ret)
{
	for (int i = 0; i < info->nargs; i++) {
		const json_t *v = json_object_get(obj, info->args[i].name);
		bool borrowed = info->args[i].kind == BP_ARG_WEIGHTS || info->args[i].kind == BP_ARG_LONG_LIST;
		if (!borrowed || (!json_is_number(v) && !json_is_array(v)))
			continue;
		int n = json_is_array(v) ? (int)json_array_size(v) : 1;
		for (int k = 0; k < n && k < SPEC_MAX_WEIGHTS; k++)
			ret[k] = json_number_value(json_is_array(v) ? json_array_get(v, (size_t)k) : v);
		return n;
	}
	return 0;
}

bool item_write(json_t *obj, enum bp_item_kind kind, const struct bp_item *item)
{
	const struct bp_item_info *info = bp_item_info(kind, item->type);
	if (!info || json_object_set_new(obj, "type", json_string(info->name)) != 0)
		return false;
	for (int i = 0; i < info->nargs; i++) {
		const struct bp_arg *arg = &info->args[i];
		if (json_object_set_new(obj, arg->name, list_value(arg, item, &item->args[i])) != 0)
			return false;
	}
	return true;
}
