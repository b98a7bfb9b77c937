/*
 * winograd.h - what the files of Winograd's way share (winograd.c, winograd_tiles.c, winograd_cut.c,
 * winograd_weights.c): which passes it takes, how maps are cut into tiles and batches into tasks. Its plans are in
 * plan.h, its transforms in kernels/winograd.h.
 */
#ifndef BP_CONV_WINOGRAD_H
#define BP_CONV_WINOGRAD_H

#include "conv/plan.h"
#include "kernels/winograd.h"

/* winograd_tiles.c */

/* Whether Winograd's way takes a pass. */
bool bp_winograd_fits(const struct bp_conv *cv, enum pass pass);
/* Its multiplications of an image, by pairs of a source and a target channel. */
size_t bp_winograd_products(const struct side *sd);
/* The pieces of a direction. */
size_t bp_winograd_pieces(const struct side *sd, struct winograd_tiles ret[BP_WINOGRAD_PIECES]);
/* Tiles of an image. */
static inline size_t winograd_tiles_of(const struct winograd_tiles *t)
{
	return (size_t)t->y.tiles * t->x.tiles;
}

/* How many groups are transformed together: their channels lie side by side in memory, and those of one alone are a
 * cache line here and there. 16 channels in 16 groups on 28x28: 70 GFLOP/s by one, 100 by four. */
size_t bp_winograd_bundle(const struct bp_conv *cv);

/* From place to place of so many elements: an odd number of cache lines, so that the places of a tile do not fall into
 * the same sets of the cache. */
size_t bp_winograd_step(size_t elements);

/* Tiles of a batch in their order: image by image, line by line. With a dilation, neighbours in a line begin side by
 * side, as many as it is, and lie between each other's pixels. */
struct bp_tile {
	size_t image;
	int line, column;
	int64_t y, x; /* its first target, of all of both axes; those of a dilated one may lie past the last */
};
struct bp_tile bp_tile_at(const struct winograd_tiles *w, size_t i);
void bp_tile_next(const struct winograd_tiles *w, struct bp_tile *t);
/* Of n pixels along an axis, the first at `from` and so many apart, those that lie before `end`. */
int bp_tile_inside(int64_t end, int64_t from, int64_t step, int n);

/* A batch of maps, how far apart pixels of a tile are in it, and zeros for a row of a tile. */
struct bp_map {
	const bp_real *at, *zeros;
	int h, w, c;
	int64_t step_y, step_x;
};
/* Bytes of such zeros for sources or targets of so many channels. */
size_t bp_winograd_zeros(const struct winograd_tiles *w, int channels);
/* Where a tile of rows x cols pixels, whose first is (y, x), reads: ret->rows, col_step, lo and hi. */
void bp_tile_rows(
	const struct bp_map *m, size_t image, int64_t y, int64_t x, int rows, int cols, struct bp_winograd_in *ret);
/* The same of a tile of the sources, for a part. */
void bp_tile_part(const struct bp_map *m, const struct winograd_tiles *w, const struct bp_tile *t, size_t part,
	struct bp_winograd_in *ret);

/* Adds, to what is asked for in so many times, `channels` channels of the map's lines that tiles [first, first + count)
 * read (sources) or make. */
void bp_tiles_ahead(struct ahead *ret, const struct winograd_tiles *w, bool sources, const struct bp_map *m,
	size_t first, size_t count, size_t channels, size_t times);

/* winograd_cut.c */

/* How a batch of n is cut: a task is one of `blocks` blocks of tiles, at least half as large as planned, and one of
 * `cuts` ranges of the units, more than one where the blocks are too few tasks: each transforms its sources again. */
struct winograd_cut {
	size_t tiles, block, blocks;
	size_t unit_parts, cuts; /* what ranges are of: panels of the only group, or groups */
	size_t work;             /* multiply-adds */
};
/* Fills in block and lines. Whether there is one block, and tasks transform weights for themselves. */
bool bp_winograd_cut_plan(const struct bp_conv *cv, const struct side *sd, struct winograd_plan *p);
struct winograd_cut bp_winograd_cut(
	const struct bp_conv *cv, const struct side *sd, const struct winograd_plan *p, size_t n);
/* The statistics of a block of a direction's targets, when all of these are there. */
void bp_winograd_part(const struct bp_conv *cv, const struct side *sd, const struct winograd_plan *p,
	const struct winograd_cut *c, const struct gemm_call *call, size_t block);
extern const struct way_norms bp_winograd_norms;

/* winograd_weights.c: backward-weights. */

void bp_winograd_weights_plan(struct bp_conv *cv);
size_t bp_winograd_weights_workspace(const struct bp_conv *cv, int threads);
run_fn bp_winograd_weights_run;

#endif
