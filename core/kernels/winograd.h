/*
 * winograd.h - the arguments of the transforms of Winograd's convolution F(4x4, 3x3) (Lavin and Gray, "Fast Algorithms
 * for Convolutional Neural Networks", 2015).
 *
 * A tile is 4x4 outputs of a 3x3 convolution, which read 6x6 inputs d. With the constant matrices A^T (4x6), B^T (6x6)
 * and G (6x3) it is A^T [ (G w G^T) * (B^T d B) ] A, where * multiplies place by place: 36 products instead of 144.
 * Summed over channels, each of the 36 places is a matrix product of tiles x channels with channels x channels. Its
 * adjoints give the gradients: with M' = A dy A^T, U' = V^T M' summed over tiles and dw = G^T U' G.
 * Transformed values lie place by place: place q = 6 i + j of row i and column j is at q * step.
 */
#ifndef BP_WINOGRAD_H
#define BP_WINOGRAD_H

#include "backprop.h"

enum {
	BP_WINOGRAD_OUT = 4,    /* outputs along a side of a tile */
	BP_WINOGRAD_IN = 6,     /* inputs along a side, and places */
	BP_WINOGRAD_PLACES = 36 /* of a tile */
};

/*
 * From a tile of a map to places. rows[i] + j * col_step are the channels of its pixel (i, j), or zeros where the row
 * lies outside the map; columns outside lo <= j < hi are taken as zero and not read. Channels are written in whole
 * vectors, zeros past the last; `panel` of them (a multiple of the vector's length) lie side by side, and groups of so
 * many are panel_step elements apart.
 */
struct bp_winograd_in {
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
 * Weights: of n rows (input channels) and `cols` columns (output channels), tap t = 3 a + b is at w + t * tap_step and
 * rows are ld apart; transformed, place q is at u + q * step and rows are u_ld apart.
 */
struct bp_winograd_weights {
	size_t n;
	int cols;
	bp_real *w;
	size_t tap_step, ld;
	bp_real *u;
	size_t step, u_ld;
};

#endif
