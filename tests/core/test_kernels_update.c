/*
 * test_kernels_update.c - cases of the kernels that read gradients, move weights and take the softmax
 * (kernel_cases.h says how cases are found).
 */
#include "kernel_cases.h"

#include "kernels/update.h"

#include <check.h>
#include <math.h>
#include <string.h>

static const double EXACT = sizeof(bp_real) == 8 ? 1e-12 : 2e-5; /* of sums and quotients, with room */

/* Gradients of a training that goes wrong, or does not go: squares that do not fit in bp_real, all zeros, elements that
 * are not finite. */
static void draw_gradients(struct draw *d, bp_real *g, size_t n)
{
	static const double scales[] = {
		0, 1, 1e-12, sizeof(bp_real) == 8 ? 1e-150 : 1e-24, sizeof(bp_real) == 8 ? 1e153 : 1e24};
	bp_real scale = (bp_real)scales[draw_int(d, 0, 4)];
	for (size_t i = 0; i < n; i++)
		g[i] = scale * draw_real(d);
	if (draw_bool(d))
		g[n - 1] = (bp_real)(draw_bool(d) ? NAN : -INFINITY);
	if (draw_bool(d))
		g[draw_int(d, 0, (int)n - 1)] = (bp_real)NAN;
}

static struct bp_grad_sums sums_of(const bp_real *g, size_t n)
{
	struct bp_grad_sums sums = {0};
	for (size_t i = 0; i < n; i++) {
		sums.squares += (double)g[i] * (double)g[i];
		sums.max_abs = fmax(sums.max_abs, fabs((double)g[i]));
		sums.nonfinite += !isfinite(g[i]);
	}
	return sums;
}

static void check_sums(const struct bp_grad_sums *got, const struct bp_grad_sums *want)
{
	ck_assert_int_eq(got->nonfinite, want->nonfinite);
	ck_assert_double_eq(got->max_abs, want->max_abs);
	if (isfinite(want->squares))
		ck_assert(fabs(got->squares - want->squares) <= EXACT * want->squares);
	else
		ck_assert(isnan(got->squares) == isnan(want->squares) && !isfinite(got->squares));
}

void check_grad_stats(const struct bp_kernels *k, struct draw *d)
{
	size_t n = (size_t)draw_int(d, 1, 5000);
	bp_real *g = guard_new(n);
	draw_gradients(d, g, n);
	guard_freeze(g, n);
	struct bp_grad_sums sums, want = sums_of(g, n);
	k->grad_stats(g, (int64_t)n, &sums);
	check_sums(&sums, &want);
	guard_free(g, n);
}

void check_grad_clamp(const struct bp_kernels *k, struct draw *d)
{
	size_t n = (size_t)draw_int(d, 1, 200);
	bp_real *g = guard_new(n), before[200], limit = (bp_real)0.3;
	draw_reals(d, g, n);
	g[draw_int(d, 0, (int)n - 1)] = (bp_real)NAN;
	memcpy(before, g, n * sizeof *g);
	k->grad_clamp(g, (int64_t)n, limit);
	for (size_t i = 0; i < n; i++)
		check_near(k, "clamped", i, g[i],
			before[i] < -limit  ? -limit
			: before[i] > limit ? limit
					    : before[i],
			0);
	guard_free(g, n);
}

enum { LONGEST = 3000 };

/* One element, in double: the definitions of torch.optim. */
struct element {
	double w, g, state[3];
};

/* A reference moves an element whose gradient is already scaled. states: how many vectors it has. */
typedef void (*element_fn)(const struct bp_update_coef *c, int states, struct element *e);

static void sgd_element(const struct bp_update_coef *c, int states, struct element *e)
{
	double direction = e->g + c->l2 * e->w;
	if (states) {
		e->state[0] = c->keep * e->state[0] + c->take * direction;
		direction = c->nesterov ? direction + c->look * e->state[0] : e->state[0];
	}
	e->w -= c->lr * direction;
}

static void adam_element(const struct bp_update_coef *c, int states, struct element *e)
{
	double g = e->g + c->l2 * e->w;
	e->w *= c->decay;
	e->state[0] += c->blend1 * (g - e->state[0]);
	e->state[1] = c->beta2 * e->state[1] + c->blend2 * g * g;
	if (states == 3)
		e->state[2] = fmax(e->state[2], e->state[1]);
	e->w -= c->lr * e->state[0] / (sqrt(e->state[states - 1]) * c->root_scale2 + c->eps);
}

