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

/* f(taps, ...) with the taps known when it is compiled. */
#define BY_TAPS(taps, f, ...)                                                                                          \
	do {                                                                                                           \
		switch (taps) {                                                                                        \
		case 1:                                                                                                \
			f(1, __VA_ARGS__);                                                                             \
			break;                                                                                         \
		case 2:                                                                                                \
			f(2, __VA_ARGS__);                                                                             \
			break;                                                                                         \
		case 3:                                                                                                \
			f(3, __VA_ARGS__);                                                                             \
			break;                                                                                         \
		case 4:                                                                                                \
			f(4, __VA_ARGS__);                                                                             \
			break;                                                                                         \
		default:                                                                                               \
			f(5, __VA_ARGS__);                                                                             \
		}                                                                                                      \
	} while (0)

/* Where one transform leaves a tile for the other: row by row. */
struct between {
	vec at[IN][IN];
};

/* The columns of a tile of pixels, by a kernel of so many taps down. */
VEC_INLINE void columns_in(const int taps, const struct bp_winograd_in *p, size_t c, const int left, const bool pixels,
	int cols, line *f, struct between *t)
{
	const int rows = pixels ? bp_winograd_reads(taps) : bp_winograd_makes(taps);
	vec d[IN], y[IN];
	for (int j = 0; j < cols; j++) {
		const bool inside = j >= p->lo && j < p->hi;
		const size_t at = (size_t)j * p->col_step + c;
#pragma GCC unroll 6
		for (int i = 0; i < rows; i++)
			d[i] = inside ? vec_load_part(p->rows[i] + at, left) : vec_zero();
		along(f, taps, d, rows, y);
#pragma GCC unroll 6
		for (int i = 0; i < bp_winograd_reads(taps); i++)
			t->at[i][j] = y[i];
	}
}

