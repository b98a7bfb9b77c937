/*
 * winograd.c - the transforms of Winograd's convolutions (winograd.h), vectors along channels. Called by the drivers in
 * core/conv, on any thread.
 *
 * The points at which its polynomials are evaluated are 0, +-h, +-r and infinity with r the root of 2 and h = 1/r, not
 * the usual 0, +-1, +-2: reciprocal points keep the powers near 1 (largest factor 2.8 instead of 8), so the largest
 * error is a fifth (64 channels, 3x3: 1.4e-6 of the largest output instead of 6.8e-6) at the same number of operations.
 *
 * Each transform is a one-dimensional one on the columns, then on the rows, of a tile that lies in L1 in between. They
 * are bound by loads and stores: about 70 stores for 8 channels of a tile at 32-byte vectors.
 */
#include "kernels/winograd.h"
#include "kernels/vec.h"

enum { OUT = BP_WINOGRAD_OUT, IN = BP_WINOGRAD_IN, TAPS = BP_WINOGRAD_TAPS };

#define ROOT ((bp_real)1.41421356237309504880)
#define HALF_ROOT ((bp_real)0.70710678118654752440)

/* y = B^T d: rows (1 0 -5/2 0 1 0), (0 -2p -2 p 1 0) for p = h and -h, (0 -q/2 -1/2 q 1 0) for q = r and -r,
 * (0 1 0 -5/2 0 1). */
VEC_INLINE void input_line(const vec *d, const int n, vec *y)
{
	(void)n;
	const vec h = vec_splat(HALF_ROOT), r = vec_splat(ROOT);
	const vec two = vec_splat(2), half = vec_splat((bp_real)0.5), mid = vec_splat((bp_real)2.5);
	vec even = d[4] - two * d[2], odd = d[3] - two * d[1], even2 = d[4] - half * d[2], odd2 = d[3] - half * d[1];
	y[0] = d[0] + (d[4] - mid * d[2]);
	y[1] = even + h * odd;
	y[2] = even - h * odd;
	y[3] = even2 + r * odd2;
	y[4] = even2 - r * odd2;
	y[5] = d[1] + (d[5] - mid * d[3]);
}

/* The polynomial of n coefficients g at all points: rows (1 0 0 ..), f (1 p p^2 ..) for p = h and -h, f2 (1 q q^2 ..)
 * for q = r and -r, (.. 0 0 1). */
VEC_INLINE void evaluate(const vec *g, const int n, const bp_real f, const bp_real f2, vec *y)
{
	const vec half = vec_splat((bp_real)0.5), two = vec_splat(2);
	vec even = vec_splat(f) * g[0], even2 = vec_splat(f2) * g[0], odd = g[1], odd2 = g[1];
	if (n > 2) {
		even += vec_splat(f / 2) * g[2];
		even2 += vec_splat(f2 * 2) * g[2];
	}
	if (n > 3) {
		odd += half * g[3];
		odd2 += two * g[3];
	}
	if (n > 4) {
		even += vec_splat(f / 4) * g[4];
		even2 += vec_splat(f2 * 4) * g[4];
	}
	y[0] = g[0];
	y[1] = even + vec_splat(f * HALF_ROOT) * odd;
	y[2] = even - vec_splat(f * HALF_ROOT) * odd;
	y[3] = even2 + vec_splat(f2 * ROOT) * odd2;
	y[4] = even2 - vec_splat(f2 * ROOT) * odd2;
	y[5] = g[n - 1];
}

/* The transposed of evaluate: n sums of what the points hold. */
VEC_INLINE void gather(const vec *m, const int n, const bp_real f, const bp_real f2, vec *y)
{
	static const bp_real h[TAPS] = {1, HALF_ROOT, (bp_real)0.5, HALF_ROOT / 2, (bp_real)0.25},
			     r[TAPS] = {1, ROOT, 2, 2 * ROOT, 4};
	const vec s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
#pragma GCC unroll 5
	for (int k = 0; k < n; k++) {
		const bool even = k % 2 == 0;
		vec near = vec_splat(f * h[k]) * (even ? s : d), far = vec_splat(f2 * r[k]) * (even ? s2 : d2);
		y[k] = k == 0 ? m[0] + near + far : k == n - 1 ? near + (far + m[5]) : near + far;
	}
}

/* y = A g, and y = A^T m. */
VEC_INLINE void gradient_line(const vec *g, const int n, vec *y)
{
	evaluate(g, n, 1, 1, y);
}
VEC_INLINE void output_line(const vec *m, const int n, vec *y)
{
	gather(m, n, 1, 1, y);
}

