/* test_kernels_conv.c - cases of the kernels under the convolution drivers (kernel_cases.h says how cases are found).
 */
#include "kernel_cases.h"

#include "kernels/dense.h"
#include "kernels/depthwise.h"
#include "kernels/igemm.h"
#include "kernels/norm.h"
#include "kernels/outer.h"
#include "kernels/patch.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A table of n pointers to rows of `width` elements, GAP elements apart, in one block: the last row ends at its end. */
enum { GAP = 3 };

static size_t rows_size(size_t n, size_t width)
{
	return n ? n * (width + GAP) - GAP : 0;
}

static bp_real **rows_new(bp_real *block, size_t n, size_t width)
{
	bp_real **rows = malloc((n + 1) * sizeof *rows);
	ck_assert_ptr_nonnull(rows);
	for (size_t i = 0; i < n; i++)
		rows[i] = block + i * (width + GAP);
	return rows;
}

/* A product of igemm, or of idot: which has B by columns. */
struct product {
	struct bp_igemm p;
	bool by_columns;
};

static double product_element(const struct product *u, int i, int j, double before)
{
	const struct bp_igemm *p = &u->p;
	double sum = p->acc ? before : 0;
	for (size_t t = 0; t < p->taps; t++)
		for (size_t k = 0; k < p->kc; k++) {
			const size_t row = t * p->kc + k;
			sum += (double)p->a[t * p->a_stride + i][p->k0 + k] *
			       p->b[u->by_columns ? j * p->ldb + row : row * p->ldb + j];
		}
	sum += p->bias ? p->bias[j] : 0;
	return p->relu && sum < 0 ? 0 : sum;
}

/* A tall one or a wide one. */
static struct bp_gemm_tile draw_tile(const struct bp_kernels *k, struct draw *d)
{
	return draw_bool(d) ? k->tall : k->wide;
}

/* u: its rows, cols, ldb and by_columns; b_size: elements of B that may be read. */
static void check_tile(const struct bp_kernels *k, struct draw *d, struct product *u, size_t b_size)
{
	struct bp_igemm *p = &u->p;
	const size_t na = p->taps * p->a_stride;
	size_t wa = p->k0 + p->kc, wc = p->col + p->cols, a_size = rows_size(na, wa), c_size = rows_size(p->rows, wc);
	bp_real *a = guard_new(a_size), *b = guard_new(b_size), *c = guard_new(c_size), *bias = guard_new(p->cols);
	bp_real **rows_a = rows_new(a, na, wa), **rows_c = rows_new(c, p->rows, wc), before[1024];
	draw_reals(d, a, a_size);
	draw_reals(d, b, b_size);
	draw_reals(d, bias, p->cols);
	draw_reals(d, before, (size_t)p->rows * p->cols);
	for (int i = 0; p->acc && i < p->rows; i++)
		for (int j = 0; j < p->cols; j++)
			rows_c[i][p->col + j] = before[i * p->cols + j];
	guard_freeze(a, a_size);
	guard_freeze(b, b_size);
	p->a = (const bp_real *const *)rows_a;
	p->b = b;
	p->c = rows_c;
	p->bias = draw_bool(d) ? bias : NULL;
	if (u->by_columns)
		k->idot(p);
	else
		k->igemm(p);
	for (size_t i = 0; i < c_size; i++) {
		size_t row = i / (wc + GAP), j = i % (wc + GAP);
		if (j < p->col || j >= wc)
			check_near(k, "beside a product's columns", i, c[i], GUARD_POISON, 0);
		else
			check_near(k, "product", i, c[i],
				product_element(u, row, j - p->col, before[row * p->cols + j - p->col]),
				rounding(p->taps * p->kc));
	}
	free(rows_a);
	free(rows_c);
	guard_free(a, a_size);
	guard_free(b, b_size);
	guard_free(c, c_size);
	guard_free(bias, p->cols);
}

