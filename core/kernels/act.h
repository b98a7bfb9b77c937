/*
 * act.h - the activations that other kernels apply to what they make, and undo in the gradient they read. Where one is
 * a parameter, it is best known when compiled.
 */
#ifndef BP_KERNELS_ACT_H
#define BP_KERNELS_ACT_H

#include "kernels/exp.h"

VEC_INLINE vec vec_clip(vec v, bp_real low, bp_real high)
{
	return vec_min(vec_max(v, vec_splat(low)), vec_splat(high));
}

/* A NaN stays. */
VEC_INLINE vec vec_act(vec v, const enum bp_act act)
{
	vec slope;
	switch (act) {
	case BP_ACT_RELU:
		return vec_relu(v);
	case BP_ACT_RELU6:
		return vec_min(vec_relu(v), vec_splat(6));
	case BP_ACT_HARDSWISH:
		return v * (vec_clip(v + vec_splat(3), 0, 6) * vec_splat((bp_real)(1.0 / 6)));
	case BP_ACT_SILU:
		return v * vec_sigmoid(v, &slope);
	default:
		return v;
	}
}

/* Whether the slope is told by the activation's input alone, not by its output too. */
VEC_INLINE bool slope_by_input(const enum bp_act act)
{
	return act == BP_ACT_HARDSWISH || act == BP_ACT_SILU;
}

/* fn(act, ...) with the activation known when it is compiled. */
#define BY_ACT(act, fn, ...)                                                                                           \
	do {                                                                                                           \
		switch (act) {                                                                                         \
		case BP_ACT_NONE:                                                                                      \
			fn(BP_ACT_NONE, __VA_ARGS__);                                                                  \
			break;                                                                                         \
		case BP_ACT_RELU:                                                                                      \
			fn(BP_ACT_RELU, __VA_ARGS__);                                                                  \
			break;                                                                                         \
		case BP_ACT_RELU6:                                                                                     \
			fn(BP_ACT_RELU6, __VA_ARGS__);                                                                 \
			break;                                                                                         \
		case BP_ACT_HARDSWISH:                                                                                 \
			fn(BP_ACT_HARDSWISH, __VA_ARGS__);                                                             \
			break;                                                                                         \
		case BP_ACT_SILU:                                                                                      \
			fn(BP_ACT_SILU, __VA_ARGS__);                                                                  \
			break;                                                                                         \
		case BP_ACTS:                                                                                          \
			break;                                                                                         \
		}                                                                                                      \
	} while (0)

/* dy times the slope at v, the activation's input; of a ReLU and a ReLU6 its output does as well. There a NaN lets it
 * pass, as in PyTorch; in two selections: of the masks or-ed gcc 12 makes an internal error. */
VEC_INLINE vec vec_act_grad(vec v, vec dy, const enum bp_act act)
{
	const vec three = vec_splat(3);
	vec slope, s;
	switch (act) {
	case BP_ACT_RELU:
		return vec_keep(~(v <= vec_zero()), dy);
	case BP_ACT_RELU6:
		dy = vec_keep(~(v <= vec_zero()), dy);
		return vec_keep(~(v >= vec_splat(6)), dy);
	case BP_ACT_HARDSWISH:
		s = vec_splat((bp_real)(1.0 / 3)) * v + vec_splat((bp_real)0.5);
		return vec_select(v >= three, dy, vec_keep(~(v <= -three), dy * s));
	case BP_ACT_SILU:
		s = vec_sigmoid(v, &slope);
		return dy * (s + v * slope);
	default:
		return dy;
	}
}

#endif
