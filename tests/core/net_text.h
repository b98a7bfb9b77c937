/* net_text.h - nets for tests, written as in tests/fixtures/nets.txt: a layer a line, "name Type arg=value ... @input".
 */
#ifndef TESTS_NET_TEXT_H
#define TESTS_NET_TEXT_H

#include "backprop.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NET_TEXT_LAYERS = 32 };

struct net_text {
	struct bp_net_spec spec;
	struct bp_layer_spec layers[NET_TEXT_LAYERS];
};

static inline int net_text_layer(const struct net_text *t, const char *name)
{
	for (int i = 0; i < t->spec.nlayers; i++)
		if (strcmp(t->layers[i].name, name) == 0)
			return i;
	ck_assert_msg(strcmp(name, "input") == 0, "there is no layer %s above", name);
	return BP_INPUT;
}

static inline void net_text_arg(struct bp_layer_spec *l, const char *name, const char *value)
{
	const struct bp_value *arg = bp_item_arg(BP_LAYER, &l->item, name);
	ck_assert_msg(arg, "%s has no argument %s", l->name, name);
	double v = atof(value);
	memcpy(l->item.args[arg - l->item.args].v, (double[2]){v, v}, 2 * sizeof(v));
}

static inline void net_text_line(struct net_text *t, char *line)
{
	char *rest = NULL, *name = strtok_r(line, " ", &rest), *type = strtok_r(NULL, " ", &rest);
	struct bp_layer_spec *l = &t->layers[t->spec.nlayers];
	int index = bp_item_find(BP_LAYER, type);
	ck_assert_msg(index >= 0, "there is no layer type %s", type);
	memset(l, 0, sizeof(*l));
	snprintf(l->name, sizeof(l->name), "%s", name);
	bp_item_defaults(BP_LAYER, index, &l->item);
	for (char *word; (word = strtok_r(NULL, " ", &rest));) {
		char *equals = strchr(word, '=');
		if (*word == '@') {
			l->inputs[l->ninputs++] = net_text_layer(t, word + 1);
		} else {
			ck_assert_ptr_nonnull(equals);
			*equals = 0;
			net_text_arg(l, word, equals + 1);
		}
	}
	if (l->ninputs == 0)
		l->inputs[l->ninputs++] = t->spec.nlayers - 1; /* BP_INPUT for the first */
	t->spec.nlayers++;
	ck_assert_int_lt(t->spec.nlayers, NET_TEXT_LAYERS);
}

/* shape: "10" or "3x8x8"; text: lines up to an empty one. */
static inline void net_text_read(struct net_text *ret, const char *shape, const char *text)
{
	memset(ret, 0, sizeof(*ret));
	for (char *end; *shape; shape = *end ? end + 1 : end)
		ret->spec.input.dim[ret->spec.input.ndim++] = strtol(shape, &end, 10);
	ret->spec.layers = ret->layers;
	while (*text && *text != '\n') {
		char line[256];
		size_t n = strcspn(text, "\n");
		ck_assert_uint_lt(n, sizeof(line));
		memcpy(line, text, n);
		line[n] = 0;
		net_text_line(ret, line);
		text += n + (text[n] == '\n');
	}
}

static inline struct bp_net *net_text_new(const char *shape, const char *text)
{
	struct net_text t;
	struct bp_net *net = NULL;
	struct bp_error err;
	net_text_read(&t, shape, text);
	ck_assert_msg(bp_net_new(&t.spec, &net, &err) == BP_OK, "%s: %s", err.field, err.message);
	return net;
}

#endif
