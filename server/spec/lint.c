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

enum { WARNINGS_MAX = 50, NO_ONE = -1, MANY = -2 };
/* Beyond these a warning is given: saturating activations in a row, layers with weights but no norm, a Linear's size.
 */
enum { SATURATING_MAX = 4, BARE_MAX = 12, HUGE_PARAMETERS = 16000000 };

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

static void warn(struct linting *l, int i, const char *code, const char *suggestion, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void warn(struct linting *l, int i, const char *code, const char *suggestion, const char *fmt, ...)
{
	char detail[300];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	/* Of a body that is written out again and again, once. */
	const char *at = l->m->places[i].at;
	size_t k = 0;
	const json_t *told = NULL;
	json_array_foreach(
		l->warnings, k, told) if (strcmp(json_string_value(json_object_get(told, "param")), at) == 0 &&
					  strcmp(json_string_value(json_object_get(told, "code")), code) == 0) return;
	if (json_array_size(l->warnings) < WARNINGS_MAX)
		json_array_append_new(
			l->warnings, json_pack("{s:s, s:s, s:s, s:s, s:s}", "code", code, "layer", l->m->layers[i].name,
					     "param", at, "detail", detail, "suggestion", suggestion));
}

static void lint_last_layer(struct linting *l)
{
	int last = l->m->net.nlayers - 1;
	const char *type = type_of(l, last);
	if (is_one_of(l, last, "Sigmoid|Softmax|LogSoftmax"))
		warn(l, last, "softmax_before_loss", "Leave this layer out, unless the loss is MSELoss.",
			"The last layer is %s, but CrossEntropyLoss expects raw scores and applies its own softmax; "
			"leave it out unless the loss is MSELoss.",
			type);
	if (is_one_of(l, last, "ReLU|LeakyReLU|ReLU6|Softplus|Hardsigmoid"))
		warn(l, last, "activation_at_the_end", "Leave this layer out.",
			"The last layer is %s: scores and targets below zero cannot be expressed.", type);
	if (is_one_of(l, last, "Dropout|Dropout1d|Dropout2d"))
		warn(l, last, "dropout_at_the_end", "Move it before the last Linear.",
			"The last layer is %s: it drops outputs of the net while it trains.", type);
}

#define NORMS "BatchNorm1d|BatchNorm2d|LayerNorm|GroupNorm"
#define UNSATURATED "ReLU|LeakyReLU|PReLU|ReLU6|ELU|SELU|Softplus|GELU|SiLU|Mish|Hardswish"
#define DENSE "Conv1d|Conv2d|ConvTranspose2d|Linear"

static void lint_bias_before_norm(struct linting *l, int i)
{
	int user = l->user[i];
	if (user >= 0 && is_one_of(l, i, DENSE) && is_one_of(l, user, "BatchNorm1d|BatchNorm2d") &&
		argument(l, i, "bias") != 0)
		warn(l, i, "bias_before_norm", "Set \"bias\": false.",
			"\"%s\" removes the mean, so the bias of \"%s\" has no effect: set \"bias\": false.",
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
		warn(l, i, "no_activation", "Put an activation, such as ReLU, between them, or leave one out.",
			"There is no activation between \"%s\" and \"%s\": both together are one linear map.",
			l->m->layers[from].name, l->m->layers[i].name);
}

/* The least (or, with longest, the greatest) of what was counted at the inputs of layer i. */
static int count_before(const struct linting *l, const int *count, int i, bool longest)
{
	int ret = -1;
	for (int k = 0; k < l->m->layers[i].ninputs; k++) {
		int from = l->m->layers[i].inputs[k], n = from < 0 ? 0 : count[from];
		if (ret < 0 || (longest ? n > ret : n < ret))
			ret = n;
	}
	return ret;
}

/* Sigmoid's slope is at most 1/4 and tanh's below 1 but at 0, so each passes less of the gradient on. A sum lets it
 * pass beside them; a norm, and functions that do not saturate, begin anew. */
static void lint_vanishing(struct linting *l, int *count)
{
	for (int i = 0; i < l->m->net.nlayers; i++) {
		count[i] = count_before(l, count, i, false);
		if (is_one_of(l, i, "Sigmoid|Tanh"))
			count[i]++;
		else if (is_one_of(l, i, NORMS "|" UNSATURATED))
			count[i] = 0;
		if (count[i] == SATURATING_MAX + 1 && is_one_of(l, i, "Sigmoid|Tanh"))
			warn(l, i, "vanishing_gradients",
				"Use ReLU, GELU or SiLU, or put a norm or a Residual in between.",
				"\"%s\" is the %dth Sigmoid or Tanh in a row, and each makes the gradients of the "
				"layers above "
				"smaller.",
				l->m->layers[i].name, count[i]);
	}
}

static void lint_no_norm(struct linting *l, int *count)
{
	for (int i = 0; i < l->m->net.nlayers; i++)
		if (is_one_of(l, i, NORMS))
			return;
	for (int i = 0; i < l->m->net.nlayers; i++) {
		count[i] = count_before(l, count, i, true) + is_one_of(l, i, DENSE);
		if (count[i] != BARE_MAX + 1 || !is_one_of(l, i, DENSE))
			continue;
		warn(l, i, "no_normalisation", "Put BatchNorm2d (or BatchNorm1d) after each of these layers.",
			"More than %d layers with weights follow each other and nothing normalises between them: such "
			"nets "
			"are slow to train, or do not at all.",
			BARE_MAX);
		return;
	}
}

static void lint_huge_linear(struct linting *l, const struct bp_net *net, int i)
{
	struct bp_layer_info info;
	double all = (double)bp_net_parameters(net);
	bp_net_layer_info(net, i, &info);
	if (!is_one_of(l, i, "Linear") || info.parameters <= HUGE_PARAMETERS || (double)info.parameters < all / 2)
		return;
	warn(l, i, "huge_linear", "Make its input smaller: AdaptiveAvgPool2d or MaxPool2d before Flatten.",
		"\"%s\" has %.1f million parameters, %.0f %% of the net's.", info.name, (double)info.parameters / 1e6,
		100 * (double)info.parameters / all);
}

json_t *lint_model(const struct spec_model *m, const struct bp_net *net)
{
	struct linting l = {.m = m, .user = calloc((size_t)m->net.nlayers, sizeof(int)), .warnings = json_array()};
	int *count = calloc((size_t)m->net.nlayers, sizeof(*count));
	if (!l.user || !count || !l.warnings)
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
		lint_huge_linear(&l, net, i);
	}
	lint_vanishing(&l, count);
	lint_no_norm(&l, count);
	lint_last_layer(&l);
out:
	free(count);
	free(l.user);
	return l.warnings;
}
