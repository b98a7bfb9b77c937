/*
 * vec.h - the small vocabulary in which kernels are written: vectors of bp_real as wide as the instruction set's
 * registers, over GNU vector extensions. Included by kernel files alone; no width or type is named outside.
 *
 * BP_ISA (from the build) names the instruction set; VLEN is the number of elements. A multiplication followed by an
 * addition is written a * b + c: the compiler contracts it where there is FMA. Loads and stores need no alignment
 * but an element's. Everything is inline: none of these are symbols.
 */
#ifndef BP_VEC_H
#define BP_VEC_H

#include "kernels/kernels.h"

#include <float.h>
#include <stdint.h>

#if defined __AVX2__ || defined __AVX512F__
#include <immintrin.h>
#endif

/* BP_VEC_BYTES: given by tests alone, which run the widest kernels' logic on narrower processors. */
#if defined BP_VEC_BYTES
#define VBYTES BP_VEC_BYTES
#elif defined __AVX512F__
#define VBYTES 64
#elif defined __AVX2__
#define VBYTES 32
#else
#define VBYTES 16
#endif

#define VLEN ((int)(VBYTES / sizeof(bp_real)))

/* The register tiles, X(rows, vectors): chosen so that rows x vectors accumulators, the vectors of B and the broadcast
 * value fit in the registers, and the row pointers in the integer ones: 16 on x86-64 below AVX-512, 32 above and on
 * aarch64. A tall one is up to TALL_ROWS x TALL_VECS, a wide one WIDE_ROWS x WIDE_VECS: with as many accumulators it
 * loads 10 values where the tall one loads 14. Of AVX-512's peak that is 82 instead of 76 % (128 x 784 x 512); below,
 * where 6 x 2 loads 8 and 4 x 3 loads 7, it brought nothing. */
#define TILES_TO_6(X, v) X(1, v) X(2, v) X(3, v) X(4, v) X(5, v) X(6, v)
#define TILES_TO_12(X, v) TILES_TO_6(X, v) X(7, v) X(8, v) X(9, v) X(10, v) X(11, v) X(12, v)
#if VBYTES == 64
#define TILES(X) TILES_TO_12(X, 1) TILES_TO_12(X, 2) TILES_TO_6(X, 3) TILES_TO_6(X, 4)
enum { TALL_ROWS = 12, TALL_VECS = 2, WIDE_ROWS = 6, WIDE_VECS = 4 };
#elif defined __aarch64__
#define TILES(X) TILES_TO_12(X, 1) TILES_TO_12(X, 2)
enum { TALL_ROWS = 12, TALL_VECS = 2, WIDE_ROWS = TALL_ROWS, WIDE_VECS = TALL_VECS };
#else
#define TILES(X) TILES_TO_6(X, 1) TILES_TO_6(X, 2)
enum { TALL_ROWS = 6, TALL_VECS = 2, WIDE_ROWS = TALL_ROWS, WIDE_VECS = TALL_VECS };
#endif

/* Those of few columns (idot.c), X(rows, columns): as many accumulators, at most as many rows. */
#define IDOT_ROWS(columns) ((columns) <= TALL_VECS ? TALL_ROWS : TALL_ROWS * TALL_VECS / (columns))
#if VBYTES == 64 || defined __aarch64__
#define IDOT_TILES(X) TILES_TO_12(X, 1) TILES_TO_12(X, 2) TILES_TO_6(X, 3) X(7, 3) X(8, 3) TILES_TO_6(X, 4)
#else
#define IDOT_TILES(X) TILES_TO_6(X, 1) TILES_TO_6(X, 2) X(1, 3) X(2, 3) X(3, 3) X(4, 3) X(1, 4) X(2, 4) X(3, 4)
#endif