static struct bp_igemm draw_product(struct draw *d, int rows, int cols)
{
	return (struct bp_igemm){
		.rows = rows,
		.cols = cols,
		.taps = draw_int(d, 0, 5),
		.kc = draw_int(d, 0, 40),
		.a_stride = rows + draw_int(d, 0, 3),
		.k0 = draw_int(d, 0, 5),
		.col = draw_int(d, 0, 5),
		.acc = draw_bool(d),
		.relu = draw_bool(d),
	};
}

void check_igemm(const struct bp_kernels *k, struct draw *d)
{
	const struct bp_gemm_tile tile = draw_tile(k, d);
	struct product u = {draw_product(d, draw_int(d, 1, tile.mr), draw_int(d, 1, tile.nr)), false};
	const size_t nb = (u.p.cols + k->vlen - 1) / k->vlen * k->vlen, rows = u.p.taps * u.p.kc;
	u.p.ldb = nb + (draw_bool(d) ? draw_int(d, 0, 9) : 0);
	check_tile(k, d, &u, rows ? (rows - 1) * u.p.ldb + nb : 0);
}

void check_idot(const struct bp_kernels *k, struct draw *d)
{
	const int cols = draw_int(d, 1, BP_IDOT_COLS);
	struct product u = {draw_product(d, draw_int(d, 1, k->idot_rows[cols - 1]), cols), true};
	const size_t rows = u.p.taps * u.p.kc;
	u.p.ldb = rows + draw_int(d, 0, 9);
	check_tile(k, d, &u, rows ? (cols - 1) * u.p.ldb + rows : 0);
}

void check_outer(const struct bp_kernels *k, struct draw *d)
{
	const struct bp_gemm_tile tile = draw_tile(k, d);
	struct bp_outer p = {
		.rows = draw_int(d, 1, tile.mr),
		.cols = draw_int(d, 1, tile.nr),
		.nruns = draw_int(d, 0, 4),
		.x_off = draw_int(d, 0, 5),
		.acc = draw_bool(d),
	};
	const size_t nb = (p.cols + k->vlen - 1) / k->vlen * k->vlen, width = p.x_off + p.rows;
	p.x_step = width + draw_int(d, 0, 4);
	p.dy_step = nb + draw_int(d, 0, 4);
	p.ldc = p.cols + GAP;
	struct bp_run runs[4];
	size_t pixels = 0;
	for (size_t r = 0; r < p.nruns; r++) {
		runs[r] = (struct bp_run){.first = pixels, .count = draw_int(d, 0, 20)};
		pixels += runs[r].count;
	}
	const size_t x_size = pixels ? (pixels - 1) * p.x_step + width : 0,
		     dy_size = pixels ? (pixels - 1) * p.dy_step + nb : 0;
	const size_t c_size = rows_size(p.rows, p.cols);
	bp_real *x = guard_new(x_size), *dy = guard_new(dy_size), *c = guard_new(c_size), before[1024];
	draw_reals(d, x, x_size);
	draw_reals(d, dy, dy_size);
	draw_reals(d, before, (size_t)p.rows * p.cols);
	for (size_t i = 0; p.acc && i < (size_t)p.rows * p.cols; i++)
		c[i / p.cols * p.ldc + i % p.cols] = before[i];
	guard_freeze(x, x_size);
	guard_freeze(dy, dy_size);
	/* The runs of X need not lie in dY's order. */
	for (size_t r = 0, at = pixels; r < p.nruns; r++) {
		at -= runs[r].count;
		runs[r].x = x + at * p.x_step;
	}
	p.runs = runs;
	p.dy = dy;
	p.c = c;
	k->outer(&p);
	for (size_t i = 0; i < c_size; i++) {
		size_t row = i / p.ldc, col = i % p.ldc;
		double sum = p.acc && col < (size_t)p.cols ? before[row * p.cols + col] : 0;
		for (size_t r = 0; r < p.nruns && col < (size_t)p.cols; r++)
			for (size_t q = 0; q < runs[r].count; q++)
				sum += (double)runs[r].x[q * p.x_step + p.x_off + row] *
				       dy[(runs[r].first + q) * p.dy_step + col];
		check_near(k, "outer", i, c[i], col < (size_t)p.cols ? sum : GUARD_POISON, rounding(pixels));
	}
	guard_free(x, x_size);
	guard_free(dy, dy_size);
	guard_free(c, c_size);
}

