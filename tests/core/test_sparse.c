/*
 * test_sparse.c - Linear layers and 1x1 convolutions of which rows, inputs or gradients are mostly zeros, on every
 * instruction set, against the plain C oracle. Built in single and in double precision. Random shapes of all
 * convolutions are test_conv.c's.
 */
#include "base/mover.h"
#include "base/panels.h"
#include "conv/conv.h"

#include "guard.h"
#include "kernel_cases.h"
#include "runner.h"

#include <stdlib.h>
#include <string.h>

/* A layer, with results of the oracle and of the drivers. */
struct trial {
	struct bp_conv_shape s;
	int n;
	size_t x_size, y_size, w_size;
	bp_real *x, *w, *dy;           /* inputs */
	bp_real *y, *dx, *dw, *db;     /* of the drivers */
	bp_real *y2, *dx2, *dw2, *db2; /* the oracle's, or others of the drivers */
	const struct bp_mover *mover;  /* of w by dw, or NULL */
};

/* Of one pixel, a Linear layer in panels. */
static struct bp_conv_shape pointwise(int h, int w, int c, int oc)
{
	struct bp_conv_shape s = bp_conv_pointwise(h, w, c, oc);
	s.panels = h * w == 1;
	return s;
}

/* How much of a matrix is zeros, percent: of each row, or of each column. */
enum zeros { DENSE, BY_ROWS, BY_COLUMNS, ALIKE, ALL, ZEROS };

static bp_real *drawn(struct draw *d, size_t rows, size_t cols, enum zeros zeros)
{
	bp_real *p = guard_new(rows * cols);
	int of_column[2000];
	for (size_t j = 0; j < cols; j++)
		of_column[j] = draw_int(d, 0, 100);
	for (size_t i = 0; i < rows; i++) {
		const int of_row = draw_int(d, 0, 100);
		for (size_t j = 0; j < cols; j++) {
			const int percent[ZEROS] = {0, of_row, of_column[j], 50, 100};
			p[i * cols + j] = draw_int(d, 1, 100) <= percent[zeros] ? 0 : draw_real(d);
		}
	}
	guard_freeze(p, rows * cols);
	return p;
}

static void trial_start(struct trial *t, struct draw *d, enum zeros x, enum zeros dy)
{
	const size_t n = (size_t)t->n * t->s.h * t->s.w, c = (size_t)t->s.c, oc = (size_t)t->s.oc;
	t->x_size = n * c;
	t->y_size = n * oc;
	t->w_size = c * oc;
	t->x = drawn(d, n, c, x);
	t->dy = drawn(d, n, oc, dy);
	t->w = drawn(d, oc, c, DENSE);
	bp_real **const results[] = {&t->y, &t->y2, &t->dx, &t->dx2, &t->dw, &t->dw2, &t->db, &t->db2};
	const size_t sizes[] = {t->y_size, t->x_size, t->w_size, oc};
	for (int i = 0; i < 8; i++)
		*results[i] = guard_new(sizes[i / 2]);
}

static void trial_end(struct trial *t)
{
	bp_real *const all[][4] = {{t->y, t->y2, t->dy}, {t->x, t->dx, t->dx2}, {t->w, t->dw, t->dw2}, {t->db, t->db2}};
	const size_t sizes[] = {t->y_size, t->x_size, t->w_size, (size_t)t->s.oc};
	for (int i = 0; i < 4; i++)
		for (int j = 0; all[i][j]; j++)
			guard_free(all[i][j], sizes[i]);
}

