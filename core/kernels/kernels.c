/*
 * kernels.c - the instruction sets built into the library, and the choice among them. Called when a trainer or a
 * predictor is made; any thread. The only file of this room that is not compiled once for each instruction set:
 * the build says with BP_HAVE_<isa> which there are.
 */
#include "kernels/kernels.h"

#include "base/cpu.h"

#ifdef BP_HAVE_baseline
extern const struct bp_kernels bp_baseline_kernels;
#endif
#ifdef BP_HAVE_avx2
extern const struct bp_kernels bp_avx2_kernels;
#endif
#ifdef BP_HAVE_avx512
extern const struct bp_kernels bp_avx512_kernels;
#endif

static const struct {
	const struct bp_kernels *kernels;
	unsigned needs; /* of enum bp_cpu */
} built[] = {
#ifdef BP_HAVE_baseline
	{&bp_baseline_kernels, 0},
#endif
#ifdef BP_HAVE_avx2
	{&bp_avx2_kernels, BP_CPU_AVX2},
#endif
#ifdef BP_HAVE_avx512
	{&bp_avx512_kernels, BP_CPU_AVX2 | BP_CPU_AVX512},
#endif
};

enum { BUILT = sizeof built / sizeof built[0] };

const struct bp_kernels *bp_kernels_at(int i)
{
	return i >= 0 && i < BUILT ? built[i].kernels : NULL;
}

bool bp_kernels_runs(int i)
{
	return i >= 0 && i < BUILT && (bp_cpu_features() & built[i].needs) == built[i].needs;
}

const char *bp_isa_name(unsigned mask)
{
	return bp_kernels_choose(mask)->name;
}

const struct bp_kernels *bp_kernels_choose(unsigned mask)
{
	for (int i = BUILT - 1; i > 0; i--)
		if ((mask & (1u << i)) && bp_kernels_runs(i))
			return built[i].kernels;
	return built[0].kernels;
}