void check_patch(const struct bp_kernels *k, struct draw *d)
{
	struct bp_patch p = {.count = draw_int(d, 1, 20), .lines = draw_int(d, 1, 6), .run = draw_int(d, 1, 40)};
	const size_t step = draw_int(d, 1, 6), line = (p.count - 1) * step + p.run, x_size = p.lines * line;
	const size_t rows = p.count * p.lines * p.run;
	bp_real *x = guard_new(x_size), *zeros = guard_new(p.run + k->vlen), *dst = guard_new(rows + k->vlen);
	draw_reals(d, x, x_size);
	for (size_t i = 0; i < p.run + k->vlen; i++)
		zeros[i] = 0;
	guard_freeze(x, x_size);
	guard_freeze(zeros, p.run + k->vlen);
	for (int l = 0; l < p.lines; l++) {
		bool outside = draw_int(d, 0, 3) == 0;
		p.src[l] = outside ? zeros : x + l * line;
		p.step[l] = outside ? 0 : step;
	}
	p.end = x + x_size;
	p.dst = dst;
	k->patch(&p);
	for (size_t i = 0; i < rows; i++) {
		size_t l = i / p.run % p.lines, point = i / p.run / p.lines;
		check_near(k, "patch", i, dst[i], p.src[l][point * p.step[l] + i % p.run], 0);
	}
	guard_free(x, x_size);
	guard_free(zeros, p.run + k->vlen);
	guard_free(dst, rows + k->vlen);
}

static void check_packing(const struct bp_kernels *k, struct draw *d, bool transposed)
{
	const int nr = draw_tile(k, d).nr;
	const size_t rows = draw_int(d, 0, 40), cols = draw_int(d, 1, nr), n = transposed ? cols : rows;
	const size_t width = transposed ? rows : cols, ld = width + draw_int(d, 0, 5);
	const size_t src_size = n ? (n - 1) * ld + width : 0, dst_size = rows * nr;
	bp_real *src = guard_new(src_size), *dst = guard_new(dst_size);
	draw_reals(d, src, src_size);
	guard_freeze(src, src_size);
	(transposed ? k->pack_transposed : k->pack)(dst, nr, src, ld, rows, (int)cols);
	for (size_t i = 0; i < dst_size; i++) {
		size_t r = i / nr, c = i % nr;
		bp_real want = c >= cols ? 0 : transposed ? src[c * ld + r] : src[r * ld + c];
		check_near(k, "packed", i, dst[i], want, 0);
	}
	guard_free(src, src_size);
	guard_free(dst, dst_size);
}

void check_pack(const struct bp_kernels *k, struct draw *d)
{
	check_packing(k, d, false);
}
void check_pack_transposed(const struct bp_kernels *k, struct draw *d)
{
	check_packing(k, d, true);
}

void check_column_sums(const struct bp_kernels *k, struct draw *d)
{
	const size_t rows = draw_int(d, 0, 50), n = draw_int(d, 1, 6 * k->vlen), ld = n + draw_int(d, 0, 5);
	const size_t size = rows ? (rows - 1) * ld + n : 0;
	const bool acc = draw_bool(d);
	bp_real *x = guard_new(size), *dst = guard_new(n), *before = guard_new(n);
	draw_reals(d, x, size);
	draw_reals(d, before, n);
	for (size_t i = 0; acc && i < n; i++)
		dst[i] = before[i];
	guard_freeze(x, size);
	k->column_sums(rows, n, x, ld, acc, dst);
	for (size_t j = 0; j < n; j++) {
		double sum = acc ? before[j] : 0;
		for (size_t r = 0; r < rows; r++)
			sum += x[r * ld + j];
		check_near(k, "column sum", j, dst[j], sum, rounding(rows));
	}
	guard_free(x, size);
	guard_free(dst, n);
	guard_free(before, n);
}

