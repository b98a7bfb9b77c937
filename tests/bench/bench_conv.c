/*
 * bench_conv.c - GFLOP/s of the convolution drivers.
 *
 * bench_conv [threads [auto|direct|winograd] [avx2|baseline] [n h c oc k stride groups [dilation]]]: without a shape,
 * those of common nets (of which winograd skips what it cannot); h, k, stride and dilation may be pairs, as 1x300.
 * Prints, for forward, backward-data and backward-weights, nominal operations (2 a multiply-add, padding included) over
 * the median and the best time, each beside its share of the peak of multiply-adds measured in registers at the same
 * time.
 */
#include "base/mem.h"
#include "base/panels.h"
#include "conv/conv.h"
#include "kernels/igemm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { REPEATS = 9 };

struct bench {
	struct bp_conv_shape s;
	int n;
};

static const struct bench list[] = {
	{{32, 32, 3, 32, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{32, 32, 64, 32, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{16, 16, 128, 16, 16, 128, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{8, 8, 256, 8, 8, 256, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{32, 32, 16, 32, 32, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{16, 16, 32, 16, 16, 32, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{8, 8, 64, 8, 8, 64, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{32, 32, 16, 16, 16, 32, 3, 3, 2, 2, 1, 1, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{28, 28, 1, 26, 26, 32, 3, 3, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 64},
	{{26, 26, 32, 24, 24, 64, 3, 3, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 64},
	{{1, 1, 9216, 1, 1, 128, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 64},
	{{1, 1, 784, 1, 1, 512, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, true}, 128},
	{{1, 1, 512, 1, 1, 10, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{16, 16, 64, 16, 16, 128, 1, 1, 1, 1, 0, 0, 1, 1, 1, BP_CONV_AUTO, false}, 128},
	{{32, 32, 64, 32, 32, 64, 3, 3, 1, 1, 1, 1, 1, 1, 64, BP_CONV_AUTO, false}, 128},
	{{224, 224, 3, 112, 112, 64, 7, 7, 2, 2, 3, 3, 1, 1, 1, BP_CONV_AUTO, false}, 8},
};

/* With one thread, its own time: what else runs on the machine counts less. */
static double now(bool alone)
{
	struct timespec t;
	clock_gettime(alone ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

static bp_real *filled(size_t n)
{
	bp_real *p = bp_mem_new(n * sizeof *p);
	for (size_t i = 0; p && i < n; i++)
		p[i] = (bp_real)((double)(i * 2654435761u % 1000) / 1000 - 0.5);
	return p;
}

/* GFLOP/s of one tile whose operands all lie in L1: what the drivers are held against. One thread. */
static double tile_peak(const struct bp_kernels *k)
{
	enum { K = 64, TIMES = 20000 };
	const struct bp_gemm_tile tile = k->wide;
	bp_real *a = filled(K), *b = filled((size_t)K * tile.nr), *c = filled((size_t)tile.mr * tile.nr), *rows_c[16];
	const bp_real *rows[16];
	for (int i = 0; i < tile.mr; i++) {
		rows[i] = a;
		rows_c[i] = c + (size_t)i * tile.nr;
	}
	struct bp_igemm p = {
		.rows = tile.mr, .cols = tile.nr, .taps = 1, .kc = K, .a = rows, .b = b, .ldb = tile.nr, .c = rows_c};
	double best = 1e9;
	for (int r = 0; r < REPEATS; r++) {
		double t = now(true);
		for (int i = 0; i < TIMES; i++)
			k->igemm(&p);
		t = now(true) - t;
		best = t < best ? t : best;
	}
	bp_mem_free(a);
	bp_mem_free(b);
	bp_mem_free(c);
	return 2.0 * K * TIMES * tile.mr * tile.nr / best * 1e-9;
}

struct operands {
	bp_real *x, *w, *bias, *y, *dw, *db;
	void *ws;
};

static void pass(int which, const struct bp_conv *cv, const struct bp_ctx *ctx, int n, const struct operands *o)
{
	if (which == 0)
		bp_conv_forward(cv, ctx, n, o->x, o->w, o->bias, BP_ACT_RELU, o->y, o->ws);
	else if (which == 1)
		bp_conv_backward_data(cv, ctx, n, o->y, o->w, false, o->x, o->ws);
	else
		bp_conv_backward_weights(cv, ctx, n, o->x, o->y, o->dw, o->db, o->ws);
}

static bool run(const struct bench *b, const struct bp_ctx *ctx, double peak)
{
	const struct bp_conv_shape *s = &b->s;
	const size_t x = (size_t)b->n * s->h * s->w * s->c, y = (size_t)b->n * s->oh * s->ow * s->oc;
	const size_t w = (size_t)s->kh * s->kw * (s->c / s->groups) * s->oc;
	const bool alone = ctx->threads == 1;
	struct bp_conv *cv = bp_conv_new(s, ctx->k, b->n);
	if (!cv)
		return false;
	struct operands o = {filled(x), filled(w), filled(s->oc), filled(y), filled(w), filled(s->oc),
		bp_mem_new(bp_conv_workspace(cv, ctx->threads))};
	if (!o.x || !o.w || !o.bias || !o.y || !o.dw || !o.db || !o.ws)
		return false;
	printf("%4d x %3dx%-3d %4d -> %-4d %dx%d s%d g%-3d", b->n, s->h, s->w, s->c, s->oc, s->kh, s->kw, s->sh,
		s->groups);
	for (int which = 0; which < 3; which++) {
		double times[REPEATS], flops = 2.0 * (double)y / s->oc * (double)w;
		pass(which, cv, ctx, b->n, &o);
		int r = 0;
		for (double start = now(alone); r < REPEATS && (r < 3 || now(alone) - start < 1.5); r++) {
			double t = now(alone);
			pass(which, cv, ctx, b->n, &o);
			times[r] = now(alone) - t;
		}
		qsort(times, (size_t)r, sizeof *times, compare);
		printf("  %6.1f %6.1f %3.0f%%", flops / times[r / 2] * 1e-9, flops / times[0] * 1e-9,
			flops / times[0] * 1e-7 / peak);
	}
	printf("\n");
	fflush(stdout);
	bp_real *all[] = {o.x, o.w, o.bias, o.y, o.dw, o.db, o.ws};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++)
		bp_mem_free(all[i]);
	bp_conv_free(cv);
	return true;
}

/* "7" or, rows before columns, "1x7". */
static void read_pair(const char *word, int *ret_y, int *ret_x)
{
	char *end;
	*ret_y = (int)strtol(word, &end, 10);
	*ret_x = *end == 'x' ? atoi(end + 1) : *ret_y;
}

/* The shape of n h c oc k stride groups dilation (or NULL), padded so that without a stride the output is as large as
 * the input. */
static struct bench read_shape(char **v)
{
	struct bench b = {.n = atoi(v[0])};
	struct bp_conv_shape *s = &b.s;
	read_pair(v[1], &s->h, &s->w);
	s->c = atoi(v[2]);
	s->oc = atoi(v[3]);
	read_pair(v[4], &s->kh, &s->kw);
	read_pair(v[5], &s->sh, &s->sw);
	s->groups = atoi(v[6]);
	read_pair(v[7] ? v[7] : "1", &s->dh, &s->dw);
	s->pt = s->kh / 2 * s->dh;
	s->pl = s->kw / 2 * s->dw;
	s->oh = (s->h + 2 * s->pt - (s->kh - 1) * s->dh - 1) / s->sh + 1;
	s->ow = (s->w + 2 * s->pl - (s->kw - 1) * s->dw - 1) / s->sw + 1;
	s->panels = s->h * s->w * s->kh * s->kw == 1 && bp_in_panels(s->c, s->oc); /* as Linear's are */
	return b;
}

int main(int argc, char **argv)
{
	static const char *const words[] = {"auto", "direct", "winograd"}, *const isas[] = {"baseline", "avx2"};
	enum bp_conv_algorithm algorithm = BP_CONV_AUTO;
	unsigned isa_mask = BP_ISA_ALL;
	int threads = 1;
	if (argc > 1)
		threads = atoi(argv[1]), argv++, argc--;
	for (int i = BP_CONV_AUTO; i <= BP_CONV_WINOGRAD && argc > 1; i++)
		if (strcmp(argv[1], words[i]) == 0) {
			algorithm = (enum bp_conv_algorithm)i;
			argv++, argc--;
		}
	for (unsigned i = 0; i < 2 && argc > 1; i++)
		if (strcmp(argv[1], isas[i]) == 0) {
			isa_mask = (2u << i) - 1;
			argv++, argc--;
		}
	if (threads < 1 || (argc > 1 && argc != 8 && argc != 9)) {
		fprintf(stderr, "usage: bench_conv [threads [auto|direct|winograd] [avx2|baseline] "
				"[n h c oc k stride groups [dilation]]]\n");
		return EXIT_FAILURE;
	}
	const struct bp_ctx ctx = {bp_kernels_choose(isa_mask), threads};
	double peak = tile_peak(ctx.k) * ctx.threads;
	printf("%s, %d threads, %s, tile in L1: %.1f GFLOP/s\n%-36s %18s %20s %22s\n", ctx.k->name, ctx.threads,
		words[algorithm], peak, "", "forward", "backward data", "backward weights");
	if (argc > 1) {
		struct bench b = read_shape(argv + 1);
		b.s.algorithm = algorithm;
		return run(&b, &ctx, peak) ? EXIT_SUCCESS : EXIT_FAILURE;
	}
	for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
		struct bench b = list[i];
		b.s.algorithm = algorithm;
		if (algorithm == BP_CONV_WINOGRAD && !bp_conv_can_winograd(&b.s))
			continue;
		if (!run(&b, &ctx, peak))
			return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
