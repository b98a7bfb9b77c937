/*
 * outer.c - the outer-product register tile (outer.h): rows input channels x nv vectors of output channels, summed over
 * pixels. Called by the driver of the weight gradient, on any thread.
 *
 * Both operands come as the maps lie in memory: the values of a pixel's row of X are broadcast one by one and
 * multiplied with vectors of its row of dY. Each height of the tile is a function of its own, as in igemm.c.
 */
#include "kernels/outer.h"
#include "kernels/vec.h"

VEC_INLINE void tile(const struct bp_outer *p, const int rows, const int nv)
{
	vec s[TALL_ROWS][WIDE_VECS];
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++)
			s[i][j] = vec_zero();
	const size_t x_step = p->x_step, dy_step = p->dy_step;
	const char *ahead = p->ahead ? p->ahead : (const char *)p->dy;
	const size_t step = p->ahead_step ? p->ahead_step : BP_OUTER_AHEAD, ahead_step = p->ahead ? step : 0;
	for (const struct bp_run *r = p->runs, *end = r + p->nruns; r < end; r++) {
		const bp_real *x = r->x + p->x_off, *dy = p->dy + r->first * dy_step;
		for (size_t left = r->count; left > 0; left--, x += x_step, dy += dy_step, ahead += ahead_step) {
			if (VBYTES == 64) /* narrower ones have half the multiply-adds: it would cost what it saves */
				__builtin_prefetch(ahead, 0, 2);
			vec w[WIDE_VECS];
#pragma GCC unroll 4
			for (int j = 0; j < nv; j++)
				w[j] = vec_load(dy + j * VLEN);
#pragma GCC unroll 16
			for (int i = 0; i < rows; i++) {
				vec v = vec_splat(x[i]);
#pragma GCC unroll 4
				for (int j = 0; j < nv; j++)
					s[i][j] += v * w[j];
			}
		}
	}
	const int left = p->cols - (nv - 1) * VLEN;
#pragma GCC unroll 16
	for (int i = 0; i < rows; i++)
#pragma GCC unroll 4
		for (int j = 0; j < nv; j++) {
			bp_real *c = p->c + i * p->ldc + j * VLEN;
			const int n = j < nv - 1 ? VLEN : left;
			vec v = s[i][j];
			if (p->acc)
				v += n == VLEN ? vec_load(c) : vec_load_n(c, n);
			if (n == VLEN)
				vec_store(c, v);
			else
				vec_store_n(c, v, n);
		}
}

#define TILE(r, v)                                                                                                     \
	static void tile_##r##x##v(const struct bp_outer *p)                                                           \
	{                                                                                                              \
		tile(p, r, v);                                                                                         \
	}
TILES(TILE)

void KERNEL_NAME(outer)(const struct bp_outer *p)
{
#define ENTRY(r, v) [r - 1][v - 1] = tile_##r##x##v,
	static void (*const tiles[TALL_ROWS][WIDE_VECS])(const struct bp_outer *) = {TILES(ENTRY)};
	tiles[p->rows - 1][(p->cols - 1) / VLEN](p);
}