/* A line of outputs over a random X, which ends with the last input of the last output. */
static struct bp_depthwise_line draw_line(const struct bp_kernels *k, struct draw *d, size_t *ret_x_size)
{
	struct bp_depthwise_line l = {.points = draw_int(d, 1, 11), .channels = draw_int(d, 1, 4 * k->vlen)};
	bool small = draw_bool(d);
	l.kh = small ? 3 : draw_int(d, 1, 5);
	l.kw = small ? 3 : draw_int(d, 1, 5);
	l.tap_step = l.channels + (draw_bool(d) ? draw_int(d, 0, 5) : 0);
	l.step = l.tap_step * draw_int(d, 1, 3);
	l.line_step = (l.points - 1) * l.step + l.kw * l.tap_step + draw_int(d, 0, 5);
	*ret_x_size = (l.kh - 1) * l.line_step + (l.points - 1) * l.step + (l.kw - 1) * l.tap_step + l.channels;
	return l;
}

static bp_real line_input(const struct bp_depthwise_line *l, size_t point, int tap, size_t j)
{
	return l->x[tap / l->kw * l->line_step + point * l->step + tap % l->kw * l->tap_step + j];
}

void check_depthwise(const struct bp_kernels *k, struct draw *d)
{
	size_t x_size;
	struct bp_depthwise p = {.line = draw_line(k, d, &x_size), .acc = draw_bool(d), .relu = draw_bool(d)};
	const size_t n = p.line.channels, taps = (size_t)p.line.kh * p.line.kw, y_size = p.line.points * n;
	const size_t w_gap = draw_int(d, 0, 3), w_size = (taps - 1) * (n + w_gap) + n;
	const bool turned = draw_bool(d); /* taps in descending order, as backward-data has them */
	bp_real *x = guard_new(x_size), *w = guard_new(w_size), *y = guard_new(y_size), *before = guard_new(y_size);
	bp_real *bias = guard_new(n);
	draw_reals(d, x, x_size);
	draw_reals(d, w, w_size);
	draw_reals(d, bias, n);
	draw_reals(d, before, y_size);
	for (size_t i = 0; p.acc && i < y_size; i++)
		y[i] = before[i];
	guard_freeze(x, x_size);
	guard_freeze(w, w_size);
	p.line.x = x;
	p.w = turned ? w + (taps - 1) * (n + w_gap) : w;
	p.w_step = turned ? -(ptrdiff_t)(n + w_gap) : (ptrdiff_t)(n + w_gap);
	p.y = y;
	p.bias = draw_bool(d) ? bias : NULL;
	k->depthwise(&p);
	for (size_t i = 0; i < y_size; i++) {
		double sum = p.acc ? before[i] : 0;
		for (size_t t = 0; t < taps; t++)
			sum += (double)line_input(&p.line, i / n, (int)t, i % n) * p.w[(ptrdiff_t)t * p.w_step + i % n];
		sum += p.bias ? bias[i % n] : 0;
		check_near(k, "depthwise", i, y[i], p.relu && sum < 0 ? 0 : sum, rounding(taps));
	}
	guard_free(x, x_size);
	guard_free(w, w_size);
	guard_free(y, y_size);
	guard_free(before, y_size);
	guard_free(bias, n);
}

/* What the norm makes of x, and its activation's slope there; *ret_unsure when rounding decides that. */
static double norm_input(const struct bp_norm *p, double x, size_t j, double *ret_slope, bool *ret_unsure)
{
	*ret_slope = 1;
	if (!p)
		return x;
	double y = (x - p->mean[j]) * p->scale[j] + p->shift[j];
	*ret_unsure |= act_unsure(p->act, y);
	*ret_slope = act_slope(p->act, y);
	return act_of(p->act, y);
}

