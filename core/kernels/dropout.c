/*
 * dropout.c - dropout with numbers drawn in place from the counter-based generator (dropout.h), so that no mask is
 * kept. Called by core/layers, on any thread. The generator is that of base/rng.h, sixteen counters abreast.
 */
#include "kernels/dropout.h"

#include "base/rng.h"
#include "kernels/vec.h"

enum { LANES = BP_DROPOUT_GROUP / 4, ROUNDS = 10 };

/* Plain loops over the lanes: the compiler makes vectors of them. */
static void draw(uint64_t seed, uint64_t counter, uint32_t ret[BP_DROPOUT_GROUP])
{
	uint32_t c[4][LANES], k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
	for (int i = 0; i < LANES; i++) {
		c[0][i] = (uint32_t)(counter + (uint64_t)i);
		c[1][i] = (uint32_t)((counter + (uint64_t)i) >> 32);
		c[2][i] = 0;
		c[3][i] = BP_RNG_DROPOUT;
	}
	for (int round = 0; round < ROUNDS; round++) {
		for (int i = 0; i < LANES; i++) {
			uint64_t p0 = (uint64_t)0xD2511F53u * c[0][i], p1 = (uint64_t)0xCD9E8D57u * c[2][i];
			c[0][i] = (uint32_t)(p1 >> 32) ^ c[1][i] ^ k0;
			c[1][i] = (uint32_t)p1;
			c[2][i] = (uint32_t)(p0 >> 32) ^ c[3][i] ^ k1;
			c[3][i] = (uint32_t)p0;
		}
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	for (int i = 0; i < LANES; i++)
		for (int j = 0; j < 4; j++)
			ret[4 * i + j] = c[j][i];
}

void KERNEL_NAME(dropout)(const struct bp_dropout *p)
{
	for (size_t at = 0; at < p->n; at += BP_DROPOUT_GROUP) {
		uint32_t r[BP_DROPOUT_GROUP];
		draw(p->seed, (p->first + at) / 4, r);
		size_t n = p->n - at < BP_DROPOUT_GROUP ? p->n - at : BP_DROPOUT_GROUP;
		const bp_real *x = p->x + at;
		bp_real *y = p->y + at;
		/* A product, so that NaN and infinity are seen even where they are dropped, as in PyTorch. */
		for (size_t i = 0; i < n; i++)
			y[i] = x[i] * (r[i] >= p->drop ? p->scale : 0) + (p->acc ? y[i] : 0);
	}
}
