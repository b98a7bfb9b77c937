/*
 * panels.h - how the weights of a large Linear layer lie: in panels of BP_PANEL outputs, of which the last may be
 * narrower, and in a panel input by input.
 *
 * A product reads a panel from end to end, with nothing to pack; backward makes a block of it, a range of inputs, as
 * one piece, and the optimizer moves that while it is in the first cache. Against rows of all outputs a 784-512-256-10
 * perceptron trains 6 % faster (AVX-512, one thread), three layers of 2048 a seventh.
 */
#ifndef BP_BASE_PANELS_H
#define BP_BASE_PANELS_H

#include "backprop.h"

enum {
	BP_PANEL = 64,            /* outputs: the widest kernel's tile */
	BP_PANEL_TILE = 16,       /* inputs: whole vectors of any kernel */
	BP_PANEL_BLOCK = 4096,    /* weights of a block, at most: 16 KiB, half a first cache */
	BP_PANELS_FROM = 1 << 16, /* weights of a layer: up to here rows may go to one kernel call (conv/dense.c) */
};

static inline bool bp_in_panels(int64_t in, int64_t out)
{
	return out > BP_PANEL && in * out > BP_PANELS_FROM;
}

/* Outputs of the panel that has output o. */
static inline int64_t bp_panel_width(int64_t out, int64_t o)
{
	const int64_t left = out - o / BP_PANEL * BP_PANEL;
	return left < BP_PANEL ? left : BP_PANEL;
}

/* Where the weight of input i and output o lies. */
static inline int64_t bp_panel_at(int64_t in, int64_t out, int64_t i, int64_t o)
{
	return o / BP_PANEL * BP_PANEL * in + i * bp_panel_width(out, o) + o % BP_PANEL;
}

/* Inputs of a block; the last one of a panel may have fewer. */
static inline int64_t bp_panel_rows(int64_t in)
{
	const int64_t most = BP_PANEL_BLOCK / BP_PANEL / BP_PANEL_TILE * BP_PANEL_TILE, blocks = (in + most - 1) / most;
	return ((in + blocks - 1) / blocks + BP_PANEL_TILE - 1) / BP_PANEL_TILE * BP_PANEL_TILE;
}

#endif
