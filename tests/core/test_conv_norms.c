/*
 * test_conv_norms.c - the statistics that convolutions give to the batch norms beside them, against sums in double over
 * the maps that they wrote, on every instruction set, for batches that make one part and many. Whole norms done by
 * convolutions are in test_gradients.c and test_net.c.
 */
#include "conv/conv.h"
#include "kernels/norm.h"

#include "guard.h"
#include "kernel_cases.h"
#include "runner.h"

#include <math.h>

/* Maps of whole tiles and not, lines of one tile and of many, kernels of one piece and of several, few blocks of many
 * channels, whose tasks share a block; and ways that do all of a norm. */
static const struct {
	int h, w, c, oc, k, groups;
	enum bp_conv_algorithm algorithm;
	int n;
	int stride;
} layers[] = {
	{4, 4, 16, 20, 3, 1, BP_CONV_WINOGRAD, 5, 1}, {20, 22, 16, 16, 3, 1, BP_CONV_WINOGRAD, 6, 1},
	{13, 9, 17, 33, 3, 1, BP_CONV_WINOGRAD, 3, 1}, {8, 8, 100, 112, 3, 1, BP_CONV_WINOGRAD, 2, 1},
	{3, 300, 16, 16, 3, 1, BP_CONV_WINOGRAD, 2, 1}, {12, 10, 24, 16, 5, 1, BP_CONV_WINOGRAD, 6, 1},
	{11, 14, 16, 24, 7, 1, BP_CONV_WINOGRAD, 4, 1}, {14, 14, 96, 96, 3, 3, BP_CONV_WINOGRAD, 2, 1},
	{9, 9, 20, 20, 3, 20, BP_CONV_AUTO, 3, 1}, {9, 9, 20, 20, 3, 10, BP_CONV_AUTO, 3, 1},
	{12, 10, 36, 36, 3, 9, BP_CONV_AUTO, 4, 1}, {9, 9, 20, 30, 1, 1, BP_CONV_AUTO, 5, 1},
	{29, 27, 3, 20, 7, 1, BP_CONV_AUTO, 4, 2}, /* a first layer: the statistics alone */
};
enum { LAYERS = sizeof layers / sizeof layers[0] };

struct rig {
	struct bp_conv_shape s;
	int n;
	size_t x_size, y_size, w_size;
	bp_real *x, *w, *dy, *raw, *scale, *shift, *mean; /* raw: what the norm before made x of */
	bp_real *y, *dx, *dw;
};

static bp_real *drawn(struct draw *d, size_t n)
{
	bp_real *p = guard_new(n);
	draw_reals(d, p, n);
	return p;
}

static void rig_init(struct rig *r, int at, struct draw *d)
{
	const int h = layers[at].h, w = layers[at].w, k = layers[at].k, stride = layers[at].stride;
	const int oh = (h + k / 2 * 2 - k) / stride + 1, ow = (w + k / 2 * 2 - k) / stride + 1;
	*r = (struct rig){.n = layers[at].n};
	r->s = (struct bp_conv_shape){h, w, layers[at].c, oh, ow, layers[at].oc, k, k, stride, stride, k / 2, k / 2, 1,
		1, layers[at].groups, layers[at].algorithm, false};
	r->x_size = (size_t)r->n * h * w * r->s.c;
	r->y_size = (size_t)r->n * oh * ow * r->s.oc;
	r->w_size = (size_t)k * k * r->s.c / r->s.groups * r->s.oc;
	r->x = drawn(d, r->x_size);
	r->raw = drawn(d, r->x_size);
	r->dy = drawn(d, r->y_size);
	r->w = drawn(d, r->w_size);
	r->scale = drawn(d, r->s.c);
	r->shift = drawn(d, r->s.c);
	r->mean = drawn(d, r->s.c);
	r->y = guard_new(r->y_size);
	r->dx = guard_new(r->x_size);
	r->dw = guard_new(r->w_size);
}

