/* test_kernels_winograd.c - cases of the transforms of Winograd's convolution, against their matrices (kernel_cases.h).
 */
#include "kernel_cases.h"

#include "kernels/winograd.h"

#include <math.h>
#include <string.h>

enum { OUT = BP_WINOGRAD_OUT, IN = BP_WINOGRAD_IN, PLACES = BP_WINOGRAD_PLACES };

/* The finite points 0, H, -H, R, -R, of which five inputs do without the last; infinity comes after them. */
#define R 1.41421356237309504880
#define H (1 / R)
static const double points[IN - 1] = {0, H, -H, R, -R};

static const double bt[IN * IN] = {1, 0, -2.5, 0, 1, 0, 0, -R, -2, H, 1, 0, 0, R, -2, -H, 1, 0, 0, -H, -.5, R, 1, 0, 0,
	H, -.5, -R, 1, 0, 0, 1, 0, -2.5, 0, 1};
static const double bt_five[(IN - 1) * (IN - 1)] = {
	1, -H, -2, R, 0, 0, -1, -H, 1, 0, 0, 1. / 3, -H, 1. / 3, 0, 0, -.5, 0, 1, 0, 0, H, -.5, -R, 1};

/* A matrix of rows x cols numbers, or its transposed. */
struct matrix {
	double m[IN * IN];
	int rows, cols;
	bool transposed;
};

/* B^T, A^T and G of an axis: powers of the points, for n coefficients; G's are divided by the products of the
 * differences of the points. Of one tap all are 1. */
static struct matrix identity(void)
{
	return (struct matrix){.m = {1}, .rows = 1, .cols = 1};
}

static struct matrix b_of(struct bp_winograd_axis a)
{
	struct matrix b = {.rows = a.reads, .cols = a.reads};
	memcpy(b.m, a.reads == IN ? bt : bt_five, (size_t)(a.reads * a.reads) * sizeof *bt);
	return a.taps == 1 ? identity() : b;
}

/* reads x n; each row times its factor. */
static struct matrix powers(int reads, int n, const double *factors)
{
	struct matrix v = {.rows = reads, .cols = n};
	for (int i = 0; i < reads - 1; i++)
		for (int k = 0; k < n; k++)
			v.m[i * n + k] = factors[i] * (k ? pow(points[i], k) : 1);
	v.m[(reads - 1) * n + n - 1] = 1;
	return v;
}

static struct matrix a_of(struct bp_winograd_axis a)
{
	static const double ones[IN - 1] = {1, 1, 1, 1, 1};
	return a.taps == 1 ? identity() : powers(a.reads, bp_winograd_makes(a), ones);
}

static struct matrix g_of(struct bp_winograd_axis a)
{
	static const double six[IN - 1] = {1, -2. / 3, -2. / 3, 1. / 6, 1. / 6}, five[IN - 2] = {1, -R, -R, R / 3};
	return a.taps == 1 ? identity() : powers(a.reads, a.taps, a.reads == IN ? six : five);
}

static struct matrix transposed(struct matrix m)
{
	m.transposed = true;
	return m;
}

static struct bp_winograd_axis draw_axis(struct draw *d)
{
	const int taps = draw_int(d, 1, BP_WINOGRAD_TAPS);
	return (struct bp_winograd_axis){taps, taps == 1 ? 1 : taps < BP_WINOGRAD_TAPS ? draw_int(d, IN - 1, IN) : IN};
}

static double element(const struct matrix *m, int i, int j)
{
	return m->transposed ? m->m[j * m->cols + i] : m->m[i * m->cols + j];
}

static int height(const struct matrix *m)
{
	return m->transposed ? m->cols : m->rows;
}
static int width(const struct matrix *m)
{
	return m->transposed ? m->rows : m->cols;
}

/* ret = M x N^T; returns the largest of the sums of absolute products. */
static double sandwich(const struct matrix *m, const double *x, const struct matrix *n, double *ret)
{
	double largest = 0;
	for (int i = 0; i < height(m); i++)
		for (int j = 0; j < height(n); j++) {
			double sum = 0, size = 0;
			for (int a = 0; a < width(m); a++)
				for (int b = 0; b < width(n); b++) {
					double v = element(m, i, a) * x[a * width(n) + b] * element(n, j, b);
					sum += v;
					size += v < 0 ? -v : v;
				}
			ret[i * height(n) + j] = sum;
			largest = size > largest ? size : largest;
		}
	return largest;
}

