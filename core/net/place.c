/*
 * place.c - packs blocks with lifetimes into one arena: the largest first, each at the lowest offset that is free for
 * its whole interval. Called by plan.c.
 */
#include "net/plan.h"

#include <stdlib.h>

struct order {
	const struct bp_block *block;
	int index;
};

static int by_size(const void *a, const void *b)
{
	const struct order *x = a, *y = b;
	if (x->block->bytes != y->block->bytes)
		return x->block->bytes < y->block->bytes ? 1 : -1;
	return x->index - y->index;
}

static bool meets(const struct bp_block *a, const struct bp_block *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* placed[0..n) are sorted by offset. */
static int64_t lowest_gap(struct bp_block *const *placed, int n, const struct bp_block *b)
{
	int64_t at = 0;
	for (int i = 0; i < n; i++) {
		const struct bp_block *p = placed[i];
		if (!meets(p, b))
			continue;
		if (p->offset >= at + b->bytes)
			break;
		if (p->offset + p->bytes > at)
			at = p->offset + p->bytes;
	}
	return at;
}

int64_t bp_blocks_place(struct bp_block *blocks, int n)
{
	int64_t total = 0;
	struct order *order = calloc((size_t)n + 1, sizeof(*order));
	struct bp_block **placed = calloc((size_t)n + 1, sizeof(struct bp_block *));
	if (!order || !placed) {
		total = -1;
		goto out;
	}
	for (int i = 0; i < n; i++)
		order[i] = (struct order){&blocks[i], i};
	qsort(order, (size_t)n, sizeof(*order), by_size);
	for (int i = 0; i < n; i++) {
		struct bp_block *b = &blocks[order[i].index];
		b->offset = lowest_gap(placed, i, b);
		if (b->offset + b->bytes > total)
			total = b->offset + b->bytes;
		int at = i;
		for (; at > 0 && placed[at - 1]->offset > b->offset; at--)
			placed[at] = placed[at - 1];
		placed[at] = b;
	}
out:
	free(order);
	free(placed);
	return total;
}
