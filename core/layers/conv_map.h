/* conv_map.h - what Conv1d and Conv2d share: the output's shape, the weights, the plan. Called by those two files. A
 * sequence is a map of one row. */
#ifndef BP_LAYERS_CONV_MAP_H
#define BP_LAYERS_CONV_MAP_H

#include "layers/convolve.h"

/* A layer's arguments by axis (0: rows, 1: columns). */
struct bp_conv_args {
	int axes; /* 1: a sequence, whose rows are 1, 1, 0, 1 */
	int64_t kernel[2], stride[2], padding[2], dilation[2];
	bool same; /* padding is what makes the output as large as the input */
	int64_t out_channels, groups;
	bool bias;
	enum bp_conv_algorithm algorithm;
};

/* The line of both argument tables. */
#define BP_CONV_ALGORITHM_ARG                                                                                          \
	{                                                                                                              \
		"algorithm", BP_ARG_CHOICE, false, {BP_CONV_AUTO}, 0, 2, "auto|direct|winograd",                       \
			"How it is computed. \"winograd\" takes fewer multiplications and rounds a little more; "      \
			"it serves groups of at least 16 channels, a padding less than the kernel spans, kernels of "  \
			"up to 11 a side, and a stride of at most 3 that is no larger than the kernel and has no "     \
			"dilation beside it. \"auto\" takes it wherever it is faster."                                 \
	}

enum {
	BP_CONV_MAX_TAPS = 65536,   /* places of a kernel */
	BP_CONV_MAX_PHASES = 65536, /* of a stride within a map: the data gradient has a plan for each */
};

/* Places that a dilated kernel spans along an axis. */
static inline int64_t bp_conv_reach(const struct bp_conv_args *a, int axis)
{
	return (a->kernel[axis] - 1) * a->dilation[axis] + 1;
}

/* Checks that the input has that many axes, and that groups divide the channels and the kernel has a size to go on
 * with. */
enum bp_status bp_conv_args_check(const struct bp_node *node, const struct bp_conv_args *a, struct bp_error *err);
/* Checks that the stride has few enough places within the map that the kernel steps over. */
enum bp_status bp_conv_stride_check(const struct bp_conv_args *a, int64_t rows, int64_t columns, struct bp_error *err);
/* ELIMIT, the output of node is too large: by is the argument to which its map owes its size, and it is named unless
 * the channels are more than the map has grown. */
enum bp_status bp_conv_too_large(const struct bp_node *node, const char *by, struct bp_error *err);
/* The shape of `channels` maps of that many rows and columns. */
struct bp_shape bp_conv_out(const struct bp_conv_args *a, int64_t channels, int64_t rows, int64_t columns);
/* A weight's dims: `out` kernels of `in` channels, in PyTorch's order. */
struct bp_param bp_conv_weight(const struct bp_conv_args *a, int64_t out, int64_t in);

enum bp_status bp_conv_map_shape(struct bp_node *node, const struct bp_conv_args *a, struct bp_error *err);
int bp_conv_map_params(const struct bp_node *node, const struct bp_conv_args *a, struct bp_param ret[BP_LAYER_PARAMS]);
enum bp_status bp_conv_map_plan(
	const struct bp_layer_setup *s, const struct bp_conv_args *a, struct bp_layer_plan *ret, struct bp_error *err);

#endif
