/*
 * lint.c - what is allowed in a model but seldom meant. Called by summary.c, any thread.
 *
 * The only place of spec/ that knows layers by name: a lint is about the meaning of a layer, which no table tells.
 */
#include "spec/lint.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/text.h"

enum { WARNINGS_MAX = 50, NO_ONE = -1, MANY = -2 };

struct linting {
	const struct spec_model *m;
	int *user; /* the only layer that uses an output, NO_ONE or MANY */
	json_t *warnings;
};

static const char *type_of(const struct linting *l, int i)
{
	const struct bp_item_info *info = bp_item_info(BP_LAYER, l->m->layers[i].item.type);
	return info ? info->name : "";
}

/* Whether words, separated by '|', hold the type of layer i. */
static bool is_one_of(const struct linting *l, int i, const char *words)
{
	const char *type = type_of(l, i);
	size_t n = strlen(type);
	for (const char *p = strstr(words, type); n > 0 && p; p = strstr(p + 1, type))
		if ((p == words || p[-1] == '|') && (p[n] == '|' || p[n] == '\0'))
			return true;
	return false;
}

static double argument(const struct linting *l, int i, const char *name)
{
	const struct bp_value *v = bp_item_arg(BP_LAYER, &l->m->layers[i].item, name);
	return v ? v->v[0] : 0;
}

static void warn(struct linting *l, int i, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static void warn(struct linting *l, int i, const char *fmt, ...)
{
	char detail[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	if (json_array_size(l->warnings) < WARNINGS_MAX)
		json_array_append_new(l->warnings, json_pack("{s:s, s:s, s:s}", "layer", l->m->layers[i].name, "param",
							   l->m->places[i].at, "detail", detail));
}

static void lint_last_layer(struct linting *l)
{
	int last = l->m->net.nlayers - 1;
	const char *type = type_of(l, last);
	if (is_one_of(l, last, "Sigmoid|Softmax|LogSoftmax"))
		warn(l, last,
			"The last layer is %s, but CrossEntropyLoss expects raw scores and applies its own softmax; "
			"leave it out unless the loss is MSELoss.",
			type);
	if (is_one_of(l, last, "ReLU|LeakyReLU|ReLU6|Softplus|Hardsigmoid"))
		warn(l, last, "The last layer is %s: scores and targets below zero cannot be expressed.", type);
	if (is_one_of(l, last, "Dropout|Dropout1d|Dropout2d"))
		warn(l, last, "The last layer is %s: it drops outputs of the net while it trains.", type);
}

static void lint_bias_before_norm(struct linting *l, int i)
{
	int user = l->user[i];
	if (user >= 0 && is_one_of(l, i, "Conv1d|Conv2d|ConvTranspose2d|Linear") &&
		is_one_of(l, user, "BatchNorm1d|BatchNorm2d") && argument(l, i, "bias") != 0)
		warn(l, i, "\"%s\" removes the mean, so the bias of \"%s\" has no effect: set \"bias\": false.",
			l->m->layers[user].name, l->m->layers[i].name);
}

/* Grouped convolutions are left out: a depthwise and a pointwise one in a row are a design of their own. */
static bool is_dense(const struct linting *l, int i)
{
	return is_one_of(l, i, "Linear") ||
	       (is_one_of(l, i, "Conv1d|Conv2d|ConvTranspose2d") && argument(l, i, "groups") <= 1);
}

static void lint_no_activation(struct linting *l, int i)
{
	if (!is_dense(l, i))
		return;
	int from = l->m->layers[i].inputs[0];
	while (from >= 0 && is_one_of(l, from, "Flatten|Dropout|Dropout1d|Dropout2d"))
		from = l->m->layers[from].inputs[0];
	if (from >= 0 && is_dense(l, from))
		warn(l, i, "There is no activation between \"%s\" and \"%s\": both together are one linear map.",
			l->m->layers[from].name, l->m->layers[i].name);
}

json_t *lint_model(const struct spec_model *m)
{
	struct linting l = {.m = m, .user = calloc((size_t)m->net.nlayers, sizeof(int)), .warnings = json_array()};
	if (!l.user || !l.warnings)
		goto out;
	for (int i = 0; i < m->net.nlayers; i++)
		l.user[i] = NO_ONE;
	for (int i = 0; i < m->net.nlayers; i++)
		for (int k = 0; k < m->layers[i].ninputs; k++)
			if (m->layers[i].inputs[k] >= 0)
				l.user[m->layers[i].inputs[k]] = l.user[m->layers[i].inputs[k]] == NO_ONE ? i : MANY;
	for (int i = 0; i < m->net.nlayers; i++) {
		lint_bias_before_norm(&l, i);
		lint_no_activation(&l, i);
	}
	lint_last_layer(&l);
out:
	free(l.user);
	return l.warnings;
}