/* Name of this instruction set's version of a kernel: bp_avx2_igemm. */
#define KERNEL_NAME3(isa, name) bp_##isa##_##name
#define KERNEL_NAME2(isa, name) KERNEL_NAME3(isa, name)
#define KERNEL_NAME(name) KERNEL_NAME2(BP_ISA, name)
#define KERNEL(name, ret, args) ret KERNEL_NAME(name) args;
#include "kernels/kernels.def"

/* x stays a register of its own: the compiler does not see what it is made of. */
#define OWN_REGISTER(x) __asm__("" : "+r"(x))
#if defined __x86_64__ && !defined BP_VEC_BYTES
#define OWN_VECTOR(x) __asm__("" : "+v"(x))
#else
#define OWN_VECTOR(x) (void)(x)
#endif

/* For every function that takes or returns a vector. Behind a call of one gcc 12 does not clear the registers' upper
 * halves, and the processor then stalls at each change between old and new instructions: one such call took a third of
 * the step of a 4-16-3 perceptron. */
#define VEC_INLINE static inline __attribute__((always_inline, unused))

#ifdef BP_DOUBLE
typedef int64_t lane; /* integer as wide as bp_real */
#else
typedef int32_t lane;
#endif
typedef bp_real vec __attribute__((vector_size(VBYTES)));
typedef lane vint __attribute__((vector_size(VBYTES))); /* also a mask: each lane 0 or -1 */
typedef bp_real vec_memory __attribute__((vector_size(VBYTES), aligned(sizeof(bp_real)), may_alias));

VEC_INLINE vec vec_load(const bp_real *p)
{
	return *(const vec_memory *)p;
}
VEC_INLINE void vec_store(bp_real *p, vec v)
{
	*(vec_memory *)p = v;
}
VEC_INLINE vec vec_zero(void)
{
	return (vec){0};
}
VEC_INLINE vec vec_splat(bp_real s)
{
	return s - (vec){0};
} /* s + 0 would make -0 a 0 and cost an addition */
VEC_INLINE vint vint_splat(lane s)
{
	return (vint){0} + s;
}

/* 0, 1, 2, ... */
VEC_INLINE vint vint_iota(void)
{
	vint v;
	for (int i = 0; i < VLEN; i++)
		v[i] = i;
	return v;
}

/* The first n lanes, 0 <= n <= VLEN. */
VEC_INLINE vint vec_first(int n)
{
	return vint_iota() < vint_splat(n);
}

/* yes where the mask is set (a comparison gives one: vec_select(a > b, a, b)), else no. */
VEC_INLINE vec vec_select(vint mask, vec yes, vec no)
{
	return (vec)((mask & (vint)yes) | (~mask & (vint)no));
}
/* yes where the mask is set, else 0. */
VEC_INLINE vec vec_keep(vint mask, vec yes)
{
	return (vec)(mask & (vint)yes);
}
/* Bit l is set where lane l of the mask is. */
VEC_INLINE unsigned vec_bits(vint mask)
{
#if !defined BP_VEC_BYTES && defined __AVX2__ && !defined __AVX512F__ && !defined BP_DOUBLE
	return (unsigned)_mm256_movemask_ps((__m256)mask);
#elif !defined BP_VEC_BYTES && defined __AVX2__ && !defined __AVX512F__
	return (unsigned)_mm256_movemask_pd((__m256d)mask);
#else
	unsigned bits = 0;
	for (int i = 0; i < VLEN; i++)
		bits |= (unsigned)(mask[i] & 1) << i;
	return bits;
#endif
}
/* b where a < b, else a: a NaN in a stays. x86's instruction does just that with its operands exchanged; of the
 * selection gcc makes three. */
VEC_INLINE vec vec_max(vec a, vec b)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	return (vec)_mm512_max_ps((__m512)b, (__m512)a);
#elif !defined BP_VEC_BYTES && defined __AVX2__ && !defined BP_DOUBLE
	return (vec)_mm256_max_ps((__m256)b, (__m256)a);
#else
	return vec_select(a < b, b, a);