/* Rows of a tile, n numbers each, to places. */
VEC_INLINE void rows_to_places(
	const int taps, const int n, int rows, line *f, const struct between *t, bp_real *dst, size_t step)
{
	vec y[IN];
	for (int i = 0; i < rows; i++, dst += (size_t)bp_winograd_reads(taps) * step) {
		along(f, taps, t->at[i], n, y);
#pragma GCC unroll 6
		for (int j = 0; j < bp_winograd_reads(taps); j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

/* B needs only know whether there is more than one tap. */
VEC_INLINE void tile_in(const struct bp_winograd_in *p, size_t c, const int left, bp_real *dst)
{
	struct between t;
	const int in_h = bp_winograd_reads(p->kh), in_w = bp_winograd_reads(p->kw);
	if (p->kh == 1)
		columns_in(1, p, c, left, true, in_w, input_line, &t);
	else
		columns_in(TAPS, p, c, left, true, in_w, input_line, &t);
	if (p->kw == 1)
		rows_to_places(1, 1, in_h, input_line, &t, dst, p->step);
	else
		rows_to_places(TAPS, IN, in_h, input_line, &t, dst, p->step);
}

VEC_INLINE void gradient_rows(const int taps, int rows, const struct between *t, bp_real *dst, size_t step)
{
	rows_to_places(taps, bp_winograd_makes(taps), rows, gradient_line, t, dst, step);
}

VEC_INLINE void gradient_in(const struct bp_winograd_in *p, size_t c, const int left, bp_real *dst)
{
	struct between t;
	BY_TAPS(p->kh, columns_in, p, c, left, false, bp_winograd_makes(p->kw), gradient_line, &t);
	BY_TAPS(p->kw, gradient_rows, bp_winograd_reads(p->kh), &t, dst, p->step);
}

/* Each vector of channels of a tile. */
VEC_INLINE void all_channels(const struct bp_winograd_in *p,
	void (*const tile)(const struct bp_winograd_in *p, size_t c, int left, bp_real *dst))
{
	bp_real *group = p->dst;
	for (size_t first = 0; first < p->channels; first += p->panel, group += p->panel_step) {
		const size_t end = p->channels - first < p->panel ? p->channels : first + p->panel;
		bp_real *dst = group;
		size_t c = first;
		for (; c + VLEN <= end; c += VLEN, dst += VLEN)
			tile(p, c, VLEN, dst);
		if (c < end)
			tile(p, c, (int)(end - c), dst);
	}
}

void KERNEL_NAME(winograd_input)(const struct bp_winograd_in *p)
{
	all_channels(p, tile_in);
}

void KERNEL_NAME(winograd_gradient)(const struct bp_winograd_in *p)
{
	all_channels(p, gradient_in);
}

/* The columns of a tile of places, `cols` of them, to n numbers each. */
VEC_INLINE void columns_of_places(
	const int taps, const int n, int cols, line *f, const bp_real *src, size_t step, struct between *t)
{
	vec m[IN], y[IN];
	for (int j = 0; j < cols; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < bp_winograd_reads(taps); i++)
			m[i] = vec_load(src + (size_t)(i * cols) * step);
		along(f, taps, m, n, y);
#pragma GCC unroll 5
		for (int i = 0; i < n; i++)
			t->at[i][j] = y[i];
	}
}

VEC_INLINE void output_columns(const int taps, int cols, const bp_real *src, size_t step, struct between *t)
{
	columns_of_places(taps, bp_winograd_makes(taps), cols, output_line, src, step, t);
}

/* What stays the same is read before anything is stored, so that it need not be read again. */
VEC_INLINE void output_rows(const int taps, const struct bp_winograd_out *p, size_t c, const int left,
	const bool through, const struct between *t)
{
	const size_t row_step = p->row_step, col_step = p->col_step;
	const vec bias = p->bias ? vec_load_part(p->bias + c, left) : vec_zero();
	const int rows = p->rows, cols = p->cols;
	const bool acc = p->acc, relu = p->relu;
	vec y[OUT];
	for (int i = 0; i < rows; i++) {
		size_t at = (size_t)i * row_step + c;
		along(output_line, taps, t->at[i], bp_winograd_makes(taps), y);
#pragma GCC unroll 5
		for (int j = 0; j < bp_winograd_makes(taps); j++, at += col_step) {
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

VEC_INLINE void tile_out(const struct bp_winograd_out *p, size_t c, const int left, const bool through)
{
	struct between t;
	BY_TAPS(p->kh, output_columns, bp_winograd_reads(p->kw), p->src + c, p->step, &t);
	BY_TAPS(p->kw, output_rows, p, c, left, through, &t);
}

VEC_INLINE void channels_out(const struct bp_winograd_out *p, const bool through)
{
	size_t c = 0;
	for (; c + VLEN <= p->channels; c += VLEN)
		tile_out(p, c, VLEN, through);
	if (c < p->channels)
		tile_out(p, c, (int)(p->channels - c), through);
}

void KERNEL_NAME(winograd_output)(const struct bp_winograd_out *p)
{
	if (p->through)
		channels_out(p, true);
	else
		channels_out(p, false);
}

/* The columns of a kernel. */
VEC_INLINE void weight_columns(
	const int taps, const struct bp_winograd_weights *p, const bp_real *src, const int left, struct between *t)
{
	vec w[TAPS], y[IN];
	for (int b = 0; b < p->kw; b++) {
#pragma GCC unroll 5
		for (int a = 0; a < taps; a++)
			w[a] = vec_load_part(src + (size_t)a * p->line_step + (size_t)b * p->tap_step, left);
		along(weight_line, taps, w, taps, y);
#pragma GCC unroll 6
		for (int i = 0; i < bp_winograd_reads(taps); i++)
			t->at[i][b] = y[i];
	}
}

VEC_INLINE void weight_rows(const int taps, int rows, const struct between *t, bp_real *dst, size_t step)
{
	rows_to_places(taps, taps, rows, weight_line, t, dst, step);
}

VEC_INLINE void weights_in(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	struct between t;
	BY_TAPS(p->kh, weight_columns, p, p->w + row * p->ld + col, left, &t);
	BY_TAPS(p->kw, weight_rows, bp_winograd_reads(p->kh), &t, p->u + row * p->u_ld + col, p->step);
}

VEC_INLINE void weight_gradient_columns(const int taps, int cols, const bp_real *src, size_t step, struct between *t)
{
	columns_of_places(taps, taps, cols, weight_gradient_line, src, step, t);
}

VEC_INLINE void weight_gradient_rows(
	const int taps, const struct bp_winograd_weights *p, bp_real *dst, const int left, const struct between *t)
{
	const size_t line_step = p->line_step, tap_step = p->tap_step;
	const int rows = p->kh;
	vec y[TAPS];
	for (int a = 0; a < rows; a++) {
		along(weight_gradient_line, taps, t->at[a], taps, y);
#pragma GCC unroll 5
		for (int b = 0; b < taps; b++)
			vec_store_part(dst + (size_t)a * line_step + (size_t)b * tap_step, y[b], left);
	}
}

VEC_INLINE void weights_out(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	struct between t;
	BY_TAPS(p->kh, weight_gradient_columns, bp_winograd_reads(p->kw), p->u + row * p->u_ld + col, p->step, &t);
	BY_TAPS(p->kw, weight_gradient_rows, p, p->w + row * p->ld + col, left, &t);
}

/* Each vector of columns of each row. */
VEC_INLINE void all_weights(const struct bp_winograd_weights *p,
	void (*const f)(const struct bp_winograd_weights *p, size_t row, int col, int left))
{
	for (size_t row = 0; row < p->n; row++) {
		int c = 0;
		for (; c + VLEN <= p->cols; c += VLEN)
			f(p, row, c, VLEN);
		if (c < p->cols)
			f(p, row, c, p->cols - c);
	}
}

void KERNEL_NAME(winograd_weights)(const struct bp_winograd_weights *p)
{
	all_weights(p, weights_in);
}

void KERNEL_NAME(winograd_weights_gradient)(const struct bp_winograd_weights *p)
{
	all_weights(p, weights_out);
}