static void nadam_element(const struct bp_update_coef *c, int states, struct element *e)
{
	(void)states;
	double g = e->g + c->l2 * e->w, root;
	e->w *= c->decay;
	e->state[0] += c->blend1 * (g - e->state[0]);
	e->state[1] = c->beta2 * e->state[1] + c->blend2 * g * g;
	root = sqrt(e->state[1]) * c->root_scale2 + c->eps;
	e->w -= c->look * g / root + c->lr * e->state[0] / root;
}

static void rmsprop_element(const struct bp_update_coef *c, int states, struct element *e)
{
	double g = e->g + c->l2 * e->w, mean = 0;
	e->state[0] = c->beta2 * e->state[0] + c->blend2 * g * g;
	if (c->centered)
		mean = e->state[states - 1] += c->blend2 * (g - e->state[states - 1]);
	g /= sqrt(fmax(e->state[0] - mean * mean, 0)) + c->eps;
	if (states - c->centered == 2)
		g = e->state[1] = c->keep * e->state[1] + g;
	e->w -= c->lr * g;
}

static void adagrad_element(const struct bp_update_coef *c, int states, struct element *e)
{
	(void)states;
	double g = e->g + c->l2 * e->w;
	e->state[0] += c->first + g * g;
	e->w -= c->lr * g / (sqrt(e->state[0]) + c->eps);
}

static void adadelta_element(const struct bp_update_coef *c, int states, struct element *e)
{
	(void)states;
	double g = e->g + c->l2 * e->w, delta;
	e->state[0] = c->beta2 * e->state[0] + c->blend2 * g * g;
	delta = sqrt(e->state[1] + c->eps) / sqrt(e->state[0] + c->eps) * g;
	e->state[1] = c->beta2 * e->state[1] + c->blend2 * delta * delta;
	e->w -= c->lr * delta;
}

static void lion_element(const struct bp_update_coef *c, int states, struct element *e)
{
	(void)states;
	double blend = (1 - c->blend1) * e->state[0] + c->blend1 * e->g;
	e->w = c->decay * e->w - c->lr * ((blend > 0) - (blend < 0));
	e->state[0] = c->beta2 * e->state[0] + c->blend2 * e->g;
}

static struct bp_update_coef coef_draw(struct draw *d)
{
	return (struct bp_update_coef){
		.scale = draw_bool(d) ? 1 : (bp_real)0.7,
		.lr = (bp_real)0.05,
		.l2 = draw_bool(d) ? 0 : (bp_real)0.1,
		.decay = draw_bool(d) ? 1 : (bp_real)0.99,
		.keep = (bp_real)0.9,
		.take = draw_bool(d) ? 1 : (bp_real)0.8,
		.look = (bp_real)0.9,
		.first = draw_bool(d) ? 0 : (bp_real)0.4,
		.nesterov = draw_bool(d),
		.blend1 = (bp_real)0.1,
		.beta2 = (bp_real)0.99,
		.blend2 = (bp_real)0.01,
		.root_scale2 = (bp_real)2,
		.eps = draw_bool(d) ? 0 : (bp_real)1e-8,
	};
}

