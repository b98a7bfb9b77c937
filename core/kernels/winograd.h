/*
 * winograd.h - the arguments of the transforms of Winograd's convolutions F(4x4, 3x3), F(2x2, 5x5) and their like on
 * one axis (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).
 *
 * A tile is the outputs that 6x6 inputs d give: with a 3x3 kernel 4x4, with a 2x2 kernel 5x5. With constant matrices
 * A^T, B^T (6x6, the same for all kernels) and G they are A^T [ (G w G^T) * (B^T d B) ] A, where * multiplies place by
 * place: 36 products instead of 144, or of 100. Along an axis on which the kernel has one tap nothing is transformed: a
 * 1x3 kernel has tiles of 1x4 outputs, 1x6 inputs and 6 places. Tiles of 5 inputs, which make an output less, fit more
 * maps. Summed over channels, each of the places is a matrix product of tiles x channels with channels x channels.
 * Its adjoints give the gradients: with M' = A dy A^T, U' = V^T M' summed over tiles and dw = G^T U' G. Transformed
 * values lie place by place: that of row i and column j is at (columns * i + j) * step.
 */
#ifndef BP_WINOGRAD_H
#define BP_WINOGRAD_H

#include "backprop.h"

enum {
	BP_WINOGRAD_IN = 6,      /* inputs along a side, and places; at most, as all of these */
	BP_WINOGRAD_OUT = 5,     /* outputs along a side of a tile */
	BP_WINOGRAD_TAPS = 5,    /* of a kernel along a side, 1 at least */
	BP_WINOGRAD_PLACES = 36, /* of a tile */
};

/* One axis of a tile: the kernel's taps, and inputs, and with them places. There are 1 of 1, 2 to 4 of 5, and 2 to 5 of
 * 6. */
struct bp_winograd_axis {
	int taps, reads;
};

/* Its outputs. */
static inline int bp_winograd_makes(struct bp_winograd_axis a)
{
	return a.reads + 1 - a.taps;
}

/*
 * From a tile of a map to places. rows[i] + j * col_step are the channels of its pixel (i, j), or zeros where the row
 * lies outside the map; columns outside lo <= j < hi are taken as zero and not read. Channels are written in whole
 * vectors, zeros past the last; `panel` of them (a multiple of the vector's length) lie side by side, and groups of so
 * many are panel_step elements apart.
 */
struct bp_winograd_in {
	struct bp_winograd_axis y, x;
	size_t channels;
	const bp_real *rows[BP_WINOGRAD_IN];
	size_t col_step;
	int lo, hi;
	bp_real *dst;
	size_t step, panel, panel_step;
};

/*
 * From places to a tile of a map: A^T M A, plus what dst holds (acc), plus bias, then ReLU, or 0 where `through`, a map
 * laid out like dst, is not above 0; src is read in whole vectors. Of the tile, `rows` rows and `cols` columns lie in
 * the map.
 */
struct bp_winograd_out {
	struct bp_winograd_axis y, x;
	size_t channels;
	const bp_real *src;
	size_t step;
	int rows, cols;
	bp_real *dst;
	size_t row_step, col_step;
	const bp_real *bias;    /* or NULL */
	const bp_real *through; /* or NULL */
	bool acc, relu;
};

/*
 * Weights: of n rows (input channels) and `cols` columns (output channels), tap (a, b) is at w + a * line_step + b *
 * tap_step and rows are ld apart; transformed, place q is at u + q * step and rows are u_ld apart.
 */
struct bp_winograd_weights {
	struct bp_winograd_axis y, x;
	size_t n;
	int cols;
	bp_real *w;
	size_t line_step, tap_step, ld;
	bp_real *u;
	size_t step, u_ld;
};

#endif
