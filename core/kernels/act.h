/*
 * act.h - the activations that other kernels apply to what they make, and undo in the gradient they read. Where one is
 * a parameter, it is best known when compiled.
 */
#ifndef BP_KERNELS_ACT_H
#define BP_KERNELS_ACT_H

#include "kernels/vec.h"

/* A NaN stays. */
VEC_INLINE vec vec_act(vec v, const enum bp_act act)
{
	if (act == BP_ACT_NONE)
		return v;
	v = vec_relu(v);
	return act == BP_ACT_RELU6 ? vec_min(v, vec_splat(6)) : v;
}

/* dy where the activation lets it pass, v being its input, or its output. A NaN lets it pass, as in PyTorch. Two
 * selections: of the masks or-ed gcc 12 makes an internal error. */
VEC_INLINE vec vec_act_grad(vec v, vec dy, const enum bp_act act)
{
	if (act == BP_ACT_NONE)
		return dy;
	dy = vec_keep(~(v <= vec_zero()), dy);
	return act == BP_ACT_RELU6 ? vec_keep(~(v >= vec_splat(6)), dy) : dy;
}

#endif
