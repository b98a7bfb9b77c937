/*
 * dropout.c - dropout with numbers drawn in place from the counter-based generator (dropout.h), so that no mask is
 * kept. Called by core/layers, on any thread.
 */
#include "kernels/dropout.h"

#include "kernels/philox.h"

/* A product, so that NaN and infinity are seen even where they are dropped, as in PyTorch. */
VEC_INLINE void apply(const struct bp_dropout *p, const uint32_t *r, size_t at, size_t n, bool acc)
{
	const bp_real *x = p->x + at, scale = p->drop > UINT32_MAX ? 0 : p->scale;
	const uint32_t drop = (uint32_t)p->drop;
	bp_real *y = p->y + at;
	for (size_t i = 0; i < n; i++) {
		const bp_real v = x[i] * (r[i] >= drop ? scale : 0);
		y[i] = acc ? y[i] + v : v;
	}
}

/* In whole groups and the rest; y may be x. */
VEC_INLINE void drop_all(const struct bp_dropout *p, bool acc)
{
	const struct philox philox = philox_of(p->seed, BP_RNG_DROPOUT, 0);
	for (size_t at = 0; at < p->n; at += BP_DROPOUT_GROUP) {
		const size_t left = p->n - at;
		uint32_t r[BP_DROPOUT_GROUP];
		for (int i = 0; i < BP_DROPOUT_GROUP; i += 4 * PHILOX_ABREAST)
			philox_draw(&philox, (p->first + at + (size_t)i) / 4, r + i);
		if (left >= BP_DROPOUT_GROUP)
			apply(p, r, at, BP_DROPOUT_GROUP, acc);
		else
			apply(p, r, at, left, acc);
	}
}

void KERNEL_NAME(dropout)(const struct bp_dropout *p)
{
	if (p->acc)
		drop_all(p, true);
	else
		drop_all(p, false);
}
