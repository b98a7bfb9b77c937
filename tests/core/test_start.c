/* test_start.c - how weights start, by the formulas of torch.nn.init, and options of layers that make no sense. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "draw.h"
#include "layer_case.h"
#include "net/exec.h"
#include "net/net.h"
#include "runner.h"
#include "spec_text.h"

struct argument {
	const char *name;
	double v;
};

static void init_set(struct bp_item *item, const char *type, const struct argument *args)
{
	bp_item_defaults(BP_INIT, bp_item_find(BP_INIT, type), item);
	for (; args && args->name; args++) {
		const struct bp_value *arg = bp_item_arg(BP_INIT, item, args->name);
		ck_assert_msg(arg, "%s has no %s", type, args->name);
		item->args[arg - item->args].v[0] = args->v;
	}
}

/* The net of text, whose first layer starts as init says; its first tensor in *ret. Returns how many numbers. */
static int64_t started(const char *text, const struct bp_item *init, uint64_t seed, bp_real **ret)
{
	struct bp_net_spec spec;
	struct bp_net *net = NULL;
	struct bp_error err;
	spec_text(text, &spec);
	struct bp_layer_options *o = &((struct bp_layer_spec *)spec.layers)->options;
	o->has_init = init != NULL;
	if (init)
		o->init = *init;
	enum bp_status st = bp_net_new(&spec, &net, &err);
	ck_assert_msg(st == BP_OK, "%s: %s", err.field, err.message);
	ck_assert_int_eq(bp_net_init(net, seed), BP_OK);
	int64_t n = net->params[0].size;
	*ret = malloc((size_t)n * sizeof(**ret));
	bp_net_tensor_get(net, 0, *ret);
	bp_net_free(net);
	spec_text_done(&spec);
	return n;
}

static const char conv[] = "8x5x5 | Conv2d out_channels=60 kernel_size=3 | Flatten | Linear out_features=2";
enum { FAN_IN = 8 * 9, FAN_OUT = 60 * 9 }; /* of conv */

/* low and high: bounds that are reached within a hundredth; 0 and 0 for none. */
static const struct {
	const char *type;
	struct argument args[5];
	double mean, std, low, high;
} spreads[] = {
	{"kaiming_uniform", {{0}}, 0, 1, -1.7320508, 1.7320508}, /* in units of sqrt(2 / fan_in) */
	{"kaiming_normal", {{0}}, 0, 1, 0, 0},
	{"kaiming_normal", {{"nonlinearity", 3}}, 0, 1, 0, 0},                    /* relu */
	{"kaiming_normal", {{"nonlinearity", 0}}, 0, 0.70710678, 0, 0},           /* linear */
	{"kaiming_normal", {{"nonlinearity", 1}}, 0, 0.70710678, 0, 0},           /* sigmoid */
	{"kaiming_normal", {{"nonlinearity", 2}}, 0, 1.1785113, 0, 0},            /* tanh: 5 / 3 */
	{"kaiming_normal", {{"nonlinearity", 5}}, 0, 0.53033009, 0, 0},           /* selu: 3 / 4 */
	{"kaiming_normal", {{"nonlinearity", 4}, {"a", 1}}, 0, 0.70710678, 0, 0}, /* leaky_relu with slope 1 */
	{"kaiming_normal", {{"mode", 1}}, 0, 0.36514837, 0, 0},                   /* fan_out: sqrt(72 / 540) */
	{"xavier_uniform", {{0}}, 0, 0.34299717, -0.59408853, 0.59408853},        /* sqrt(72 / (72 + 540)) */
	{"xavier_normal", {{"gain", 2}}, 0, 0.68599434, 0, 0},
	{"normal", {{"mean", 3}, {"std", 0.5}}, 18, 3, 0, 0}, /* sqrt(2 / 72) is 1 / 6 */
	{"trunc_normal", {{0}}, 0, 5.2778, -12, 12},          /* the deviation of N(0, 1) within 2 is 0.87963 */
	{"trunc_normal", {{"mean", 1}, {"std", 2}, {"a", 1}, {"b", 5}}, 14.6735, 6.0157, 6, 30},
	{"uniform", {{"a", -1}, {"b", 2}}, 3, 5.19615, -6, 12},
	{"constant", {{"val", -0.5}}, -3, 0, -3, -3},
	{"zeros", {{0}}, 0, 0, 0, 0},
	{"ones", {{0}}, 6, 0, 6, 6},
};

