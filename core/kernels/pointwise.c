/*
 * pointwise.c - functions of one variable and their gradients (pointwise.def, kernels.def). Called by core/layers, on
 * any thread. Semantics are PyTorch's: a NaN passes through, and the gradient of ReLU at 0 is 0.
 *
 * name_of is the function, name_slope its slope times dy, at v: x or y, as pointwise.def says.
 */
#include "kernels/pointwise.h"

#include "kernels/act.h"
#include "kernels/log1p.h"
#include "kernels/normal.h"

/* A function's constants, in registers. */
typedef struct {
	vec a, b;
} constants;
typedef vec (*map_fn)(vec x, constants c);
typedef vec (*grad_fn)(vec v, vec dy, constants c);

VEC_INLINE constants constants_of(const struct bp_function *f)
{
	return (constants){vec_splat(f->a), vec_splat(f->b)};
}

/* Inlined with a constant fn, so that fn is part of the loop. */
VEC_INLINE void map(constants c, size_t n, const bp_real *x, bp_real *y, map_fn fn)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN)
		vec_store(y + i, fn(vec_load(x + i), c));
	if (i < n)
		vec_store_n(y + i, fn(vec_load_n(x + i, (int)(n - i)), c), (int)(n - i));
}

VEC_INLINE void grad(constants c, size_t n, const bp_real *const in[2], bool acc, bp_real *dx, grad_fn fn)
{
	const bp_real *v = in[0], *dy = in[1];
	size_t i = 0;
	if (acc)
		for (; i + VLEN <= n; i += VLEN)
			vec_store(dx + i, vec_load(dx + i) + fn(vec_load(v + i), vec_load(dy + i), c));
	else
		for (; i + VLEN <= n; i += VLEN)
			vec_store(dx + i, fn(vec_load(v + i), vec_load(dy + i), c));
	if (i < n) {
		int left = (int)(n - i);
		vec g = fn(vec_load_n(v + i, left), vec_load_n(dy + i, left), c);
		vec_store_n(dx + i, acc ? vec_load_n(dx + i, left) + g : g, left);
	}
}

VEC_INLINE vec relu_of(vec x, constants c)
{
	(void)c;
	return vec_act(x, BP_ACT_RELU);
}

VEC_INLINE vec relu_slope(vec v, vec dy, constants c)
{
	(void)c;
	return vec_act_grad(v, dy, BP_ACT_RELU);
}

VEC_INLINE vec leaky_relu_of(vec x, constants c)
{
	return vec_select(x > vec_zero(), x, x * c.a);
}

VEC_INLINE vec leaky_relu_slope(vec v, vec dy, constants c)
{
	return vec_select(v > vec_zero(), dy, dy * c.a);
}

VEC_INLINE vec sigmoid_of(vec x, constants c)
{
	(void)c;
	vec slope;
	return vec_sigmoid(x, &slope);
}

VEC_INLINE vec sigmoid_slope(vec y, vec dy, constants c)
{
	(void)c;
	return dy * y * (vec_splat(1) - y);
}

/* tanh|x| = -m / (m + 2) with m = exp(-2|x|) - 1; then the sign of x, by its bit. */
VEC_INLINE vec tanh_of(vec x, constants c)
{
	(void)c;
	vec m = vec_expm1(vec_splat(-2) * vec_abs(x));
	vec t = -m / (m + vec_splat(2));
	return (vec)((vint)vec_abs(t) | ((vint)x & (vint)vec_splat((bp_real)-0.0)));
}

VEC_INLINE vec tanh_slope(vec y, vec dy, constants c)
{
	(void)c;
	return dy * (vec_splat(1) - y * y);
}

VEC_INLINE vec hardtanh_of(vec x, constants c)
{
	return vec_min(vec_max(x, c.a), c.b);
}

VEC_INLINE vec hardtanh_slope(vec y, vec dy, constants c)
{
	return vec_keep(~((y <= c.a) | (y >= c.b)), dy);
}

VEC_INLINE vec hardsigmoid_of(vec x, constants c)
{
	(void)c;
	return vec_min(vec_max(x + vec_splat(3), vec_zero()), vec_splat(6)) / vec_splat(6);
}

VEC_INLINE vec hardsigmoid_slope(vec y, vec dy, constants c)
{
	(void)c;
	return vec_keep(~((y <= vec_zero()) | (y >= vec_splat(1))), dy * vec_splat((bp_real)(1.0 / 6)));
}

VEC_INLINE vec elu_of(vec x, constants c)
{
	return vec_select(x > vec_zero(), x * c.b, vec_expm1(x) * c.a);
}

VEC_INLINE vec elu_slope(vec y, vec dy, constants c)
{
	return dy * vec_select(y > vec_zero(), c.b, y + c.a);
}

/* log(1 + exp(u)) = max(u, 0) + log(1 + exp(-|u|)) cannot overflow. */
VEC_INLINE vec softplus_of(vec x, constants c)
{
	vec u = x * c.a, soft = vec_max(u, vec_zero()) + vec_log1p_unit(vec_exp_or_0(-vec_abs(u)));
	return vec_select(u > c.b, x, soft / c.a);
}

/* sigmoid(a x) = 1 - exp(-a y). An a y above b whose a x is not is within exp(-b) of it, and so is the slope of 1. */
VEC_INLINE vec softplus_slope(vec y, vec dy, constants c)
{
	vec u = y * c.a;
	return vec_select(u > c.b, dy, dy * -vec_expm1(-u));
}

VEC_INLINE vec softplus_low_of(vec x, constants c)
{
	return softplus_of(x, c);
}