static double near(double largest)
{
	return (sizeof(bp_real) == 8 ? 1e-15 : 5e-7) * (1 + largest);
}

/* A tile of pixels, by M down and N across, of which the first lo columns lie outside. */
static void check_in(const struct bp_kernels *k, struct draw *d, struct bp_winograd_in p, const struct matrix *m,
	const struct matrix *n, void (*kernel)(const struct bp_winograd_in *))
{
	const int rows = width(m), cols = width(n), places = height(m) * height(n);
	p.channels = draw_int(d, 1, 5 * k->vlen);
	p.lo = draw_int(d, 0, cols);
	p.hi = draw_int(d, p.lo, cols);
	p.col_step = p.channels + draw_int(d, 0, 3);
	p.panel = k->vlen * draw_int(d, 1, 6);
	p.panel_step = p.panel + draw_int(d, 0, 5);
	const size_t wide = (p.channels + k->vlen - 1) / k->vlen * k->vlen, line = cols * p.col_step;
	p.step = (wide + p.panel - 1) / p.panel * p.panel_step + draw_int(d, 0, 5);
	const size_t size = (rows - 1) * line + (cols - 1) * p.col_step + p.channels, dst_size = places * p.step;
	bp_real *x = guard_new(size), *dst = guard_new(dst_size);
	draw_reals(d, x, size);
	guard_freeze(x, size);
	for (int i = 0; i < rows; i++)
		p.rows[i] = x + i * line;
	p.dst = dst;
	kernel(&p);
	for (size_t c = 0; c < wide; c++) {
		double v[IN * IN], want[PLACES];
		for (int i = 0; i < rows * cols; i++) {
			bool inside = i % cols >= p.lo && i % cols < p.hi && c < p.channels;
			v[i] = inside ? x[i / cols * line + i % cols * p.col_step + c] : 0;
		}
		double tolerance = near(sandwich(m, v, n, want));
		for (int q = 0; q < places; q++) {
			bp_real *got = dst + q * p.step + c / p.panel * p.panel_step + c % p.panel;
			check_near(k, "winograd, into a place", q, *got, want[q], tolerance);
			*got = GUARD_POISON;
		}
	}
	for (size_t i = 0; i < dst_size; i++)
		check_near(k, "beside winograd's places", i, dst[i], GUARD_POISON, 0);
	guard_free(x, size);
	guard_free(dst, dst_size);
}

void check_winograd_input(const struct bp_kernels *k, struct draw *d)
{
	struct bp_winograd_in p = {.y = draw_axis(d), .x = draw_axis(d)};
	struct matrix m = b_of(p.y), n = b_of(p.x);
	check_in(k, d, p, &m, &n, k->winograd_input);
}

void check_winograd_gradient(const struct bp_kernels *k, struct draw *d)
{
	struct bp_winograd_in p = {.y = draw_axis(d), .x = draw_axis(d)};
	struct matrix m = a_of(p.y), n = a_of(p.x);
	check_in(k, d, p, &m, &n, k->winograd_gradient);
}

void check_winograd_output(const struct bp_kernels *k, struct draw *d)
{
	struct bp_winograd_out p = {.channels = draw_int(d, 1, 5 * k->vlen), .acc = draw_bool(d), .relu = draw_bool(d)};
	p.y = draw_axis(d);
	p.x = draw_axis(d);
	const struct matrix m = transposed(a_of(p.y)), mt = transposed(a_of(p.x));
	const int places = width(&m) * width(&mt);
	p.rows = draw_int(d, 1, height(&m));
	p.cols = draw_int(d, 1, height(&mt));
	const size_t n = p.channels, wide = (n + k->vlen - 1) / k->vlen * k->vlen;
	p.step = wide + draw_int(d, 0, 5);
	p.col_step = n + draw_int(d, 0, 3);
	p.row_step = p.cols * p.col_step + draw_int(d, 0, 3);
	const size_t src_size = (places - 1) * p.step + wide;
	const size_t size = (p.rows - 1) * p.row_step + (p.cols - 1) * p.col_step + n;
	bp_real *src = guard_new(src_size), *dst = guard_new(size), *before = guard_new(size), *bias = guard_new(n),
		*through = guard_new(size);
	draw_reals(d, src, src_size);
	draw_reals(d, bias, n);
	draw_reals(d, before, size);
	draw_reals(d, through, size);
	for (size_t i = 0; p.acc && i < size; i++)
		dst[i] = before[i];
	guard_freeze(src, src_size);
	p.src = src;
	p.dst = dst;
	p.bias = draw_bool(d) ? bias : NULL;
	p.through = draw_bool(d) ? through : NULL;
	guard_freeze(through, size);
	k->winograd_output(&p);
	for (size_t c = 0; c < n; c++) {
		double v[PLACES], want[OUT * OUT];
		for (int q = 0; q < places; q++)
			v[q] = src[q * p.step + c];
		double tolerance = near(sandwich(&m, v, &mt, want));
		for (int i = 0; i < p.rows; i++)
			for (int j = 0; j < p.cols; j++) {
				size_t to = i * p.row_step + j * p.col_step + c;
				double w =
					want[i * height(&mt) + j] + (p.acc ? before[to] : 0) + (p.bias ? bias[c] : 0);
				if ((p.relu && w < 0) || (p.through && through[to] <= 0))
					w = 0;
				check_near(k, "winograd, out", to, dst[to], w, tolerance);
				dst[to] = before[to] = GUARD_POISON;
			}
	}
	for (size_t i = 0; i < size; i++)
		check_near(k, "beside winograd's tile", i, dst[i], p.acc ? before[i] : GUARD_POISON, 0);
	guard_free(src, src_size);
	guard_free(dst, size);
	guard_free(before, size);
	guard_free(bias, n);
	guard_free(through, size);
}

