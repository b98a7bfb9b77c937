/*
 * sparse.h - rows that are mostly zeros: which they are, and the places of what is not zero in them (kernels/spmm.h).
 * Private to core/conv.
 */
#ifndef BP_CONV_SPARSE_H
#define BP_CONV_SPARSE_H

#include "conv/plan.h"

#include "kernels/spmm.h"

/* Sums over k elements go by pieces, of one length but for the last: at most so many rows of a panel of BP_SPMM_COLS,
 * which are read from the first cache. */
enum { SPARSE_DEPTH = 128 };

struct part {
	size_t at, length;
};
static inline struct part part_of(size_t k, size_t depth, size_t i)
{
	const size_t length = divide_up(k, divide_up(k, depth)), at = i * length;
	return (struct part){at, k - at < length ? k - at : length};
}

/* Lists of the places in rows of k elements, piece by piece. */
struct sparse {
	size_t k, pieces;
	uint16_t *counts, *places; /* row by row */
	size_t place_step;
};

/* The bytes of so many, a multiple of BP_ALIGN, and what lies there. */
size_t bp_sparse_bytes(size_t rows, size_t k);
struct sparse bp_sparse_at(void *memory, size_t rows, size_t k);
/* Lists row i, which is at x. Unless rows that are dense are listed too, one is left as soon as a piece shows it to be,
 * so that looking at it costs next to nothing: it is skipped by products, and false is returned. */
bool bp_sparse_list(const struct bp_kernels *k, const struct sparse *s, size_t i, const bp_real *x, bool dense_too);
bool bp_sparse_listed(const struct sparse *s, size_t i);
/*
 * Listed rows times a panel, `all` of k elements but for the lists, and a and c of row `first` of these: rows that are
 * not listed are left out. `share` rows at a time; before share i of n, what comes next is asked for, unless ask is
 * NULL.
 */
struct sparse_product {
	const struct sparse *lists;
	size_t first;
	struct bp_spmm all;
	size_t share;
	void (*ask)(void *arg, size_t i, size_t n);
	void *arg;
};
void bp_sparse_multiply(const struct bp_kernels *k, const struct sparse_product *p);
/* A piece of it alone, of which b are the rows of the panel; ask counts its shares. */
void bp_sparse_multiply_piece(
	const struct bp_kernels *k, const struct sparse_product *p, size_t piece, const bp_real *b);
/* Whether so many rows have, by a sample, few enough elements other than 0 for products by places to pay; ret_share is
 * how many of all. */
bool bp_sparse_pays(const struct bp_kernels *k, size_t rows, size_t elements, const bp_real *x, double *ret_share);

#endif