static void rig_done(struct rig *r)
{
	guard_free(r->x, r->x_size);
	guard_free(r->raw, r->x_size);
	guard_free(r->dy, r->y_size);
	guard_free(r->w, r->w_size);
	guard_free(r->scale, r->s.c);
	guard_free(r->shift, r->s.c);
	guard_free(r->mean, r->s.c);
	guard_free(r->y, r->y_size);
	guard_free(r->dx, r->x_size);
	guard_free(r->dw, r->w_size);
}

/* Of column j of y, mean and squared deviations, as a norm would put the parts together. */
static void check_statistics(const struct rig *r, const struct bp_conv *cv, const struct bp_kernels *k, int n,
	const bp_real *parts, size_t j)
{
	const size_t oc = r->s.oc, rows = (size_t)n * r->s.oh * r->s.ow, count = bp_conv_parts(cv, n, false);
	double sum = 0, squares = 0, got_sum = 0, got_squares = 0;
	size_t seen = 0;
	for (size_t i = 0; i < rows; i++)
		sum += r->y[i * oc + j];
	for (size_t i = 0; i < rows; i++)
		squares += pow(r->y[i * oc + j] - sum / (double)rows, 2);
	for (size_t p = 0; p < count; p++) {
		const bp_real *part = parts + p * BP_NORM_STATS * oc + j;
		const double middle = part[BP_NORM_MIDDLE * oc], off = middle - sum / (double)rows;
		const double own = (double)bp_conv_part_rows(cv, n, p);
		seen += bp_conv_part_rows(cv, n, p);
		got_sum += own * middle + part[BP_NORM_SUM * oc];
		got_squares += part[BP_NORM_SQUARES * oc] + off * (2 * part[BP_NORM_SUM * oc] + own * off);
	}
	ck_assert_uint_eq(seen, rows);
	const double size = sqrt(squares * (double)rows) + fabs(sum);
	check_near(k, "sum", j, (bp_real)got_sum, sum, rounding(rows) * size);
	check_near(k, "squares", j, (bp_real)got_squares, squares, rounding(rows) * (squares + 1));
}

/* Of column j of dx, the sums that the norm before needs, of which those that rounding decides are not to be had. */
static void check_sums(const struct rig *r, const struct bp_kernels *k, int n, size_t count, const bp_real *parts,
	const bp_real *raw, enum bp_act act, size_t j)
{
	const size_t c = r->s.c;
	double sum = 0, dot = 0, size = 1, unsure = 0, got_sum = 0, got_dot = 0;
	for (size_t i = 0; i < (size_t)n * r->s.h * r->s.w; i++) {
		const double d = (double)raw[i * c + j] - r->mean[j], v = d * r->scale[j] + r->shift[j];
		const double g = r->dx[i * c + j];
		unsure += act_unsure(act, v) ? 4 * fabs(g) : 0;
		sum += act_slope(act, v) * g;
		dot += act_slope(act, v) * g * d;
		size += fabs(g) * 2;
	}
	for (size_t p = 0; p < count; p++) {
		got_sum += parts[(p * BP_NORM_STATS) * c + j];
		got_dot += parts[(p * BP_NORM_STATS + 1) * c + j];
	}
	check_near(k, "sum of g", j, (bp_real)got_sum, sum, unsure + rounding(64) * size);
	check_near(k, "sum of g * d", j, (bp_real)got_dot, dot, unsure + rounding(64) * size);
}

/* Whether groups are as wide as a vector, where the kernels of narrow ones do not serve: that way does no norms. */
static bool groups_fill_vectors(const struct bp_conv_shape *s, const struct bp_kernels *k)
{
	return s->algorithm == BP_CONV_AUTO && s->groups > 1 && s->c > s->groups && s->c / s->groups >= k->vlen;
}

static void check_backward(const struct rig *r, const struct bp_conv *cv, const struct bp_ctx *ctx, int n,
	enum bp_act act, bp_real *parts, void *ws)
{
	const bool through = bp_conv_norms(cv) & BP_CONV_THROUGH;
	const size_t count = bp_conv_parts(cv, n, true);
	const struct bp_norm norm = {.c = r->s.c, .act = act, .scale = r->scale, .shift = r->shift, .mean = r->mean};
	const struct bp_conv_call call = {.n = n,
		.x = r->x,
		.w = r->w,
		.dy = r->dy,
		.dx = r->dx,
		.dw = r->dw,
		.parts = parts,
		.before = &norm,
		.before_x = through ? NULL : r->raw};
	ck_assert_uint_le(count, bp_conv_max_parts(cv));
	bp_conv_backward_call(cv, ctx, &call, ws);
	for (size_t j = 0; j < (size_t)r->s.c; j++)
		check_sums(r, ctx->k, n, count, parts, through ? r->x : r->raw, act, j);
}