static size_t tap_at(const struct bp_winograd_weights *p, int t)
{
	return t / p->x.taps * p->line_step + t % p->x.taps * p->tap_step;
}

/* Weights into places, or the gradient of places into that of weights. */
static void check_weights(const struct bp_kernels *k, struct draw *d, bool back)
{
	struct bp_winograd_weights p = {.n = draw_int(d, 0, 5), .cols = draw_int(d, 1, 3 * k->vlen)};
	p.y = draw_axis(d);
	p.x = draw_axis(d);
	const struct matrix g = g_of(p.y), gt = g_of(p.x), g_back = transposed(g), gt_back = transposed(gt);
	const int taps = p.y.taps * p.x.taps, places = height(&g) * height(&gt);
	const size_t cols = p.cols, wide = (cols + k->vlen - 1) / k->vlen * k->vlen;
	p.ld = cols + draw_int(d, 0, 3);
	p.tap_step = p.n * p.ld + draw_int(d, 0, 3);
	p.line_step = p.x.taps * p.tap_step + draw_int(d, 0, 3);
	p.u_ld = wide + draw_int(d, 0, 3);
	p.step = p.n * p.u_ld + draw_int(d, 0, 3);
	const size_t w_size =
		p.n ? (p.y.taps - 1) * p.line_step + (p.x.taps - 1) * p.tap_step + (p.n - 1) * p.ld + cols : 0;
	const size_t u_size = p.n ? (places - 1) * p.step + (p.n - 1) * p.u_ld + wide : 0;
	p.w = guard_new(w_size);
	p.u = guard_new(u_size);
	draw_reals(d, back ? p.u : p.w, back ? u_size : w_size);
	guard_freeze(back ? p.u : p.w, back ? u_size : w_size);
	(back ? k->winograd_weights_gradient : k->winograd_weights)(&p);
	for (size_t i = 0; i < p.n; i++)
		for (size_t c = 0; c < cols; c++) {
			double v[PLACES], want[PLACES];
			for (int t = 0; t < (back ? places : taps); t++)
				v[t] = back ? p.u[t * p.step + i * p.u_ld + c] : p.w[tap_at(&p, t) + i * p.ld + c];
			double tolerance = near(sandwich(back ? &g_back : &g, v, back ? &gt_back : &gt, want));
			for (int t = 0; t < (back ? taps : places); t++) {
				bp_real *got =
					back ? p.w + tap_at(&p, t) + i * p.ld + c : p.u + t * p.step + i * p.u_ld + c;
				check_near(k, "winograd's weights", t, *got, want[t], tolerance);
				*got = GUARD_POISON;
			}
		}
	for (size_t i = 0; back && i < w_size; i++)
		check_near(k, "beside winograd's weights", i, p.w[i], GUARD_POISON, 0);
	guard_free(p.w, w_size);
	guard_free(p.u, u_size);
}

void check_winograd_weights(const struct bp_kernels *k, struct draw *d)
{
	check_weights(k, d, false);
}

void check_winograd_weights_gradient(const struct bp_kernels *k, struct draw *d)
{
	check_weights(k, d, true);
}
