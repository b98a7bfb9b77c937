/* fpu.c - see fpu.h. Called by the trainer and the predictor, outside parallel regions. */
#include "base/fpu.h"

#if defined __x86_64__
enum { FLUSH = 0x8040 }; /* MXCSR: flush-to-zero, denormals-are-zero */
static uint64_t mode_get(void)
{
	return __builtin_ia32_stmxcsr();
}
static void mode_set(uint64_t mode)
{
	__builtin_ia32_ldmxcsr((unsigned)mode);
}
#elif defined __aarch64__
enum { FLUSH = 1 << 24 }; /* FPCR.FZ: operands and results */
static uint64_t mode_get(void)
{
	uint64_t mode;
	__asm__ volatile("mrs %0, fpcr" : "=r"(mode));
	return mode;
}
static void mode_set(uint64_t mode)
{
	__asm__ volatile("msr fpcr, %0" : : "r"(mode));
}
#else
enum { FLUSH = 0 };
static uint64_t mode_get(void)
{
	return 0;
}
static void mode_set(uint64_t mode)
{
	(void)mode;
}
#endif

uint64_t bp_fpu_enter(int threads)
{
	uint64_t before = mode_get();
	(void)threads; /* of a build without OpenMP */
	mode_set(before | FLUSH);
	if (threads == 1)
		return before;
#pragma omp parallel num_threads(threads)
	mode_set(mode_get() | FLUSH);
	return before;
}

void bp_fpu_leave(uint64_t mode)
{
	mode_set(mode);
}
