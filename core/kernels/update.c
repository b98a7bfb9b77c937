/*
 * update.c - the kernels that read a gradient for its statistics and move the weights. Called by train/update.c, inside
 * its parallel loop, one block each.
 *
 * A gradient's statistics are taken by the sweep that moves the weights, from the register that holds it. A sweep of
 * their own cost 2.3 % of a step of a perceptron (784-512-256-10, batches of 128).
 *
 * Squares are summed by lane in bp_real, over short strips and then over the block, so that no sum has many terms; the
 * caller adds blocks in double. Gradients whose squares do not fit in bp_real do occur in a training that goes wrong:
 * the sum shows it, and is then taken again in double. It shows too whether any is not finite; only then are they
 * counted.
 */
#include "kernels/update.h"

#include "kernels/lanes.h"

#include <float.h>
#include <math.h>

#ifdef BP_DOUBLE
#define REAL_MAX DBL_MAX
#define SQUARES_MIN 1e-290
#else
#define REAL_MAX FLT_MAX
#define SQUARES_MIN 1e-25f /* a sum of squares above it has lost nothing that matters to underflow */
#endif

enum { STRIP = 16 }; /* vectors */

struct grad_lanes {
	vec squares; /* of the strip */
	vec max;
};

/* Each field by itself: gcc clears a structure by a slow string instruction. */
VEC_INLINE struct grad_lanes grad_lanes_zero(void)
{
	return (struct grad_lanes){.squares = vec_zero(), .max = vec_zero()};
}

VEC_INLINE void see_gradient(vec g, struct grad_lanes *l)
{
	l->squares += g * g;
	l->max = vec_max(l->max, vec_abs(g));
}

/* What a sum of squares in bp_real did not show: it has overflowed, or was all but lost to underflow, or there are
 * elements that are not finite, and only then. */
static void look_closer(const bp_real *g, int64_t n, struct bp_grad_sums *ret)
{
	for (int64_t i = 0; i < n; i++) {
		ret->squares += (double)g[i] * (double)g[i];
		ret->nonfinite += !isfinite(g[i]);
	}
}

/* squares: of the whole block g; the other lanes went through all its strips. */
VEC_INLINE void grad_sums(
	const struct grad_lanes *l, vec squares, const bp_real *g, int64_t n, struct bp_grad_sums *ret)
{
	const bp_real sum = vec_sum(squares);
	const bool good = sum >= SQUARES_MIN && sum <= REAL_MAX;
	*ret = (struct bp_grad_sums){.squares = good ? (double)sum : 0, .max_abs = (double)vec_largest(l->max)};
	if (!good && !(sum == 0 && ret->max_abs == 0)) /* else a layer that learns nothing */
		look_closer(g, n, ret);
}

void KERNEL_NAME(grad_stats)(const bp_real *g, int64_t n, struct bp_grad_sums *ret)
{
	struct grad_lanes l = grad_lanes_zero();
	vec squares = vec_zero();
	for (int64_t i = 0; i < n;) {
		int64_t end = n - i < STRIP * VLEN ? n : i + STRIP * VLEN;
		l.squares = vec_zero();
		for (; i + VLEN <= end; i += VLEN)
			see_gradient(vec_load(g + i), &l);
		if (i < end)
			see_gradient(vec_load_n(g + i, (int)(end - i)), &l);
		i = end;
		squares += l.squares;
	}
	grad_sums(&l, squares, g, n, ret);
}

void KERNEL_NAME(grad_clamp)(bp_real *g, int64_t n, bp_real limit)
{
	int64_t i = 0;
	for (; i + VLEN <= n; i += VLEN)
		vec_store(g + i, vec_min(vec_max(vec_load(g + i), vec_splat(-limit)), vec_splat(limit)));
	for (; i < n; i++)
		g[i] = g[i] < -limit ? -limit : limit < g[i] ? limit : g[i];
}

enum rule { SGD_PLAIN, SGD_MOMENTUM, ADAM, AMSGRAD, NADAM, RMSPROP, ADAGRAD, ADADELTA, LION };

VEC_INLINE vec vec_root(vec v)
{
	for (int j = 0; j < VLEN; j++)
		v[j] = (bp_real)sqrt(v[j]);
	return v;
}