START_TEST(an_initialisation_has_the_spread_that_pytorch_gives_it)
{
	struct bp_item init;
	bp_real *w;
	double unit = sqrt(2.0 / FAN_IN), sum = 0, squares = 0, low = INFINITY, high = -INFINITY;
	init_set(&init, spreads[_i].type, spreads[_i].args);
	int64_t n = started(conv, &init, 5, &w);
	for (int64_t i = 0; i < n; i++) {
		double v = (double)w[i] / unit;
		sum += v;
		squares += v * v;
		low = fmin(low, v);
		high = fmax(high, v);
	}
	double mean = sum / (double)n, std = sqrt(fmax(squares / (double)n - mean * mean, 0));
	double error = 4 * spreads[_i].std / sqrt((double)n) + 1e-4; /* four deviations of a mean */
	ck_assert_double_eq_tol(mean, spreads[_i].mean, error);
	ck_assert_double_eq_tol(std, spreads[_i].std, error);
	double width = spreads[_i].high - spreads[_i].low;
	if (width == 0 && spreads[_i].std > 0) /* a normal distribution has tails */
		ck_assert(high > mean + 3 * std && low < mean - 3 * std);
	else
		ck_assert(high <= spreads[_i].high + 1e-5 && high >= spreads[_i].high - width / 100 - 1e-5 &&
			  low >= spreads[_i].low - 1e-5 && low <= spreads[_i].low + width / 100 + 1e-5);
	free(w);
}
END_TEST

START_TEST(every_initialisation_has_a_case)
{
	for (int type = 0; type < bp_item_count(BP_INIT); type++) {
		const char *name = bp_item_info(BP_INIT, type)->name;
		bool found = strcmp(name, "orthogonal") == 0; /* below */
		for (size_t i = 0; i < sizeof(spreads) / sizeof(spreads[0]); i++)
			found |= strcmp(spreads[i].type, name) == 0;
		ck_assert_msg(found, "%s has no case", name);
	}
}
END_TEST

START_TEST(a_start_follows_from_the_seed_alone)
{
	for (int type = 0; type < bp_item_count(BP_INIT); type++) {
		struct bp_item init;
		bp_real *a, *b, *c;
		bp_item_defaults(BP_INIT, type, &init);
		int64_t n = started(conv, &init, 5, &a);
		started(conv, &init, 5, &b);
		started(conv, &init, 6, &c);
		ck_assert_mem_eq(a, b, (size_t)n * sizeof(*a));
		ck_assert_int_eq(memcmp(a, c, (size_t)n * sizeof(*a)) == 0, a[0] == a[1]);
		free(a);
		free(b);
		free(c);
	}
}
END_TEST

/* Of a wide, a tall and a square weight: the Gram matrix of the shorter side is the identity, times gain squared. */
START_TEST(an_orthogonal_start_is_orthogonal)
{
	static const char *const nets[] = {"8x5x5 | Conv2d out_channels=20 kernel_size=3", "9 | Linear out_features=31",
		"17 | Linear out_features=17"};
	static const int rows[] = {20, 31, 17};
	struct bp_item init;
	bp_real *w;
	init_set(&init, "orthogonal", (struct argument[]){{"gain", 1.5}, {0}});
	int64_t size = started(nets[_i], &init, 5, &w), r = rows[_i], c = size / r;
	for (int64_t i = 0; i < (r < c ? r : c); i++) {
		for (int64_t j = 0; j <= i; j++) {
			double dot = 0;
			for (int64_t k = 0; k < (r < c ? c : r); k++)
				dot += r < c ? (double)w[i * c + k] * (double)w[j * c + k]
					     : (double)w[k * c + i] * (double)w[k * c + j];
			ck_assert_double_eq_tol(dot, i == j ? 2.25 : 0, 2e-6);
		}
	}
	free(w);
}
END_TEST