void check_depthwise_backward(const struct bp_kernels *k, struct draw *d)
{
	const size_t n = draw_int(d, 1, 4 * k->vlen), points = draw_int(d, 1, 19), wants = draw_int(d, 1, 3);
	const bool small = draw_bool(d), turned = draw_bool(d);
	const int kh = small ? 3 : draw_int(d, 0, 5), kw = small ? 3 : draw_int(d, 1, 5);
	const size_t gap = draw_bool(d) ? draw_int(d, 0, 5) : 0, step = n + gap, g_tap = small ? n : n + gap;
	const size_t g_line = (points + kw) * g_tap, g_size = kh * g_line + (points + kw) * (n + gap);
	const size_t taps = (size_t)kh * kw, w_size = taps * n, x_size = (points - 1) * step + n;
	struct bp_norm norm = {.c = n, .act = (enum bp_act)draw_int(d, 0, BP_ACTS - 1)};
	bp_real *g = guard_new(g_size), *w = guard_new(w_size), *dw = guard_new(w_size), *dw0 = guard_new(w_size),
		*x = guard_new(x_size), *dx = guard_new(x_size), *dx0 = guard_new(x_size), *v[5];
	bp_real *const all[] = {g, w, dw0, x, dx0};
	const size_t sizes[] = {g_size, w_size, w_size, x_size, x_size};
	for (int i = 0; i < 5; i++) {
		draw_reals(d, all[i], sizes[i]);
		v[i] = guard_new(n);
		draw_reals(d, v[i], n);
	}
	memcpy(dw, dw0, w_size * sizeof *dw);
	memcpy(dx, dx0, x_size * sizeof *dx);
	for (size_t j = 0; j < n; j += 2) /* inputs below ReLU6's cap and above */
		v[2][j] += 6;
	norm.mean = v[0];
	norm.scale = v[1];
	norm.shift = v[2];
	double sum0[256], dot0[256];
	for (size_t j = 0; j < n; j++) {
		sum0[j] = v[3][j];
		dot0[j] = v[4][j];
	}
	guard_freeze(g, g_size);
	guard_freeze(w, w_size);
	guard_freeze(x, x_size);
	const ptrdiff_t last = turned && taps ? (ptrdiff_t)((taps - 1) * n) : 0, sign = turned ? -1 : 1;
	const bool with_norm = wants == 3 && draw_bool(d);
	struct bp_depthwise_backward p = {
		.points = points,
		.channels = n,
		.kh = kh,
		.kw = kw,
		.g = g,
		.g_line = (ptrdiff_t)g_line,
		.g_tap = (ptrdiff_t)g_tap,
		.w = w + last,
		.dw = wants & 1 ? dw + last : NULL,
		.w_line = sign * kw * (ptrdiff_t)n,
		.w_tap = sign * (ptrdiff_t)n,
		.x = x,
		.dx = wants & 2 ? dx : NULL,
		.step = step,
		.acc = draw_bool(d),
		.norm = with_norm ? &norm : NULL,
		.sum = with_norm ? v[3] : NULL,
		.dot = with_norm ? v[4] : NULL,
	};
	k->depthwise_backward(&p);
	for (size_t j = 0; j < n; j++) {
		double sum = sum0[j], dot = dot0[j], shares[25] = {0};
		bool unsure = false;
		for (size_t i = 0; i < points; i++) {
			const size_t at = i * step + j;
			double s = p.acc ? dx0[at] : 0;
			double slope;
			double input = norm_input(p.norm, x[at], j, &slope, &unsure);
			for (size_t t = 0; t < taps; t++) {
				double gradient = g[t / kw * g_line + i * n + t % kw * g_tap + j];
				s += gradient * p.w[(ptrdiff_t)t * p.w_tap + (ptrdiff_t)j];
				shares[t] += gradient * input;
			}
			check_near(k, "depthwise dx", at, dx[at], wants & 2 ? s : dx0[at], rounding(taps + 1));
			sum += slope * s;
			dot += slope * s * (x[at] - (double)norm.mean[j]);
		}
		for (size_t t = 0; t < taps; t++) {
			const size_t at = (size_t)(last + (ptrdiff_t)t * p.w_tap) + j;
			check_near(k, "depthwise dw", at, dw[at], dw0[at] + (wants & 1 ? shares[t] : 0),
				rounding(points + 1) * 8);
		}
		if (unsure)
			continue;
		check_near(k, "sum", j, v[3][j], with_norm ? sum : sum0[j], rounding(points * (taps + 1)));
		check_near(k, "dot", j, v[4][j], with_norm ? dot : dot0[j], rounding(points * (taps + 1)) * 2);
	}
	for (int i = 0; i < 5; i++) {
		guard_free(all[i], sizes[i]);
		guard_free(v[i], n);
	}
	guard_free(dw, w_size);
	guard_free(dx, x_size);
}