VEC_INLINE vec softplus_low_slope(vec x, vec dy, constants c)
{
	vec u = x * c.a;
	return vec_select(u > c.b, dy, dy * sigmoid_of(u, c));
}

/* The normal distribution's P(X < x), and exp(-x^2 / 2). */
VEC_INLINE vec normal_below(vec x, vec *ret_bell)
{
	vec tail = vec_normal_tail(vec_abs(x), ret_bell);
	return vec_select(x < vec_zero(), tail, vec_splat(1) - tail);
}

VEC_INLINE vec gelu_of(vec x, constants c)
{
	(void)c;
	vec bell;
	return x * normal_below(x, &bell);
}

VEC_INLINE vec gelu_slope(vec x, vec dy, constants c)
{
	(void)c;
	vec bell, below = normal_below(x, &bell);
	return dy * (below + x * bell * vec_splat((bp_real)0.3989422804014327)); /* 1 / sqrt(2 pi) */
}

/* (1 + tanh(u)) / 2 = sigmoid(2 u). Here is 2 u = x (GELU_TANH_1 + GELU_TANH_3 x^2), which beyond GELU_TANH_FAR is so
 * large that the sigmoid is 0 or 1; without a bound its powers would overflow. */
#define GELU_TANH_1 1.5957691216057308 /* 2 sqrt(2 / pi) */
#define GELU_TANH_3 (0.044715 * GELU_TANH_1)
#define GELU_TANH_FAR 40

VEC_INLINE vec gelu_tanh_bound(vec x)
{
	return vec_min(vec_max(x, vec_splat(-GELU_TANH_FAR)), vec_splat(GELU_TANH_FAR));
}

VEC_INLINE vec gelu_tanh_parts(vec x, vec *ret_slope)
{
	return vec_sigmoid(
		x * (vec_splat((bp_real)GELU_TANH_1) + vec_splat((bp_real)GELU_TANH_3) * (x * x)), ret_slope);
}

VEC_INLINE vec gelu_tanh_of(vec x, constants c)
{
	(void)c;
	vec slope;
	return x * gelu_tanh_parts(gelu_tanh_bound(x), &slope);
}

VEC_INLINE vec gelu_tanh_slope(vec x, vec dy, constants c)
{
	(void)c;
	x = gelu_tanh_bound(x);
	vec slope, s = gelu_tanh_parts(x, &slope);
	vec inner = vec_splat((bp_real)GELU_TANH_1) + vec_splat((bp_real)(3 * GELU_TANH_3)) * (x * x);
	return dy * (s + x * slope * inner);
}

VEC_INLINE vec silu_of(vec x, constants c)
{
	(void)c;
	return vec_act(x, BP_ACT_SILU);
}

VEC_INLINE vec silu_slope(vec x, vec dy, constants c)
{
	(void)c;
	return vec_act_grad(x, dy, BP_ACT_SILU);
}

/*
 * tanh(log(1 + exp(x))) = ((1 + exp(x))^2 - 1) / ((1 + exp(x))^2 + 1) = n / (n + w), where with e = exp(-|x|), which
 * cannot overflow, n = 1 + 2e and w = 2e^2 for x >= 0, n = e^2 + 2e and w = 2 below. ret_rest is 1 less its square.
 */
VEC_INLINE vec mish_parts(vec x, vec *ret_rest)
{
	vec e = vec_exp_or_0(-vec_abs(x)), two = vec_splat(2);
	vint below = x < vec_zero();
	vec n = vec_select(below, e * (e + two), vec_splat(1) + two * e), w = vec_select(below, two, two * e * e);
	vec inverse = vec_splat(1) / (n + w);
	*ret_rest = w * (n + n + w) * inverse * inverse;
	return n * inverse;
}

VEC_INLINE vec mish_of(vec x, constants c)
{
	(void)c;
	vec rest;
	return x * mish_parts(x, &rest);
}

VEC_INLINE vec mish_slope(vec x, vec dy, constants c)
{
	vec rest, t = mish_parts(x, &rest);
	return dy * (t + x * rest * sigmoid_of(x, c));
}

VEC_INLINE vec hardswish_of(vec x, constants c)
{
	(void)c;
	return vec_act(x, BP_ACT_HARDSWISH);
}

VEC_INLINE vec hardswish_slope(vec x, vec dy, constants c)
{
	(void)c;
	return vec_act_grad(x, dy, BP_ACT_HARDSWISH);
}

void KERNEL_NAME(relu)(size_t n, const bp_real *x, bp_real *y)
{
	map((constants){vec_zero(), vec_zero()}, n, x, y, relu_of);
}

void KERNEL_NAME(relu_grad)(size_t n, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	grad((constants){vec_zero(), vec_zero()}, n, (const bp_real *const[]){v, dy}, acc, dx, relu_slope);
}

void KERNEL_NAME(pointwise)(const struct bp_function *f, size_t n, const bp_real *x, bp_real *y)
{
	switch (f->kind) {
#define FUNCTION(name)                                                                                                 \
	case BP_FN_##name:                                                                                             \
		map(constants_of(f), n, x, y, name##_of);                                                              \
		break;
#include "kernels/pointwise.def"
	}
}

void KERNEL_NAME(pointwise_grad)(
	const struct bp_function *f, size_t n, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	const bp_real *const in[2] = {v, dy};
	switch (f->kind) {
#define FUNCTION(name)                                                                                                 \
	case BP_FN_##name:                                                                                             \
		grad(constants_of(f), n, in, acc, dx, name##_slope);                                                   \
		break;
#include "kernels/pointwise.def"
	}
}