VEC_INLINE vec sgd(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec buf = c->keep * vec_load_part(u->state[0] + i, n) + c->take * g;
	vec_store_part(u->state[0] + i, buf, n);
	return w - c->lr * (c->nesterov ? g + c->look * buf : buf);
}

/* exp_avg.lerp_ and exp_avg_sq.mul_.addcmul_ of PyTorch: the running means of the gradient and of its square. Returns
 * the mean; *ret_root is the root of the mean square, or of its largest so far, corrected, and kept from 0 by eps. */
VEC_INLINE vec means(
	vec g, const struct bp_update *u, const struct bp_update_coef *c, bool largest, int64_t i, int n, vec *ret_root)
{
	vec mean = vec_load_part(u->state[0] + i, n), square = vec_load_part(u->state[1] + i, n);
	mean = mean + c->blend1 * (g - mean);
	square = c->beta2 * square + c->blend2 * (g * g);
	vec_store_part(u->state[0] + i, mean, n);
	vec_store_part(u->state[1] + i, square, n);
	if (largest) {
		square = vec_max(square, vec_load_part(u->state[2] + i, n));
		vec_store_part(u->state[2] + i, square, n);
	}
	*ret_root = vec_root(square) * c->root_scale2 + c->eps;
	return mean;
}

VEC_INLINE vec adam(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec root, mean = means(g, u, c, false, i, n, &root);
	return w - c->lr * vec_quotient(mean, root);
}

VEC_INLINE vec amsgrad(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec root, mean = means(g, u, c, true, i, n, &root);
	return w - c->lr * vec_quotient(mean, root);
}

VEC_INLINE vec nadam(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec root, mean = means(g, u, c, false, i, n, &root);
	return w - vec_quotient(c->look * g + c->lr * mean, root);
}

/* The variance of a steady gradient is 0, but for rounding, which must not make its root a NaN. */
VEC_INLINE vec rmsprop(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	bool momentum = u->state[2] || (u->state[1] && !c->centered);
	vec square = c->beta2 * vec_load_part(u->state[0] + i, n) + c->blend2 * (g * g), variance = square;
	vec_store_part(u->state[0] + i, square, n);
	if (c->centered) {
		bp_real *means = u->state[momentum ? 2 : 1] + i;
		vec mean = vec_load_part(means, n);
		mean = mean + c->blend2 * (g - mean);
		vec_store_part(means, mean, n);
		variance = vec_max(square - mean * mean, vec_zero());
	}
	vec direction = vec_quotient(g, vec_root(variance) + c->eps);
	if (momentum) {
		direction = c->keep * vec_load_part(u->state[1] + i, n) + direction;
		vec_store_part(u->state[1] + i, direction, n);
	}
	return w - c->lr * direction;
}

VEC_INLINE vec adagrad(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec sum = vec_load_part(u->state[0] + i, n) + (c->first + g * g);
	vec_store_part(u->state[0] + i, sum, n);
	return w - c->lr * vec_quotient(g, vec_root(sum) + c->eps);
}

VEC_INLINE vec adadelta(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec square = c->beta2 * vec_load_part(u->state[0] + i, n) + c->blend2 * (g * g),
	    deltas = vec_load_part(u->state[1] + i, n);
	vec delta = vec_quotient(vec_root(deltas + c->eps), vec_root(square + c->eps)) * g;
	vec_store_part(u->state[0] + i, square, n);
	vec_store_part(u->state[1] + i, c->beta2 * deltas + c->blend2 * (delta * delta), n);
	return w - c->lr * delta;
}

/* The sign of beta1 * mean + (1 - beta1) * g, by which every weight moves equally far. 0 and NaN stay as they are. */
VEC_INLINE vec lion(vec w, vec g, const struct bp_update *u, const struct bp_update_coef *c, int64_t i, int n)
{
	vec mean = vec_load_part(u->state[0] + i, n), blend = mean + c->blend1 * (g - mean);
	vec one = vec_splat(1), zero = vec_zero();
	vec_store_part(u->state[0] + i, c->beta2 * mean + c->blend2 * g, n);
	return w - c->lr * vec_select(blend > zero, one, vec_select(blend < zero, -one, blend));
}

/* What a sweep sees, by lane; the squares are of the strip. */
struct lanes {
	struct grad_lanes grad;
	vec update, weight;
};

