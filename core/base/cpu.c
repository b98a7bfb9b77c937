/*
 * cpu.c - instruction sets by CPUID and XGETBV (Intel SDM volume 1, 13.3, 14.3 and 15.2). Called when kernels are
 * chosen, on any thread; keeps no state.
 */
#include "base/cpu.h"

#if defined __x86_64__

#include <cpuid.h>

enum {
	OSXSAVE = 1u << 27, /* leaf 1, ecx */
	FMA = 1u << 12,
	AVX = 1u << 28,
	AVX2 = 1u << 5,                          /* leaf 7, ebx */
	AVX512 = 1u << 16 | 1u << 17 | 1u << 30, /* F, DQ, BW; VL is bit 31, tested apart: it does not fit an int */
	YMM_STATE = 0x6,                         /* XCR0: xmm and the upper halves of ymm */
	ZMM_STATE = 0xe6                         /* and opmask, the upper halves of zmm0-15, zmm16-31 */
};

static unsigned xcr0(void)
{
	unsigned eax, edx;
	__asm__ volatile("xgetbv" : "=a"(eax), "=d"(edx) : "c"(0));
	return eax;
}

unsigned bp_cpu_features(void)
{
	unsigned a, b, c, d;
	if (!__get_cpuid(1, &a, &b, &c, &d) || (c & (OSXSAVE | FMA | AVX)) != (OSXSAVE | FMA | AVX))
		return 0;
	unsigned state = xcr0();
	if ((state & YMM_STATE) != YMM_STATE || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !(b & AVX2))
		return 0;
	if ((state & ZMM_STATE) != ZMM_STATE || (b & AVX512) != AVX512 || !(b >> 31))
		return BP_CPU_AVX2;
	return BP_CPU_AVX2 | BP_CPU_AVX512;
}

#else

unsigned bp_cpu_features(void)
{
	return 0;
}

#endif