/* states: how many vectors the kernel is given; the first is the largest, for RMSprop's variance to be one. */
static void check_update(const struct bp_kernels *k, struct draw *d, struct bp_update_coef c, int states,
	void (*kernel)(const struct bp_update *), element_fn reference)
{
	static struct element want[LONGEST];
	size_t n = (size_t)draw_int(d, 1, LONGEST);
	struct bp_update_sums sums;
	struct bp_grad_sums seen, alone;
	bool see = draw_bool(d);
	struct bp_update u = {.n = (int64_t)n, .w = guard_new(n), .g = guard_new(n), .coef = &c};
	if (see)
		u.ret_sums = &sums;
	if (see && c.scale == 1)
		u.ret_grad = &seen;
	double updates = 0, weights = 0;
	draw_reals(d, u.w, n);
	draw_reals(d, u.g, n);
	for (int s = 0; s < states; s++) {
		u.state[s] = guard_new(n);
		for (size_t i = 0; i < n; i++)
			u.state[s][i] = (s ? (bp_real)0.05 : 1) * ((bp_real)fabs((double)draw_real(d)) + (bp_real)0.01);
	}
	for (size_t i = 0; i < n; i++) {
		want[i] = (struct element){.w = u.w[i], .g = u.g[i]};
		for (int s = 0; s < states; s++)
			want[i].state[s] = u.state[s][i];
		want[i].g *= c.scale;
		reference(&c, states, &want[i]);
		updates += pow(want[i].w - (double)u.w[i], 2);
		weights += pow(want[i].w, 2);
	}
	alone = sums_of(u.g, n);
	kernel(&u);
	for (size_t i = 0; i < n; i++) {
		check_near(k, "weight", i, u.w[i], want[i].w, rounding(1));
		check_near(k, "gradient", i, u.g[i], want[i].g, rounding(1));
		for (int s = 0; s < states; s++)
			check_near(k, "state", i, u.state[s][i], want[i].state[s], rounding(1));
	}
	if (u.ret_sums) {
		ck_assert_double_eq_tol(sums.update_squares, updates, EXACT * updates + 1e-9);
		ck_assert_double_eq_tol(sums.weight_squares, weights, EXACT * weights);
	}
	if (u.ret_grad) {
		check_sums(&seen, &alone);
		draw_gradients(d, u.g, n);
		alone = sums_of(u.g, n);
		kernel(&u);
		check_sums(&seen, &alone);
	}
	for (int s = 0; s < states; s++)
		guard_free(u.state[s], n);
	guard_free(u.g, n);
	guard_free(u.w, n);
}

void check_update_sgd(const struct bp_kernels *k, struct draw *d)
{
	check_update(k, d, coef_draw(d), draw_int(d, 0, 1), k->update_sgd, sgd_element);
}

/* As in PyTorch, a weight whose mean square is infinite stays where it is. */
static void check_infinite_root(const struct bp_kernels *k)
{
	enum { N = 21 };
	const struct bp_update_coef c = {.scale = 1,
		.lr = 1,
		.decay = 1,
		.blend1 = (bp_real)0.1,
		.beta2 = (bp_real)0.99,
		.blend2 = (bp_real)0.01,
		.root_scale2 = 1,
		.eps = (bp_real)1e-8};
	bp_real w[N], g[N], mean[N] = {0}, square[N] = {0};
	for (int i = 0; i < N; i++) {
		w[i] = (bp_real)i;
		g[i] = sizeof(bp_real) == 8 ? (bp_real)1e200 : (bp_real)1e25;
	}
	k->update_adam(&(struct bp_update){.n = N, .w = w, .g = g, .state = {mean, square}, .coef = &c});
	for (int i = 0; i < N; i++)
		check_near(k, "weight of an infinite root", (size_t)i, w[i], i, 1e-12);
}

void check_update_adam(const struct bp_kernels *k, struct draw *d)
{
	check_infinite_root(k);
	check_update(k, d, coef_draw(d), draw_int(d, 2, 3), k->update_adam, adam_element);
}

void check_update_nadam(const struct bp_kernels *k, struct draw *d)
{
	check_update(k, d, coef_draw(d), 2, k->update_nadam, nadam_element);
}

void check_update_rmsprop(const struct bp_kernels *k, struct draw *d)
{
	struct bp_update_coef c = coef_draw(d);
	c.centered = draw_bool(d);
	check_update(k, d, c, draw_int(d, 1, 2) + c.centered, k->update_rmsprop, rmsprop_element);
}

void check_update_adagrad(const struct bp_kernels *k, struct draw *d)
{
	check_update(k, d, coef_draw(d), 1, k->update_adagrad, adagrad_element);
}

void check_update_adadelta(const struct bp_kernels *k, struct draw *d)
{
	check_update(k, d, coef_draw(d), 2, k->update_adadelta, adadelta_element);
}

void check_update_lion(const struct bp_kernels *k, struct draw *d)
{
	struct bp_update_coef c = coef_draw(d);
	c.l2 = 0; /* it has none */
	check_update(k, d, c, 1, k->update_lion, lion_element);
}