/* y = G w, and y = G^T u. */
VEC_INLINE void weight_line(const vec *w, const int n, vec *y)
{
	evaluate(w, n, (bp_real)-2 / 3, (bp_real)1 / 6, y);
}
VEC_INLINE void weight_gradient_line(const vec *u, const int n, vec *y)
{
	gather(u, n, (bp_real)-2 / 3, (bp_real)1 / 6, y);
}

/* A one-dimensional transform, to or from n numbers; where it is a parameter, it is known when compiled. Along an axis
 * of one tap it is the identity. */
typedef void line(const vec *from, int n, vec *to);

VEC_INLINE void along(line *f, const int taps, const vec *from, const int n, vec *to)
{
	if (taps == 1)
		to[0] = from[0];
	else
		f(from, n, to);
}

/* What a function on tiles wants to know when compiled: body with the kernel's taps as constants. */
#define KERNEL_CASE(h, w)                                                                                              \
	if (p->kh == (h) && p->kw == (w))                                                                              \
		BODY(h, w);

/* One vector of channels of a tile of rows x cols pixels. What stays the same is read before anything is stored, so
 * that it need not be read again. */
VEC_INLINE void tile_in(const struct bp_winograd_in *p, size_t c, bp_real *dst, const int left, const int kh,
	const int kw, const int rows, const int cols, line *f)
{
	vec t[IN][IN], d[IN], y[IN];
	const int in_h = bp_winograd_reads(kh), in_w = bp_winograd_reads(kw);
	const size_t step = p->step;
	for (int j = 0; j < cols; j++) {
		const bool inside = j >= p->lo && j < p->hi;
		const size_t at = (size_t)j * p->col_step + c;
#pragma GCC unroll 6
		for (int i = 0; i < rows; i++)
			d[i] = inside ? vec_load_part(p->rows[i] + at, left) : vec_zero();
		along(f, kh, d, rows, y);
#pragma GCC unroll 6
		for (int i = 0; i < in_h; i++)
			t[i][j] = y[i];
	}
	for (int i = 0; i < in_h; i++, dst += (size_t)in_w * step) {
		along(f, kw, t[i], cols, y);
#pragma GCC unroll 6
		for (int j = 0; j < in_w; j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

VEC_INLINE void all_channels(
	const struct bp_winograd_in *p, const int kh, const int kw, const int rows, const int cols, line *f)
{
	bp_real *group = p->dst;
	for (size_t first = 0; first < p->channels; first += p->panel, group += p->panel_step) {
		const size_t end = p->channels - first < p->panel ? p->channels : first + p->panel;
		bp_real *dst = group;
		size_t c = first;
		for (; c + VLEN <= end; c += VLEN, dst += VLEN)
			tile_in(p, c, dst, VLEN, kh, kw, rows, cols, f);
		if (c < end)
			tile_in(p, c, dst, (int)(end - c), kh, kw, rows, cols, f);
	}
}

/* The same for all kernels with more than one tap on the same axes. */
void KERNEL_NAME(winograd_input)(const struct bp_winograd_in *p)
{
	if (p->kh == 1 && p->kw == 1)
		all_channels(p, 1, 1, 1, 1, input_line);
	else if (p->kh == 1)
		all_channels(p, 1, 3, 1, IN, input_line);
	else if (p->kw == 1)
		all_channels(p, 3, 1, IN, 1, input_line);
	else
		all_channels(p, 3, 3, IN, IN, input_line);
}

void KERNEL_NAME(winograd_gradient)(const struct bp_winograd_in *p){
#define BODY(h, w) all_channels(p, h, w, bp_winograd_makes(h), bp_winograd_makes(w), gradient_line)
	BP_WINOGRAD_KERNELS(KERNEL_CASE)
#undef BODY
}

VEC_INLINE void tile_out(
	const struct bp_winograd_out *p, size_t c, const int left, const bool through, const int kh, const int kw)
{
	const int in_h = bp_winograd_reads(kh), in_w = bp_winograd_reads(kw);
	const int out_h = bp_winograd_makes(kh), out_w = bp_winograd_makes(kw);
	vec t[OUT][IN], m[IN], y[OUT];
	const bp_real *src = p->src + c;
	const size_t step = p->step, row_step = p->row_step, col_step = p->col_step;
	for (int j = 0; j < in_w; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < in_h; i++)
			m[i] = vec_load(src + (size_t)(i * in_w) * step);
		along(output_line, kh, m, out_h, y);
#pragma GCC unroll 5
		for (int i = 0; i < out_h; i++)
			t[i][j] = y[i];
	}
	const vec bias = p->bias ? vec_load_part(p->bias + c, left) : vec_zero();
	const int rows = p->rows, cols = p->cols;
	const bool acc = p->acc, relu = p->relu;
	for (int i = 0; i < rows; i++) {
		size_t at = (size_t)i * row_step + c;
		along(output_line, kw, t[i], out_w, y);
#pragma GCC unroll 5
		for (int j = 0; j < out_w; j++, at += col_step) {
			if (j >= cols)
				break;
			vec v = acc ? y[j] + vec_load_part(p->dst + at, left) : y[j];
			v += bias;
			v = relu ? vec_relu(v) : v;
			if (through) /* a NaN lets it through, as in relu_grad */
				v = vec_keep(~(vec_load_part(p->through + at, left) <= vec_zero()), v);
			vec_store_part(p->dst + at, v, left);
		}
	}
}

VEC_INLINE void channels_out(const struct bp_winograd_out *p, const bool through, const int kh, const int kw)
{
	size_t c = 0;
	for (; c + VLEN <= p->channels; c += VLEN)
		tile_out(p, c, VLEN, through, kh, kw);
	if (c < p->channels)
		tile_out(p, c, (int)(p->channels - c), through, kh, kw);
}

void KERNEL_NAME(winograd_output)(const struct bp_winograd_out *p){
#define BODY(h, w) p->through ? channels_out(p, true, h, w) : channels_out(p, false, h, w)
	BP_WINOGRAD_KERNELS(KERNEL_CASE)
#undef BODY
}

VEC_INLINE void weights_in(
	const struct bp_winograd_weights *p, size_t row, int col, const int left, const int kh, const int kw)
{
	vec t[IN][TAPS], w[TAPS], y[IN];
	const int in_h = bp_winograd_reads(kh), in_w = bp_winograd_reads(kw);
	const bp_real *src = p->w + row * p->ld + col;
#pragma GCC unroll 5
	for (int b = 0; b < kw; b++) {
#pragma GCC unroll 5
		for (int a = 0; a < kh; a++)
			w[a] = vec_load_part(src + (size_t)a * p->line_step + (size_t)b * p->tap_step, left);
		along(weight_line, kh, w, kh, y);
#pragma GCC unroll 6
		for (int i = 0; i < in_h; i++)
			t[i][b] = y[i];
	}
	bp_real *dst = p->u + row * p->u_ld + col;
	const size_t step = p->step;
	for (int i = 0; i < in_h; i++, dst += (size_t)in_w * step) {
		along(weight_line, kw, t[i], kw, y);
#pragma GCC unroll 6
		for (int j = 0; j < in_w; j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

VEC_INLINE void all_weights_in(const struct bp_winograd_weights *p, const int kh, const int kw)
{
	for (size_t row = 0; row < p->n; row++) {
		int c = 0;
		for (; c + VLEN <= p->cols; c += VLEN)
			weights_in(p, row, c, VLEN, kh, kw);
		if (c < p->cols)
			weights_in(p, row, c, p->cols - c, kh, kw);
	}
}

void KERNEL_NAME(winograd_weights)(const struct bp_winograd_weights *p){
#define BODY(h, w) all_weights_in(p, h, w)
	BP_WINOGRAD_KERNELS(KERNEL_CASE)
#undef BODY
}

VEC_INLINE void weights_out(
	const struct bp_winograd_weights *p, size_t row, int col, const int left, const int kh, const int kw)
{
	vec t[TAPS][IN], u[IN], y[TAPS];
	const int in_h = bp_winograd_reads(kh), in_w = bp_winograd_reads(kw);
	const bp_real *src = p->u + row * p->u_ld + col;
	const size_t step = p->step, line_step = p->line_step, tap_step = p->tap_step;
	for (int j = 0; j < in_w; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < in_h; i++)
			u[i] = vec_load(src + (size_t)(i * in_w) * step);
		along(weight_gradient_line, kh, u, kh, y);
#pragma GCC unroll 5
		for (int a = 0; a < kh; a++)
			t[a][j] = y[a];
	}
	bp_real *dst = p->w + row * p->ld + col;
#pragma GCC unroll 5
	for (int a = 0; a < kh; a++) {
		along(weight_gradient_line, kw, t[a], kw, y);
#pragma GCC unroll 5
		for (int b = 0; b < kw; b++)
			vec_store_part(dst + (size_t)a * line_step + (size_t)b * tap_step, y[b], left);
	}
}

VEC_INLINE void all_weights_out(const struct bp_winograd_weights *p, const int kh, const int kw)
{
	for (size_t row = 0; row < p->n; row++) {
		int c = 0;
		for (; c + VLEN <= p->cols; c += VLEN)
			weights_out(p, row, c, VLEN, kh, kw);
		if (c < p->cols)
			weights_out(p, row, c, p->cols - c, kh, kw);
	}
}

void KERNEL_NAME(winograd_weights_gradient)(const struct bp_winograd_weights *p)
{
#define BODY(h, w) all_weights_out(p, h, w)
	BP_WINOGRAD_KERNELS(KERNEL_CASE)
#undef BODY
}
