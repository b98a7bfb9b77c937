/*
 * kernels.h - the table of vector kernels of one instruction set, and the choice among them.
 *
 * Kernels are written once, in the vocabulary of vec.h, and compiled once per instruction set (BP_ISA). Their
 * pointers and block sizes travel together in this table, reached through struct bp_ctx; there is no global.
 *
 * To add a kernel: (1) a line in kernels.def, KERNEL(name, ret, (args)), with a struct for more than six arguments,
 * declared below and defined in a header of its own; (2) its code, in a file of this folder that includes vec.h, as
 *	ret KERNEL_NAME(name)(args) { ... }
 * every *.c here but kernels.c is compiled once for each instruction set, table.c gathers them, and helpers in them are
 * static, and VEC_INLINE when vectors go in or out; (3) a function check_name in tests/core/test_kernels_*.c (see
 * tests/core/kernel_cases.h): without it the tests do not link. Drivers call it as ctx->k->name(...). Kernels have
 * no threads, no allocation, and no state.
 */
#ifndef BP_KERNELS_H
#define BP_KERNELS_H

#include "backprop.h"

#include <stdint.h>

/* What some of them apply to what they make (act.h): the norms any, others a ReLU. */
enum bp_act { BP_ACT_NONE, BP_ACT_RELU, BP_ACT_RELU6, BP_ACT_HARDSWISH, BP_ACT_SILU, BP_ACTS };

struct bp_igemm;     /* igemm.h */
struct bp_outer;     /* outer.h */
struct bp_spmm;      /* spmm.h */
struct bp_dense;     /* dense.h */
struct bp_patch;     /* patch.h */
struct bp_depthwise; /* depthwise.h */
struct bp_depthwise_backward;
struct bp_grouped; /* grouped.h */
struct bp_grouped_weights;
struct bp_winograd_in; /* winograd.h */
struct bp_winograd_out;
struct bp_winograd_weights;
struct bp_update; /* update.h */
struct bp_grad_sums;
struct bp_cross_entropy; /* cross_entropy.h */
struct bp_dropout;       /* dropout.h */
struct bp_norm;          /* norm.h */
struct bp_norm_rows;     /* norm_rows.h */
struct bp_pool;          /* pool.h */
struct bp_resample;      /* resample.h */
struct bp_function;      /* pointwise.h */
struct bp_prelu_grad;    /* channels.h */

/* The most rows (pixels) and columns (channels; a multiple of vlen) of a register tile of igemm and outer. */
struct bp_gemm_tile {
	int mr, nr;
};
enum { BP_IDOT_COLS = 4 /* columns of one of idot, at most */ };

struct bp_kernels {
	const char *name; /* "baseline", "avx2", "avx512" */
	int vlen;         /* bp_real values in a vector */
	struct bp_gemm_tile tall, wide;
	int idot_rows[BP_IDOT_COLS]; /* the most rows of a tile of idot with 1, 2, ... columns */
#define KERNEL(name, ret, args) ret(*name) args;
#include "kernels.def"
};

/* Instruction sets built into the library, the plainest first. Static. NULL past the end. */
const struct bp_kernels *bp_kernels_at(int i);
/* Whether this processor and operating system can run the i-th. */
bool bp_kernels_runs(int i);
/* The last of those that run and whose bit (1u << i) is set in mask; the first when none is. */
const struct bp_kernels *bp_kernels_choose(unsigned mask);

/* What a driver needs to know about where it runs. Passed down, never stored by kernels. */
struct bp_ctx {
	const struct bp_kernels *k;
	int threads; /* for num_threads(); results never depend on it */
};

#endif