START_TEST(a_bias_starts_as_asked_and_else_as_ever)
{
	struct bp_net *plain = net_text("5 | Linear out_features=3 | Linear out_features=3", 9);
	struct bp_net *net =
		net_text("5 | Linear out_features=3 @bias_init=ones | Linear out_features=3 @init=zeros", 9);
	bp_real a[15], b[15];
	for (int t = 0; t < 4; t++) {
		int n = (int)net->params[t].size;
		bp_net_tensor_get(plain, t, a);
		bp_net_tensor_get(net, t, b);
		bool asked = t == 1 || t == 2;
		ck_assert_int_eq(memcmp(a, b, (size_t)n * sizeof(*a)) == 0, !asked);
		for (int i = 0; i < n && asked; i++)
			ck_assert(b[i] == (t == 1));
	}
	bp_net_free(plain);
	bp_net_free(net);
}
END_TEST

START_TEST(options_that_make_no_sense_are_refused)
{
	static const struct {
		const char *net;
		int layer;
		enum bp_status status;
		const char *field, *piece;
	} bad[] = {
		{"5 | Linear out_features=3 | Tanh @frozen", 1, BP_EINVAL, "frozen", "Tanh has nothing to train"},
		{"5 | Tanh @lr_scale=2", 0, BP_EINVAL, "lr_scale", "nothing to train"},
		{"5 | Tanh @weight_decay=0", 0, BP_EINVAL, "weight_decay", "nothing to train"},
		{"5 | BatchNorm1d affine=false @frozen", 0, BP_EINVAL, "frozen", "nothing to train"},
		{"5 | Linear out_features=3 @lr_scale=-1", 0, BP_EINVAL, "lr_scale", "between 0 and 10000, not -1"},
		{"5 | Linear out_features=3 @lr_scale=nan", 0, BP_EINVAL, "lr_scale", "nan"},
		{"5 | Linear out_features=3 @weight_decay=inf", 0, BP_EINVAL, "weight_decay", "not inf"},
		{"5 | Tanh @init=zeros", 0, BP_EINVAL, "init", "Tanh has no weight"},
		{"5 | Linear out_features=3 bias=false @bias_init=zeros", 0, BP_EINVAL, "bias_init", "has no bias"},
		{"5 | Linear out_features=3 @bias_init=xavier_normal", 0, BP_EINVAL, "bias_init", "two dimensions"},
		{"5 | BatchNorm1d @init=kaiming_normal", 0, BP_EINVAL, "init", "two dimensions"},
		{"5 | BatchNorm1d @init=orthogonal", 0, BP_EINVAL, "init", "two dimensions"},
		{"4000 | Linear out_features=4000 @init=orthogonal", 0, BP_ELIMIT, "init", "too large"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bp_error err = net_text_error(bad[i].net);
		ck_assert_int_eq(err.status, bad[i].status);
		ck_assert_int_eq(err.layer, bad[i].layer);
		ck_assert_str_eq(err.field, bad[i].field);
		ck_assert_msg(strstr(err.message, bad[i].piece), "\"%s\": \"%s\"", err.message, bad[i].piece);
	}
}
END_TEST

START_TEST(arguments_of_an_initialisation_are_checked)
{
	static const struct {
		const char *type;
		struct argument args[4];
		const char *piece;
	} bad[] = {
		{"normal", {{"std", -1}}, "std must be between"},
		{"uniform", {{"a", 2}}, "a must not be above b"},
		{"trunc_normal", {{"std", 0}}, "std must be above 0"},
		{"trunc_normal", {{"a", 3}}, "a must not be above b"},
		{"trunc_normal", {{"a", 50}, {"b", 60}}, "next to nothing"},
		{"kaiming_uniform", {{"mode", 2}}, "mode"},
		{"constant", {{"val", NAN}}, "finite"},
	};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct bp_net_spec spec;
		struct bp_net *net = NULL;
		struct bp_error err;
		spec_text("5 | Linear out_features=3", &spec);
		struct bp_layer_options *o = &((struct bp_layer_spec *)spec.layers)->options;
		o->has_init = true;
		init_set(&o->init, bad[i].type, bad[i].args);
		ck_assert_int_eq(bp_net_new(&spec, &net, &err), BP_EINVAL);
		ck_assert_str_eq(err.field, "init");
		ck_assert_msg(strstr(err.message, bad[i].piece), "\"%s\": \"%s\"", err.message, bad[i].piece);
		o->init.type = 1000;
		ck_assert_int_eq(bp_net_new(&spec, &net, &err), BP_EINVAL);
		spec_text_done(&spec);
	}
}
END_TEST

