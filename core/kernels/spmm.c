/*
 * spmm.c - rows that are mostly zeros times a panel (spmm.h), and the places of what is not. Called by sparse.c of
 * core/conv, on any thread.
 *
 * Behind a ReLU half of a map is zeros, after a Dropout three quarters, of a picture of a digit four fifths; so are the
 * gradients that a ReLU lets through. Where they are has no pattern, so no tile of rows has zeros in common: each row
 * goes alone, and each of its elements that counts is broadcast and multiplied with a row of the panel, which is read
 * from the first cache. A load for a multiply-add is all that the processor can do beside it, so a multiply-add takes
 * 1.3 cycles where a dense tile's takes one; half of them are left, and 0.65 of the time (AVX-512, 512 rows of 128 with
 * half of them zeros, 64 columns). Skipping zeros of ReLU on such processors is the idea of Gong et al., "SparseTrain",
 * 2020, there for convolutions.
 */
#include "kernels/spmm.h"
#include "kernels/vec.h"

/* Accumulators of a row, at most; and as few as hide an addition's latency: AVX-512 begins one a cycle, others two, and
 * each takes four. */
enum { MOST = 8, VECS = BP_SPMM_COLS / VLEN < MOST ? BP_SPMM_COLS / VLEN : MOST, FEWEST = VBYTES == 64 ? 4 : 8 };

/* Row i, of n elements: nv vectors of columns from j on; unless full, the last is a part of one. With few, so many
 * elements side by side have accumulators of their own. */
VEC_INLINE void row(const struct bp_spmm *p, size_t i, size_t n, size_t j, const int nv, const bool full)
{
	const int left = full ? VLEN : (int)(p->cols - j) - (nv - 1) * VLEN, chains = nv < FEWEST ? FEWEST / nv : 1;
	const bp_real *const a = p->a + i * p->lda, *const b = p->b + j;
	const size_t ldb = p->ldb;
	vec s[MOST];
#pragma GCC unroll 8
	for (int v = 0; v < chains * nv; v++)
		s[v] = vec_zero();
	const uint16_t *at = p->places + i * p->place_step, *const end = at + n;
	for (; chains > 1 && end - at >= chains; at += chains)
#pragma GCC unroll 8
		for (int e = 0; e < chains; e++)
#pragma GCC unroll 8
			for (int v = 0; v < nv; v++)
				s[e * nv + v] += a[at[e]] * vec_load(b + at[e] * ldb + v * VLEN);
	for (; at < end; at++)
#pragma GCC unroll 8
		for (int v = 0; v < nv; v++)
			s[v] += a[*at] * vec_load(b + *at * ldb + v * VLEN);
#pragma GCC unroll 8
	for (int v = nv; v < chains * nv; v++)
		s[v % nv] += s[v];
	bp_real *c = p->c + i * p->ldc + j;
#pragma GCC unroll 8
	for (int v = 0; v < nv; v++, c += VLEN) {
		const int lanes = v < nv - 1 ? VLEN : left;
		if (p->acc)
			s[v] += vec_load_part(c, lanes);
		if (p->bias)
			s[v] += vec_load_part(p->bias + j + v * VLEN, lanes);
		if (p->relu)
			s[v] = vec_relu(s[v]);
		vec_store_part(c, s[v], lanes);
	}
}

VEC_INLINE void rows(const struct bp_spmm *p, size_t j, const int nv, const bool full)
{
	for (size_t i = 0; i < p->rows; i++) {
		const uint16_t n = p->counts[i * p->count_step];
		if (n != BP_SPMM_SKIPPED)
			row(p, i, n, j, nv, full);
	}
}

/* The last columns, fewer than VECS vectors. */
VEC_INLINE void last_rows(const struct bp_spmm *p, size_t j)
{
	switch ((p->cols - j + VLEN - 1) / VLEN) {
#define LAST(n)                                                                                                        \
	case n:                                                                                                        \
		rows(p, j, n, false);                                                                                  \
		break;
		LAST(1)
		LAST(2)
		LAST(3)
		LAST(4)
		LAST(5)
		LAST(6)
		LAST(7)
		LAST(8)
	}
}

void KERNEL_NAME(spmm)(const struct bp_spmm *from)
{
	const struct bp_spmm p = *from; /* a copy, which no store can change */
	size_t j = 0;
	for (; j + VECS * VLEN <= p.cols; j += VECS * VLEN)
		rows(&p, j, VECS, true);
	if (j < p.cols)
		last_rows(&p, j);
}

/* The places of a nibble's bits: four of 16 bits, the first lowest. */
static const uint64_t nibble_places[16] = {0, 0x0, 0x1, 0x10000, 0x2, 0x20000, 0x20001, 0x200010000, 0x3, 0x30000,
	0x30001, 0x300010000, 0x30002, 0x300020000, 0x300020001, 0x3000200010000};

/* Appends the places of a nibble's bits, counted from `from` on, to ret; returns where the next go. It writes four. */
VEC_INLINE uint16_t *append(uint16_t *ret, unsigned nibble, size_t from)
{
	const uint64_t places = nibble_places[nibble] + from * UINT64_C(0x0001000100010001);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	__builtin_memcpy(ret, &places, sizeof places);
#else
	for (int i = 0; i < 4; i++)
		ret[i] = (uint16_t)(places >> 16 * i);
#endif
	return ret + __builtin_popcount(nibble);
}

size_t KERNEL_NAME(nonzeros)(size_t n, const bp_real *x, uint16_t *ret)
{
	uint16_t *to = ret;
	size_t i = 0;
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	const vint iota = vint_iota();
	for (; i < n; i += VLEN) {
		const vec v = vec_load_part(x + i, n - i < (size_t)VLEN ? (int)(n - i) : VLEN);
		const __mmask16 some = _mm512_cmp_ps_mask((__m512)v, (__m512)vec_zero(), _CMP_NEQ_UQ);
		const __m512i places = _mm512_maskz_compress_epi32(some, (__m512i)(iota + (lane)i));
		_mm256_storeu_si256((__m256i *)to, _mm512_cvtepi32_epi16(places));
		to += __builtin_popcount(some);
	}
#else
	for (; i + VLEN <= n; i += VLEN) {
		const unsigned some = vec_bits(vec_load(x + i) != vec_zero());
		for (int from = 0; from < VLEN; from += 4)
			to = append(to, some >> from & 15, i + (size_t)from);
	}
	for (; i < n; i++) {
		*to = (uint16_t)i;
		to += x[i] != 0;
	}
#endif
	return (size_t)(to - ret);
}
