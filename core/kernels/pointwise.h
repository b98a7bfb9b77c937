/* pointwise.h - functions of one variable, as the kernels pointwise and pointwise_grad take them. */
#ifndef BP_POINTWISE_H
#define BP_POINTWISE_H

#include "backprop.h"

enum bp_function_kind {
#define FUNCTION(name) BP_FN_##name,
#include "kernels/pointwise.def"
};

struct bp_function {
	enum bp_function_kind kind;
	bool from_y;  /* the slope is computed from y = f(x), else from x */
	bp_real a, b; /* constants, as pointwise.def says; 0 where there are none */
};

#endif
