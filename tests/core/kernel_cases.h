/*
 * kernel_cases.h - how kernels get their test cases.
 *
 * Each line KERNEL(name, ...) of kernels.def needs one function, declared here, defined as
 *	void check_name(const struct bp_kernels *k, struct draw *d) { ... }
 * in any file tests/core/test_kernels_*.c (such a file needs no TEST_SUITE). It is called many times for every
 * instruction set this machine can run, and for "wide", the widest kernels' code on narrower registers. Draw random
 * sizes from d (with tails: not multiples of k->vlen), put inputs and outputs into guard_new blocks, freeze the inputs,
 * call k->name, and compare with a plain C loop written in the test (by check_near: Check writes a file at every
 *ck_assert, which is slow for each element). A kernel without a case does not link.
 */
#ifndef TESTS_KERNEL_CASES_H
#define TESTS_KERNEL_CASES_H

#include "draw.h"
#include "guard.h"
#include "kernels/kernels.h"

#define KERNEL(name, ret, args) void check_##name(const struct bp_kernels *k, struct draw *d);
#include "kernels/kernels.def"

/* Instruction sets to test: those that run here, then "wide"; NULL past the end. */
const struct bp_kernels *tested_kernels_at(int i);

/* Fails unless |got - want| <= tolerance * (1 + |want|); NaN equals NaN alone. where names the place for a person. */
void check_near(const struct bp_kernels *k, const char *where, size_t i, bp_real got, double want, double tolerance);

/* Rounding of a sum of about this many products of numbers in [-1, 1), with room. */
static inline double rounding(size_t terms)
{
	return (sizeof(bp_real) == 8 ? 1e-15 : 5e-7) * (double)(4 + terms / 16);
}

/* What an activation makes of v; its slope there; whether rounding decides that. */
double act_of(enum bp_act act, double v);
double act_slope(enum bp_act act, double v);
bool act_unsure(enum bp_act act, double v);

#endif