/* seen: NULL when nothing is to be seen. */
VEC_INLINE void move(
	const struct bp_update *u, const struct bp_update_coef *c, enum rule rule, int64_t i, int n, struct lanes *seen)
{
	vec old = vec_load_part(u->w + i, n), g = vec_load_part(u->g + i, n), w = old;
	if (seen)
		see_gradient(g, &seen->grad);
	if (c->scale != 1) {
		g = c->scale * g;
		vec_store_part(u->g + i, g, n);
	}
	g = g + c->l2 * w;
	switch (rule) {
	case SGD_PLAIN:
		w = w - c->lr * g;
		break;
	case SGD_MOMENTUM:
		w = sgd(w, g, u, c, i, n);
		break;
	case ADAM:
		w = adam(c->decay * w, g, u, c, i, n);
		break;
	case AMSGRAD:
		w = amsgrad(c->decay * w, g, u, c, i, n);
		break;
	case NADAM:
		w = nadam(c->decay * w, g, u, c, i, n);
		break;
	case RMSPROP:
		w = rmsprop(w, g, u, c, i, n);
		break;
	case ADAGRAD:
		w = adagrad(w, g, u, c, i, n);
		break;
	case ADADELTA:
		w = adadelta(w, g, u, c, i, n);
		break;
	case LION:
		w = lion(c->decay * w, g, u, c, i, n);
		break;
	}
	vec_store_part(u->w + i, w, n);
	if (!seen)
		return;
	if (n < VLEN) /* Adam with eps 0 makes a NaN of the lanes past the end */
		w = vec_keep(vec_first(n), w);
	seen->update += (w - old) * (w - old);
	seen->weight += w * w;
}

/* Copies *u and its coefficients first: else each store could change them, as far as the compiler knows. */
VEC_INLINE void sweep_block(const struct bp_update *from, enum rule rule, bool see)
{
	const struct bp_update u = *from;
	const struct bp_update_coef c = *from->coef;
	struct lanes l = {.grad = grad_lanes_zero(), .update = vec_zero(), .weight = vec_zero()};
	struct lanes *seen = see ? &l : NULL;
	vec squares = vec_zero(), update = vec_zero(), weight = vec_zero();
	int64_t i = 0;
	while (i < u.n) {
		int64_t end = u.n - i < STRIP * VLEN ? u.n : i + STRIP * VLEN;
		l.grad.squares = l.update = l.weight = vec_zero();
		for (; i + VLEN <= end; i += VLEN)
			move(&u, &c, rule, i, VLEN, seen);
		if (i < end)
			move(&u, &c, rule, i, (int)(end - i), seen);
		i = end;
		squares += l.grad.squares;
		update += l.update;
		weight += l.weight;
	}
	if (!see)
		return;
	u.ret_sums->update_squares = (double)vec_sum(update);
	u.ret_sums->weight_squares = (double)vec_sum(weight);
	if (u.ret_grad)
		grad_sums(&l.grad, squares, u.g, u.n, u.ret_grad);
}

VEC_INLINE void move_block(const struct bp_update *u, enum rule rule)
{
	if (u->ret_sums)
		sweep_block(u, rule, true);
	else
		sweep_block(u, rule, false);
}

void KERNEL_NAME(update_sgd)(const struct bp_update *u)
{
	if (u->state[0])
		move_block(u, SGD_MOMENTUM);
	else
		move_block(u, SGD_PLAIN);
}

void KERNEL_NAME(update_adam)(const struct bp_update *u)
{
	if (u->state[2])
		move_block(u, AMSGRAD);
	else
		move_block(u, ADAM);
}

void KERNEL_NAME(update_nadam)(const struct bp_update *u)
{
	move_block(u, NADAM);
}

void KERNEL_NAME(update_rmsprop)(const struct bp_update *u)
{
	move_block(u, RMSPROP);
}

void KERNEL_NAME(update_adagrad)(const struct bp_update *u)
{
	move_block(u, ADAGRAD);
}

void KERNEL_NAME(update_adadelta)(const struct bp_update *u)
{
	move_block(u, ADADELTA);
}

void KERNEL_NAME(update_lion)(const struct bp_update *u)
{
	move_block(u, LION);
}
