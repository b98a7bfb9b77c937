/*
 * bench_peak.c - the machine's single-precision FMA peak, as a yardstick for `make bench`.
 *
 *   build/bench_peak THREADS [avx2]   prints "THREADS threads: X GFLOP/s", the best of several tenths of a second;
 *                                     avx2: of 32-byte vectors, also where the processor has wider ones
 *
 * Twelve independent chains of multiply-adds on the processor's widest vectors keep its FMA units busy; built with
 * -march=native.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef _OPENMP
#include <omp.h>
#endif

enum { CHAINS = 12, INNER = 4000000, REPEATS = 7, MAX_THREADS = 256 };

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#define DEFINE_CHAINS(name, bytes)                                                                                     \
	typedef float name##_vec __attribute__((vector_size(bytes)));                                                  \
	static float name(void)                                                                                        \
	{                                                                                                              \
		name##_vec acc[CHAINS], factor = {0}, term = {0};                                                      \
		for (int i = 0; i < CHAINS; i++)                                                                       \
			acc[i] = factor + (float)i;                                                                    \
		factor += 0.999999f;                                                                                   \
		term += 1e-6f;                                                                                         \
		__asm__ volatile("" : "+x"(factor), "+x"(term)); /* or the compiler would know the sums */             \
		for (int k = 0; k < INNER; k++)                                                                        \
			_Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) acc[i] = acc[i] * factor + term;     \
		for (int i = 1; i < CHAINS; i++)                                                                       \
			acc[0] += acc[i];                                                                              \
		return acc[0][0];                                                                                      \
	}
DEFINE_CHAINS(chains_32, 32)
#ifdef __AVX512F__
DEFINE_CHAINS(chains_64, 64)
#endif

int main(int argc, char **argv)
{
	long threads = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
	if (threads < 1 || threads > MAX_THREADS) {
		fprintf(stderr, "usage: bench_peak THREADS [avx2]\n");
		return 2;
	}
	float (*chains_run)(void) = chains_32;
	int lanes = 8;
#ifdef __AVX512F__
	if (argc < 3 || strcmp(argv[2], "avx2") != 0) {
		chains_run = chains_64;
		lanes = 16;
	}
#endif
	static volatile float sink[MAX_THREADS];
	double best = 0;
	for (int r = 0; r < REPEATS; r++) {
		double t = now();
#pragma omp parallel for num_threads((int)threads) schedule(static, 1)
		for (long i = 0; i < threads; i++)
			sink[i] = chains_run();
		double rate = 2.0 * lanes * CHAINS * INNER * (double)threads / (now() - t) / 1e9;
		best = rate > best ? rate : best;
	}
	printf("%ld threads: %.1f GFLOP/s%s\n", threads, best, sink[0] == 0 ? " (nothing was computed)" : "");
	return 0;
}