/* With a stride, backward gives none. */
static void check_layer(struct rig *r, const struct bp_kernels *k, int threads, int n, enum bp_act act)
{
	const struct bp_ctx ctx = {k, threads};
	struct bp_conv *cv = bp_conv_new(&r->s, k, r->n);
	ck_assert_ptr_nonnull(cv);
	const unsigned does = bp_conv_norms(cv) & (BP_CONV_STATS | BP_CONV_SUMS);
	if (groups_fill_vectors(&r->s, k)) {
		ck_assert_uint_eq(does, 0);
		bp_conv_free(cv);
		return;
	}
	ck_assert_uint_eq(does, r->s.sh == 1 ? BP_CONV_STATS | BP_CONV_SUMS : BP_CONV_STATS);
	const size_t ws_size = (bp_conv_workspace(cv, threads) + 63) / 64 * 64 / sizeof(bp_real);
	const size_t most = bp_conv_max_parts(cv), wide = r->s.c > r->s.oc ? r->s.c : r->s.oc;
	const size_t parts_size = most * BP_NORM_STATS * wide;
	bp_real *ws = guard_new(ws_size), *parts = guard_new(parts_size);
	ck_assert_uint_le(bp_conv_parts(cv, n, false), most);
	const struct bp_conv_call call = {.n = n, .x = r->x, .w = r->w, .y = r->y, .parts = parts};
	bp_conv_forward_call(cv, &ctx, &call, ws);
	for (size_t j = 0; j < (size_t)r->s.oc; j++)
		check_statistics(r, cv, k, n, parts, j);
	if (does & BP_CONV_SUMS)
		check_backward(r, cv, &ctx, n, act, parts, ws);
	guard_free(parts, parts_size);
	guard_free(ws, ws_size);
	bp_conv_free(cv);
}

START_TEST(convolutions_give_the_statistics_of_what_they_write)
{
	struct draw d = {(uint64_t)_i + 1};
	struct rig r;
	const struct bp_kernels *k;
	rig_init(&r, _i, &d);
	for (int j = 0; (k = tested_kernels_at(j)); j++)
		for (int n = 1; n <= r.n; n += r.n > 1 ? r.n - 1 : 1)
			check_layer(&r, k, 1 + j % 3, n, (enum bp_act)((_i + n) % BP_ACTS));
	rig_done(&r);
}
END_TEST

/* Strided, dilated, where blocks of whole lines would be too large, and with a channel multiplier. */
START_TEST(others_give_none)
{
	static const struct bp_conv_shape shapes[] = {
		{9, 9, 32, 5, 5, 32, 3, 3, 2, 2, 1, 1, 1, 1, 1, BP_CONV_DIRECT, false},
		{9, 9, 32, 9, 9, 32, 3, 3, 1, 1, 2, 2, 2, 2, 1, BP_CONV_WINOGRAD, false},
		{3, 2000, 16, 3, 2000, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1, BP_CONV_WINOGRAD, false},
		{9, 9, 12, 9, 9, 24, 3, 3, 1, 1, 1, 1, 1, 1, 12, BP_CONV_AUTO, false},
	};
	for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
		struct bp_conv *cv = bp_conv_new(&shapes[i], bp_kernels_choose(BP_ISA_ALL), 2);
		ck_assert_ptr_nonnull(cv);
		ck_assert_uint_eq(bp_conv_norms(cv), 0);
		bp_conv_free(cv);
	}
}
END_TEST

TEST_SUITE(conv_norms, 60)
{
	tcase_add_loop_test(tc, convolutions_give_the_statistics_of_what_they_write, 0, LAYERS);
	tcase_add_test(tc, others_give_none);
}
