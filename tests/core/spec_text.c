/* spec_text.c - see spec_text.h. Used by the tests of nets and layers; one thread. */
#include "spec_text.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int find_layer(const struct bp_layer_spec *layers, int n, const char *name)
{
	if (strcmp(name, "input") == 0)
		return BP_INPUT;
	for (int i = 0; i < n; i++)
		if (strcmp(layers[i].name, name) == 0)
			return i;
	ck_abort_msg("no layer %s", name);
	return 0;
}

/* Index of a word among choices, separated by '|'. */
static int choice(const char *choices, const char *word)
{
	size_t n = strlen(word);
	int at = 0;
	for (const char *c = choices; *c; at++) {
		if (strncmp(c, word, n) == 0 && (c[n] == '|' || c[n] == '\0'))
			return at;
		c += strcspn(c, "|");
		c += *c == '|';
	}
	ck_abort_msg("%s is none of %s", word, choices);
	return 0;
}

static void set_arg(enum bp_item_kind of, struct bp_item *item, char *word)
{
	char *value = strchr(word, '=');
	ck_assert_msg(value != NULL, "no value: %s", word);
	*value++ = '\0';
	const struct bp_value *known = bp_item_arg(of, item, word);
	ck_assert_msg(known != NULL, "no argument %s", word);
	struct bp_value *arg = &item->args[known - item->args];
	char *second = strchr(value, ',');
	const struct bp_arg *kind = &bp_item_info(of, item->type)->args[known - item->args];
	if (kind->kind == BP_ARG_CHOICE)
		arg->v[0] = choice(kind->choices, value);
	else if (strcmp(value, "same") == 0)
		arg->v[0] = arg->v[1] = BP_SAME;
	else if (strcmp(value, "true") == 0 || strcmp(value, "false") == 0)
		arg->v[0] = value[0] == 't';
	else if (value[0] == '[')
		for (char *at = value + 1; *at && *at != ']'; at += *at == ',')
			arg->v[arg->n++] = strtod(at, &at);
	else {
		arg->v[0] = atof(value);
		arg->v[1] = second ? atof(second + 1) : arg->v[0];
	}
}

static void set_init(struct bp_item *item, const char *name)
{
	int type = bp_item_find(BP_INIT, name);
	ck_assert_msg(type >= 0, "no initialisation %s", name);
	bp_item_defaults(BP_INIT, type, item);
}

/* Without its @. */
static void set_option(struct bp_layer_options *o, char *word)
{
	char *value = strchr(word, '=');
	if (value)
		*value++ = '\0';
	if (strcmp(word, "frozen") == 0)
		o->frozen = true;
	else if (strcmp(word, "lr_scale") == 0)
		o->lr_scale = atof(value), o->has_lr_scale = true;
	else if (strcmp(word, "weight_decay") == 0)
		o->weight_decay = atof(value), o->has_weight_decay = true;
	else if (strcmp(word, "init") == 0)
		set_init(&o->init, value), o->has_init = true;
	else if (strcmp(word, "bias_init") == 0)
		set_init(&o->bias_init, value), o->has_bias_init = true;
	else
		ck_abort_msg("no option %s", word);
}

static void parse_layer(char *text, struct bp_layer_spec *layers, int at)
{
	struct bp_layer_spec *l = &layers[at];
	char *save = NULL, *word = strtok_r(text, " ", &save);
	snprintf(l->name, sizeof(l->name), "layer%d", at);
	if (word[strlen(word) - 1] == ':') {
		snprintf(l->name, sizeof(l->name), "%.*s", (int)strlen(word) - 1, word);
		word = strtok_r(NULL, " ", &save);
	}
	int type = bp_item_find(BP_LAYER, word);
	ck_assert_msg(type >= 0, "no layer type %s", word);
	bp_item_defaults(BP_LAYER, type, &l->item);
	bool inputs = false;
	while ((word = strtok_r(NULL, " ", &save))) {
		if (strcmp(word, "<") == 0)
			inputs = true;
		else if (inputs)
			l->inputs[l->ninputs++] = find_layer(layers, at, word);
		else if (word[0] == '@')
			set_option(&l->options, word + 1);
		else
			set_arg(BP_LAYER, &l->item, word);
	}
	if (!inputs)
		l->inputs[l->ninputs++] = at - 1;
}

void spec_text(const char *text, struct bp_net_spec *ret)
{
	char *copy = strdup(text), *save = NULL;
	struct bp_layer_spec *layers = calloc(strlen(text), sizeof(*layers));
	char *part = strtok_r(copy, "|", &save);
	*ret = (struct bp_net_spec){.layers = layers};
	for (char *dim = part; *dim >= '0' && *dim <= '9'; dim += *dim == 'x')
		ret->input.dim[ret->input.ndim++] = strtoll(dim, &dim, 10);
	while ((part = strtok_r(NULL, "|", &save)))
		parse_layer(part, layers, ret->nlayers++);
	free(copy);
}

int items_text(enum bp_item_kind kind, const char *text, struct bp_item *ret, int max)
{
	char *copy = strdup(text), *outer = NULL, *inner = NULL;
	int n = 0;
	for (char *part = strtok_r(copy, "|", &outer); part; part = strtok_r(NULL, "|", &outer), n++) {
		char *word = strtok_r(part, " ", &inner);
		int type = bp_item_find(kind, word);
		ck_assert_msg(type >= 0 && n < max, "%s: no such item, or too many", word);
		bp_item_defaults(kind, type, &ret[n]);
		while ((word = strtok_r(NULL, " ", &inner)))
			set_arg(kind, &ret[n], word);
	}
	free(copy);
	return n;
}

void spec_text_done(struct bp_net_spec *spec)
{
	free((void *)spec->layers);
}

struct bp_net *net_text(const char *text, uint64_t seed)
{
	struct bp_net_spec spec;
	struct bp_net *net = NULL;
	struct bp_error err = {.status = BP_OK};
	spec_text(text, &spec);
	enum bp_status st = bp_net_new(&spec, &net, &err);
	ck_assert_msg(st == BP_OK, "%s: layer %d, %s: %s", text, err.layer, err.field, err.message);
	spec_text_done(&spec);
	bp_net_init(net, seed);
	return net;
}

bool text_has(const char *text, const char *type)
{
	for (const char *at = text; (at = strstr(at, type)); at++) {
		char end = at[strlen(type)];
		if ((at == text || at[-1] == ' ') && (end == ' ' || end == '\0'))
			return true;
	}
	return false;
}

struct bp_error net_text_error(const char *text)
{
	struct bp_net_spec spec;
	struct bp_net *net = NULL;
	struct bp_error err = {.status = BP_OK};
	spec_text(text, &spec);
	enum bp_status st = bp_net_new(&spec, &net, &err);
	ck_assert_msg(st != BP_OK, "no error: %s", text);
	ck_assert_int_eq(err.status, st);
	ck_assert_ptr_null(net);
	spec_text_done(&spec);
	return err;
}