#endif
}
VEC_INLINE vec vec_min(vec a, vec b)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	return (vec)_mm512_min_ps((__m512)b, (__m512)a);
#elif !defined BP_VEC_BYTES && defined __AVX2__ && !defined BP_DOUBLE
	return (vec)_mm256_min_ps((__m256)b, (__m256)a);
#else
	return vec_select(b < a, b, a);
#endif
}
/* max(a, 0); a NaN stays a NaN, so that it is seen and not hidden. */
VEC_INLINE vec vec_relu(vec a)
{
	return (vec)(~(a < vec_zero()) & (vint)a);
}
VEC_INLINE vec vec_abs(vec a)
{
	return (vec)((vint)a & ~(vint)vec_splat((bp_real)-0.0));
}

/* a / b but for the last bit, b being 0 or more. Infinity divides as the largest number; a result that is not finite
 * may be NaN where IEEE has infinity. An estimate of 14 bits and a step of Newton's: a division takes 10 cycles of the
 * unit that also gives Adam its root, in 12. With that and vec_max its kernel takes 5.1 ns for 16 weights in L1 instead
 * of 6.5. */
VEC_INLINE vec vec_quotient(vec a, vec b)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	b = vec_min(b, vec_splat(FLT_MAX));
	const vec reciprocal = (vec)_mm512_rcp14_ps((__m512)b), q = a * reciprocal;
	return q + reciprocal * (a - b * q);
#else
	return a / b;
#endif
}

/* The first n elements, 0 <= n <= VLEN, the other lanes 0; touches no memory past them. */
VEC_INLINE vec vec_load_n(const bp_real *p, int n)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	return (vec)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
#elif !defined BP_VEC_BYTES && defined __AVX512F__
	return (vec)_mm512_maskz_loadu_pd((__mmask8)((1u << n) - 1), p);
#elif !defined BP_VEC_BYTES && defined __AVX2__ && !defined BP_DOUBLE
	return (vec)_mm256_maskload_ps(p, (__m256i)vec_first(n));
#elif !defined BP_VEC_BYTES && defined __AVX2__
	return (vec)_mm256_maskload_pd(p, (__m256i)vec_first(n));
#else
	bp_real t[VLEN] = {0};
	for (int i = 0; i < n; i++)
		t[i] = p[i];
	return vec_load(t);
#endif
}

/* Stores the first n lanes, 0 <= n <= VLEN, and touches no memory past them. Without masks in the instruction set (AVX2
 * has a masked store, but on many processors it takes dozens of cycles) halves of halves are copied. */
VEC_INLINE void vec_store_n(bp_real *p, vec v, int n)
{
#if !defined BP_VEC_BYTES && defined __AVX512F__ && !defined BP_DOUBLE
	_mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
#elif !defined BP_VEC_BYTES && defined __AVX512F__
	_mm512_mask_storeu_pd(p, (__mmask8)((1u << n) - 1), (__m512d)v);
#else
	bp_real t[VLEN];
	vec_store(t, v);
	if (n == VLEN)
		vec_store(p, v);
#pragma GCC unroll 4
	for (int half = VLEN / 2, i = 0; half; half /= 2)
		if (n & half) {
			__builtin_memcpy(p + i, t + i, half * sizeof *p);
			i += half;
		}
#endif
}

/* The first n lanes, 0 <= n <= VLEN; quick for a whole vector, and without a test where n is known when compiled. */
VEC_INLINE vec vec_load_part(const bp_real *p, int n)
{
	return n == VLEN ? vec_load(p) : vec_load_n(p, n);
}
VEC_INLINE void vec_store_part(bp_real *p, vec v, int n)
{
	if (n == VLEN)
		vec_store(p, v);
	else
		vec_store_n(p, v, n);
}

/* Asks for the line at p, to be read soon. */
VEC_INLINE void vec_prefetch(const void *p)
{
	__builtin_prefetch(p, 0, 3);
}

#endif