/* The three passes of a plan for batches of n, on samples [at, at + count), to y, dx, dw and db. */
static void trial_run(struct trial *t, const struct bp_kernels *k, int threads, int at, int count)
{
	const struct bp_ctx ctx = {k, threads};
	struct bp_conv *cv = bp_conv_new(&t->s, k, t->n);
	ck_assert_ptr_nonnull(cv);
	const size_t ws_size = (bp_conv_workspace(cv, threads) + 63) / 64 * 64 / sizeof(bp_real);
	bp_real *ws = guard_new(ws_size);
	const size_t row = (size_t)at * t->s.h * t->s.w;
	const struct bp_conv_call call = {.n = count,
		.x = t->x + row * t->s.c,
		.w = t->w,
		.act = BP_ACT_RELU,
		.y = t->y + row * t->s.oc,
		.dy = t->dy + row * t->s.oc,
		.dx = t->dx + row * t->s.c,
		.dw = t->dw,
		.db = t->db,
		.mover = t->mover};
	bp_conv_forward_call(cv, &ctx, &call, ws);
	bp_conv_backward_call(cv, &ctx, &call, ws);
	guard_free(ws, ws_size);
	bp_conv_free(cv);
}

static void swap_results(struct trial *t)
{
	bp_real *const y = t->y, *const dx = t->dx, *const dw = t->dw, *const db = t->db;
	t->y = t->y2, t->dx = t->dx2, t->dw = t->dw2, t->db = t->db2;
	t->y2 = y, t->dx2 = dx, t->dw2 = dw, t->db2 = db;
}

static void check_all_near(
	const struct bp_kernels *k, const char *what, const bp_real *got, const bp_real *want, size_t n, size_t terms)
{
	for (size_t i = 0; i < n; i++)
		check_near(k, what, i, got[i], want[i], sizeof(bp_real) == 8 ? 1e-12 : 4 * rounding(terms));
}

static void check_same(const struct bp_kernels *k, const char *what, const bp_real *got, const bp_real *want, size_t n)
{
	if (memcmp(got, want, n * sizeof *got))
		ck_abort_msg("%s: %s has other bits", k->name, what);
}

static void draw_linear(struct trial *t, struct draw *d, int most)
{
	static const int wide[] = {128, 192, 300, 601}, outs[] = {128, 150, 200, 512};
	do
		t->s = pointwise(1, 1, draw_bool(d) ? wide[draw_int(d, 0, 3)] : draw_int(d, 1, 1100),
			draw_bool(d) ? outs[draw_int(d, 0, 3)] : draw_int(d, 65, 700));
	while (!bp_in_panels(t->s.c, t->s.oc) || (int64_t)t->s.c * t->s.oc > 160000);
	t->n = draw_int(d, 1, most);
	trial_start(t, d, draw_int(d, 0, ZEROS - 1), draw_int(d, 0, ZEROS - 1));
}

static void draw_pointwise(struct trial *t, struct draw *d)
{
	t->s = pointwise(draw_int(d, 1, 9), draw_int(d, 2, 9), draw_int(d, 30, 300), draw_int(d, 30, 300));
	t->n = draw_int(d, 1, 12);
	trial_start(t, d, draw_int(d, 0, ZEROS - 1), draw_int(d, 0, ZEROS - 1));
}

/* Every other one is a convolution. */
static void draw_trial(struct trial *t, struct draw *d, int number, int most)
{
	if (number % 2)
		draw_pointwise(t, d);
	else
		draw_linear(t, d, most);
}

enum { TRIALS = 4, LOOPS = 16 };

START_TEST(rows_inputs_and_outputs_of_zeros_agree_with_the_oracle)
{
	struct draw d = {(uint64_t)_i + 1};
	const struct bp_kernels *k;
	for (int i = 0; i < TRIALS; i++) {
		struct trial t = {.n = 0};
		draw_trial(&t, &d, i, i ? 70 : 300);
		const size_t pixels = (size_t)t.n * t.s.h * t.s.w;
		bp_conv_ref_forward(&t.s, t.n, t.x, t.w, NULL, BP_ACT_RELU, t.y2);
		bp_conv_ref_backward_data(&t.s, t.n, t.dy, t.w, false, t.dx2);
		bp_conv_ref_backward_weights(&t.s, t.n, t.x, t.dy, t.dw2, t.db2);
		for (int j = 0; (k = tested_kernels_at(j)); j++) {
			trial_run(&t, k, 1 + i, 0, t.n);
			check_all_near(k, "y", t.y, t.y2, t.y_size, t.s.c);
			check_all_near(k, "dx", t.dx, t.dx2, t.x_size, t.s.oc);
			check_all_near(k, "dw", t.dw, t.dw2, t.w_size, pixels);
			check_all_near(k, "db", t.db, t.db2, t.s.oc, pixels);
		}
		trial_end(&t);
	}
}
END_TEST

