/*
 * activation.c - element-wise functions and their gradients (kernels.def says what each computes). Called by
 * core/layers, on any thread. Semantics are PyTorch's: a NaN passes through, and the gradient of ReLU at 0 is 0.
 */
#include "kernels/exp.h"

typedef vec (*map_fn)(vec x, vec s);
typedef vec (*grad_fn)(vec v, vec dy, vec s);

/* Inlined with a constant fn, so that fn is part of the loop. */
VEC_INLINE void map(size_t n, const bp_real *x, bp_real *y, vec s, map_fn fn)
{
	size_t i = 0;
	for (; i + VLEN <= n; i += VLEN)
		vec_store(y + i, fn(vec_load(x + i), s));
	if (i < n)
		vec_store_n(y + i, fn(vec_load_n(x + i, (int)(n - i)), s), (int)(n - i));
}

VEC_INLINE void grad(size_t n, const bp_real *const in[2], bool acc, bp_real *dx, vec s, grad_fn fn)
{
	const bp_real *v = in[0], *dy = in[1];
	size_t i = 0;
	if (acc)
		for (; i + VLEN <= n; i += VLEN)
			vec_store(dx + i, vec_load(dx + i) + fn(vec_load(v + i), vec_load(dy + i), s));
	else
		for (; i + VLEN <= n; i += VLEN)
			vec_store(dx + i, fn(vec_load(v + i), vec_load(dy + i), s));
	if (i < n) {
		int left = (int)(n - i);
		vec g = fn(vec_load_n(v + i, left), vec_load_n(dy + i, left), s);
		vec_store_n(dx + i, acc ? vec_load_n(dx + i, left) + g : g, left);
	}
}

VEC_INLINE vec relu_of(vec x, vec s)
{
	(void)s;
	return vec_relu(x);
}

VEC_INLINE vec relu_slope(vec v, vec dy, vec s)
{
	(void)s;
	return (vec)(~(v <= vec_zero()) & (vint)dy);
}

VEC_INLINE vec leaky_of(vec x, vec s)
{
	return vec_select(x > vec_zero(), x, x * s);
}

VEC_INLINE vec leaky_slope(vec v, vec dy, vec s)
{
	return vec_select(v > vec_zero(), dy, dy * s);
}

/* 1 / (1 + e) for x >= 0, e / (1 + e) below, with e = exp(-|x|), which cannot overflow. */
VEC_INLINE vec sigmoid_of(vec x, vec s)
{
	(void)s;
	vec one = vec_splat(1), e = vec_exp(-vec_abs(x));
	return vec_select(x < vec_zero(), e, one) / (one + e);
}

VEC_INLINE vec sigmoid_slope(vec v, vec dy, vec s)
{
	(void)s;
	return dy * v * (vec_splat(1) - v);
}

/* tanh|x| = -m / (m + 2) with m = exp(-2|x|) - 1; then the sign of x, by its bit. */
VEC_INLINE vec tanh_of(vec x, vec s)
{
	(void)s;
	vec m = vec_expm1(vec_splat(-2) * vec_abs(x));
	vec t = -m / (m + vec_splat(2));
	return (vec)((vint)vec_abs(t) | ((vint)x & (vint)vec_splat((bp_real)-0.0)));
}

VEC_INLINE vec tanh_slope(vec v, vec dy, vec s)
{
	(void)s;
	return dy * (vec_splat(1) - v * v);
}

void KERNEL_NAME(relu)(size_t n, const bp_real *x, bp_real *y)
{
	map(n, x, y, vec_zero(), relu_of);
}

void KERNEL_NAME(relu_grad)(size_t n, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	grad(n, (const bp_real *const[]){v, dy}, acc, dx, vec_zero(), relu_slope);
}

void KERNEL_NAME(leaky_relu)(size_t n, bp_real slope, const bp_real *x, bp_real *y)
{
	map(n, x, y, vec_splat(slope), leaky_of);
}

void KERNEL_NAME(leaky_relu_grad)(size_t n, bp_real slope, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	grad(n, (const bp_real *const[]){v, dy}, acc, dx, vec_splat(slope), leaky_slope);
}

void KERNEL_NAME(sigmoid)(size_t n, const bp_real *x, bp_real *y)
{
	map(n, x, y, vec_zero(), sigmoid_of);
}

void KERNEL_NAME(sigmoid_grad)(size_t n, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	grad(n, (const bp_real *const[]){v, dy}, acc, dx, vec_zero(), sigmoid_slope);
}

void KERNEL_NAME(tanh)(size_t n, const bp_real *x, bp_real *y)
{
	map(n, x, y, vec_zero(), tanh_of);
}

void KERNEL_NAME(tanh_grad)(size_t n, const bp_real *v, const bp_real *dy, bool acc, bp_real *dx)
{
	grad(n, (const bp_real *const[]){v, dy}, acc, dx, vec_zero(), tanh_slope);
}
