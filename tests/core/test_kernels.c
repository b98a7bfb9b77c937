/*
 * test_kernels.c - every kernel of kernels.def on every instruction set, against plain C (kernel_cases.h says how).
 */
#include "kernel_cases.h"

#include "base/cpu.h"
#include "kernels/norm_rows.h"
#include "runner.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const struct bp_kernels bp_wide_kernels;

const struct bp_kernels *tested_kernels_at(int i)
{
	for (int j = 0; bp_kernels_at(j); j++)
		if (bp_kernels_runs(j) && i-- == 0)
			return bp_kernels_at(j);
#ifdef __x86_64__
	if (!(bp_cpu_features() & BP_CPU_AVX2))
		return NULL;
#endif
	return i == 0 ? &bp_wide_kernels : NULL;
}

void check_near(const struct bp_kernels *k, const char *where, size_t i, bp_real got, double want, double tolerance)
{
	bool near = isnan(want) ? isnan(got)
				: (double)got == want || fabs((double)got - want) <= tolerance * (1 + fabs(want));
	if (!near) /* an assertion that holds is written to Check's file too, and there are millions here */
		ck_abort_msg(
			"%s: %s[%zu] is %.9g, not %.9g (within %g)", k->name, where, i, (double)got, want, tolerance);
}

static const struct {
	const char *name;
	void (*check)(const struct bp_kernels *k, struct draw *d);
} cases[] = {
#define KERNEL(name, ret, args) {#name, check_##name},
#include "kernels/kernels.def"
};

enum { CASES = sizeof cases / sizeof cases[0], ROUNDS = 40 };

START_TEST(every_kernel_agrees_with_plain_c_on_every_instruction_set)
{
	const struct bp_kernels *k;
	for (int i = 0; (k = tested_kernels_at(i)); i++) {
		struct draw d = {(uint64_t)_i};
		for (int round = 0; round < ROUNDS; round++)
			cases[_i].check(k, &d);
	}
}
END_TEST

/* A table of kernels that do nothing. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#define KERNEL(name, ret, args)                                                                                        \
	static ret idle_##name args                                                                                    \
	{                                                                                                              \
		return (ret)0;                                                                                         \
	}
#include "kernels/kernels.def"
#pragma GCC diagnostic pop
static const struct bp_kernels idle = {
#define KERNEL(name, ret, args) .name = idle_##name,
#include "kernels/kernels.def"
};

/* Copies the i-th pointer of the idle table into k. */
static void make_idle(struct bp_kernels *k, int i)
{
#define KERNEL(name, ret, args)                                                                                        \
	if (i-- == 0)                                                                                                  \
		k->name = idle.name;
#include "kernels/kernels.def"
}

/* Whether a case notices; in a process of its own, for it fails there, without a word to Check. */
static bool is_found_out(int i, const struct bp_kernels *k)
{
	int status = 0;
	pid_t child = fork();
	ck_assert_int_ge(child, 0);
	if (child == 0) {
		struct draw d = {(uint64_t)i};
		close_range(STDERR_FILENO, ~0U, 0);
		for (int round = 0; round < ROUNDS; round++)
			cases[i].check(k, &d);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	return status != 0;
}

/* A case that would pass whatever the kernel of an instruction set does compares nothing. */
START_TEST(a_kernel_that_does_nothing_is_found_out_on_every_instruction_set)
{
	const struct bp_kernels *k;
	for (int i = 0; (k = tested_kernels_at(i)); i++) {
		struct bp_kernels broken = *k;
		make_idle(&broken, _i);
		ck_assert_msg(is_found_out(_i, &broken), "%s: the case of %s sees nothing", k->name, cases[_i].name);
		ck_assert_msg(i > 0 || !is_found_out(_i, k), "%s is at fault as it is", cases[_i].name);
	}
}
END_TEST

/* Halves of the last place of a mean are as large as the deviations from it. */
START_TEST(a_mean_that_has_to_be_rounded_leaves_the_variance_right)
{
	enum { ROWS = 3, N = 16 };
	const bp_real base = (bp_real)(1 / (sizeof(bp_real) == sizeof(float) ? FLT_EPSILON : DBL_EPSILON));
	const struct bp_kernels *k;
	for (int i = 0; (k = tested_kernels_at(i)); i++) {
		bp_real x[ROWS * N], y[ROWS * N], mean[ROWS], invstd[ROWS];
		const struct bp_norm_rows p = {.rows = ROWS, .n = N, .mean = mean, .invstd = invstd};
		for (int columns = 0; columns < 2; columns++) {
			for (int at = 0; at < ROWS * N; at++)
				x[at] = base + (bp_real)((columns ? at / ROWS : at) & 1);
			(columns ? k->norm_columns : k->norm_rows)(&p, x, y);
			for (int r = 0; r < ROWS; r++)
				check_near(k, columns ? "invstd of a column" : "invstd of a row", (size_t)r, invstd[r],
					2, 1e-5);
		}
	}
}
END_TEST

START_TEST(the_widest_allowed_instruction_set_that_runs_is_chosen)
{
	int last = 0;
	for (int i = 0; bp_kernels_at(i); i++)
		if (bp_kernels_runs(i))
			last = i;
	ck_assert_ptr_eq(bp_kernels_choose(BP_ISA_ALL), bp_kernels_at(last));
	ck_assert_ptr_eq(bp_kernels_choose(1), bp_kernels_at(0));
	ck_assert_ptr_eq(bp_kernels_choose(0), bp_kernels_at(0));
	ck_assert_str_eq(bp_kernels_at(0)->name, "baseline");
	ck_assert_ptr_null(bp_kernels_at(-1));
	ck_assert(!bp_kernels_runs(100));
	for (int i = 0; bp_kernels_at(i); i++)
		if (bp_kernels_runs(i))
			ck_assert_ptr_eq(bp_kernels_choose(1u << i), bp_kernels_at(i));
}
END_TEST

TEST_SUITE(kernels, 60)
{
	tcase_add_loop_test(tc, every_kernel_agrees_with_plain_c_on_every_instruction_set, 0, CASES);
	tcase_add_loop_test(tc, a_kernel_that_does_nothing_is_found_out_on_every_instruction_set, 0, CASES);
	tcase_add_test(tc, a_mean_that_has_to_be_rounded_leaves_the_variance_right);
	tcase_add_test(tc, the_widest_allowed_instruction_set_that_runs_is_chosen);
}