START_TEST(any_number_of_threads_gives_the_same_bits)
{
	struct draw d = {(uint64_t)_i + 1};
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	struct trial t = {.n = 0};
	draw_trial(&t, &d, _i, 300);
	trial_run(&t, k, 1, 0, t.n);
	swap_results(&t);
	for (int threads = 2; threads <= 7; threads++) {
		trial_run(&t, k, threads, 0, t.n);
		check_same(k, "y", t.y, t.y2, t.y_size);
		check_same(k, "dx", t.dx, t.dx2, t.x_size);
		check_same(k, "dw", t.dw, t.dw2, t.w_size);
		check_same(k, "db", t.db, t.db2, t.s.oc);
	}
	trial_end(&t);
}
END_TEST

START_TEST(what_a_sample_gives_does_not_depend_on_its_batch)
{
	struct draw d = {(uint64_t)_i + 1};
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	struct trial t = {.n = 0};
	draw_trial(&t, &d, _i, 40);
	trial_run(&t, k, 2, 0, t.n);
	swap_results(&t);
	for (int i = 0; i < t.n; i++)
		trial_run(&t, k, 2, i, 1);
	check_same(k, "y", t.y, t.y2, t.y_size);
	check_same(k, "dx", t.dx, t.dx2, t.x_size);
	trial_end(&t);
}
END_TEST

/* Gradients that a mover was told of, and how often of each. */
struct moved {
	const struct trial *t;
	bp_real *grads;
	int *times;
};

static void take(void *arg, const bp_real *w, size_t n, bp_real *grads)
{
	const struct moved *m = arg;
	const size_t at = (size_t)(w - m->t->w);
	memcpy(m->grads + at, grads, n * sizeof *grads);
	for (size_t i = 0; i < n; i++)
		m->times[at + i]++;
}

static const void *ahead(void *arg, const bp_real *w, size_t n, size_t at)
{
	(void)arg;
	return at < n * sizeof *w ? (const char *)w + at : NULL;
}

START_TEST(a_mover_is_told_of_each_gradient_once)
{
	struct draw d = {(uint64_t)_i + 1};
	const struct bp_kernels *k = bp_kernels_choose(BP_ISA_ALL);
	struct trial t = {.n = 0};
	draw_linear(&t, &d, 300);
	trial_run(&t, k, 2, 0, t.n);
	swap_results(&t);
	const struct moved m = {&t, guard_new(t.w_size), calloc(t.w_size, sizeof *m.times)};
	ck_assert_ptr_nonnull(m.times);
	t.mover = &(struct bp_mover){take, ahead, (void *)&m};
	trial_run(&t, k, 2, 0, t.n);
	check_same(k, "dw", m.grads, t.dw2, t.w_size);
	check_same(k, "db", t.db, t.db2, t.s.oc);
	for (size_t i = 0; i < t.w_size; i++)
		if (m.times[i] != 1)
			ck_abort_msg("weight %zu moved %d times", i, m.times[i]);
	guard_free(m.grads, t.w_size);
	free(m.times);
	trial_end(&t);
}
END_TEST

TEST_SUITE(sparse, 60)
{
	tcase_add_loop_test(tc, rows_inputs_and_outputs_of_zeros_agree_with_the_oracle, 0, LOOPS);
	tcase_add_loop_test(tc, any_number_of_threads_gives_the_same_bits, 0, LOOPS);
	tcase_add_loop_test(tc, what_a_sample_gives_does_not_depend_on_its_batch, 0, LOOPS);
	tcase_add_loop_test(tc, a_mover_is_told_of_each_gradient_once, 0, LOOPS);
}