void check_dense(const struct bp_kernels *k, struct draw *d)
{
	struct bp_dense p = {
		.rows = draw_int(d, 1, 20),
		.inner = draw_int(d, 0, 20),
		.cols = draw_int(d, 1, 3 * k->vlen + 1),
		.acc = draw_bool(d),
		.relu = draw_bool(d),
	};
	const bool transposed = draw_bool(d);
	p.a_row = transposed ? 1 : p.inner + GAP;
	p.a_step = transposed ? p.rows + GAP : 1;
	p.ldb = p.cols + draw_int(d, 0, GAP);
	p.ldc = p.cols + draw_int(d, 0, GAP);
	const size_t a_size = p.inner ? (p.rows - 1) * p.a_row + (p.inner - 1) * p.a_step + 1 : 0;
	const size_t b_size = p.inner ? (p.inner - 1) * p.ldb + p.cols : 0, c_size = (p.rows - 1) * p.ldc + p.cols;
	bp_real *a = guard_new(a_size), *b = guard_new(b_size), *c = guard_new(c_size), *bias = guard_new(p.cols),
		*sums = guard_new(p.cols), before[1024];
	draw_reals(d, a, a_size);
	draw_reals(d, b, b_size);
	draw_reals(d, bias, p.cols);
	draw_reals(d, before, p.rows * p.cols);
	for (size_t i = 0; p.acc && i < p.rows * p.cols; i++)
		c[i / p.cols * p.ldc + i % p.cols] = before[i];
	guard_freeze(a, a_size);
	guard_freeze(b, b_size);
	guard_freeze(bias, p.cols);
	p.a = a;
	p.b = b;
	p.bias = draw_bool(d) ? bias : NULL;
	p.c = c;
	p.ret_sums = draw_bool(d) ? sums : NULL;
	k->dense(&p);
	for (size_t j = 0; j < p.cols; j++) {
		double sum = 0;
		for (size_t x = 0; x < p.inner; x++)
			sum += (double)b[x * p.ldb + j];
		check_near(k, "dense's sums", j, sums[j], p.ret_sums ? sum : GUARD_POISON, rounding(p.inner));
	}
	for (size_t i = 0; i < c_size; i++) {
		size_t row = i / p.ldc, col = i % p.ldc;
		if (col >= p.cols) {
			check_near(k, "beside dense's columns", i, c[i], GUARD_POISON, 0);
			continue;
		}
		double sum = (p.acc ? (double)before[row * p.cols + col] : 0) + (p.bias ? (double)bias[col] : 0);
		for (size_t x = 0; x < p.inner; x++)
			sum += (double)a[row * p.a_row + x * p.a_step] * (double)b[x * p.ldb + col];
		check_near(k, "dense", i, c[i], p.relu && sum < 0 ? 0 : sum, rounding(p.inner));
	}
	guard_free(a, a_size);
	guard_free(b, b_size);
	guard_free(c, c_size);
	guard_free(bias, p.cols);
}
