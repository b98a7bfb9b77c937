/*
 * dropout.c - dropout with numbers drawn in place from the counter-based generator (dropout.h), so that no mask is
 * kept. Called by core/layers, on any thread.
 *
 * The generator is that of base/rng.h, as many counters abreast as there are 64-bit lanes. Its four words lie in the
 * low halves of the lanes of four vectors: a round is two products of low halves, two shifts and four exclusive ors,
 * for what it leaves in the high halves no product reads. A number takes 0.6 ns with AVX-512 and 0.9 with AVX2; plain
 * loops over 32-bit words, of which gcc made vectors, took 3.5.
 */
#include "kernels/dropout.h"

#include "base/rng.h"
#include "kernels/vec.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

typedef uint64_t words __attribute__((vector_size(VBYTES)));
typedef uint64_t words_memory __attribute__((vector_size(VBYTES), aligned(sizeof(uint32_t)), may_alias));

enum { ABREAST = VBYTES / 8, ROUNDS = 10 };

/* Half of the lanes of two vectors from lane l on, in turn. */
#define PAIR(l) l, ABREAST + l
#if VBYTES == 64
#define IN_TURN(l) PAIR(l), PAIR(l + 1), PAIR(l + 2), PAIR(l + 3)
#elif VBYTES == 32
#define IN_TURN(l) PAIR(l), PAIR(l + 1)
#else
#define IN_TURN(l) PAIR(l)
#endif

VEC_INLINE words words_splat(uint64_t v)
{
	return (words){0} + v;
}

/* Of the low halves of the lanes. */
VEC_INLINE words low_product(words a, words b)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__
	return (words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
#elif !defined BP_VEC_BYTES && defined __AVX2__
	return (words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
#elif !defined BP_VEC_BYTES && defined __SSE2__
	return (words)_mm_mul_epu32((__m128i)a, (__m128i)b);
#else
	return (a & 0xffffffffu) * (b & 0xffffffffu);
#endif
}

/* What each round mixes in. */
struct keys {
	words k0[ROUNDS], k1[ROUNDS];
};

VEC_INLINE struct keys keys_of(uint64_t seed)
{
	struct keys ret;
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
	for (int round = 0; round < ROUNDS; round++, k0 += 0x9E3779B9u, k1 += 0xBB67AE85u) {
		ret.k0[round] = words_splat(k0);
		ret.k1[round] = words_splat(k1);
	}
	return ret;
}

/* The numbers of ABREAST counters from `counter` on. */
VEC_INLINE void draw(const struct keys *k, uint64_t counter, uint32_t ret[4 * ABREAST])
{
	const words mul0 = words_splat(0xD2511F53u), mul1 = words_splat(0xCD9E8D57u), all = words_splat(UINT32_MAX);
	words c0 = words_splat(counter), c1, c2 = words_splat(0), c3 = words_splat(BP_RNG_DROPOUT);
	for (int l = 0; l < ABREAST; l++)
		c0[l] += (uint64_t)l;
	c1 = c0 >> 32;
#pragma GCC unroll 10
	for (int round = 0; round < ROUNDS; round++) {
		const words p0 = low_product(c0, mul0), p1 = low_product(c2, mul1);
		c0 = p1 >> 32 ^ c1 ^ k->k0[round];
		c1 = p1;
		c2 = p0 >> 32 ^ c3 ^ k->k1[round];
		c3 = p0;
	}
	const words first = (c0 & all) | c1 << 32, second = (c2 & all) | c3 << 32;
	((words_memory *)ret)[0] = __builtin_shufflevector(first, second, IN_TURN(0));
	((words_memory *)ret)[1] = __builtin_shufflevector(first, second, IN_TURN(ABREAST / 2));
}

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
	const struct keys keys = keys_of(p->seed);
	for (size_t at = 0; at < p->n; at += BP_DROPOUT_GROUP) {
		const size_t left = p->n - at;
		uint32_t r[BP_DROPOUT_GROUP];
		for (int i = 0; i < BP_DROPOUT_GROUP; i += 4 * ABREAST)
			draw(&keys, (p->first + at + (size_t)i) / 4, r + i);
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