/* Gradient through the input of a case, with all layers that have tensors frozen or none. */
static bp_real *input_gradient(const struct layer_case *c, bool frozen, size_t *ret_n)
{
	struct bp_net_spec spec;
	struct bp_net *plain = net_text(c->net, 7), *net = NULL;
	struct draw d = {42};
	spec_text(c->net, &spec);
	for (int i = 0; i < spec.nlayers; i++) {
		struct bp_layer_info info;
		bp_net_layer_info(plain, i, &info);
		((struct bp_layer_spec *)spec.layers)[i].options.frozen = frozen && info.parameters > 0;
	}
	ck_assert_int_eq(bp_net_new(&spec, &net, NULL), BP_OK);
	bp_net_init(net, 7);
	struct bp_exec *ex = NULL;
	struct bp_ctx ctx = {bp_kernels_choose(BP_ISA_ALL), 1};
	struct bp_pass pass = {.n = c->n, .training = true, .seed = 3, .step = 5};
	ck_assert_int_eq(bp_exec_new(net, ctx.k, c->n, 1, true, &ex, NULL), BP_OK);
	struct bp_shape in = bp_net_input_shape(net), out = bp_net_output_shape(net);
	size_t nin = (size_t)(bp_shape_size(&in) * c->n), nout = (size_t)(bp_shape_size(&out) * c->n);
	bp_real *grads = calloc((size_t)net->nweights + 1, sizeof(bp_real)), *dx = calloc(nin, sizeof(bp_real));
	draw_reals(&d, bp_exec_input(ex), nin);
	bp_exec_forward(ex, &ctx, &pass);
	draw_reals(&d, bp_exec_output_gradient(ex), nout);
	bp_exec_backward(ex, &ctx, &pass, grads, dx);
	*ret_n = nin;
	free(grads);
	bp_exec_free(ex);
	bp_net_free(net);
	bp_net_free(plain);
	spec_text_done(&spec);
	return dx;
}

/* In every case of every layer; sums may be made in another order when only one gradient is asked for. */
START_TEST(a_frozen_layer_passes_the_gradient_of_one_that_learns)
{
	struct layer_case cases[LAYER_CASES_MAX];
	int n = layer_cases(cases), frozen = 0;
	double eps = sizeof(bp_real) == 8 ? 1e-12 : 2e-5;
	for (int i = 0; i < n; i++) {
		size_t size;
		if (strcmp(cases[i].mode, "eval") == 0 || strstr(cases[i].net, "Embedding"))
			continue;
		bp_real *a = input_gradient(&cases[i], false, &size), *b = input_gradient(&cases[i], true, &size);
		for (size_t j = 0; j < size; j++)
			ck_assert_msg(fabs((double)a[j] - (double)b[j]) <= eps * (1 + fabs((double)a[j])),
				"%s: gradient %zu is %g, and %g when frozen", cases[i].net, j, (double)a[j],
				(double)b[j]);
		frozen++;
		free(a);
		free(b);
	}
	ck_assert_int_gt(frozen, 20);
}
END_TEST

TEST_SUITE(start, 60)
{
	tcase_add_loop_test(tc, an_initialisation_has_the_spread_that_pytorch_gives_it, 0,
		(int)(sizeof(spreads) / sizeof(spreads[0])));
	tcase_add_test(tc, every_initialisation_has_a_case);
	tcase_add_test(tc, a_start_follows_from_the_seed_alone);
	tcase_add_loop_test(tc, an_orthogonal_start_is_orthogonal, 0, 3);
	tcase_add_test(tc, a_bias_starts_as_asked_and_else_as_ever);
	tcase_add_test(tc, options_that_make_no_sense_are_refused);
	tcase_add_test(tc, arguments_of_an_initialisation_are_checked);
	tcase_add_test(tc, a_frozen_layer_passes_the_gradient_of_one_that_learns);
}
