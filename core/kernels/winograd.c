/*
 * winograd.c - the transforms of Winograd's convolutions (winograd.h), vectors along channels. Called by the drivers in
 * core/conv, on any thread.
 *
 * The points at which its polynomials are evaluated are 0, +-h, +-r and infinity with r the root of 2 and h = 1/r, not
 * the usual 0, +-1, +-2: reciprocal points keep the powers near 1 (largest factor 2.8 instead of 8), so the largest
 * error is a fifth (64 channels, 3x3: 1.4e-6 of the largest output instead of 6.8e-6) at the same number of operations.
 * Five inputs do without -r.
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
VEC_INLINE void six_inputs(const vec *d, vec *y)
{
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

/* Without -r: rows (1 -h -2 r 0), (0 -1 -h 1 0), (0 1/3 -h 1/3 0), (0 -1/2 0 1 0), (0 h -1/2 -r 1); that of -h is a
 * third of what the point gives, so that h and -h have one factor in G. */
VEC_INLINE void five_inputs(const vec *d, vec *y)
{
	const vec h = vec_splat(HALF_ROOT), r = vec_splat(ROOT), half = vec_splat((bp_real)0.5);
	const vec odd = d[3] - half * d[1], middle = h * d[2];
	y[0] = d[0] + (r * odd - vec_splat(2) * d[2]);
	y[1] = (d[3] - d[1]) - middle;
	y[2] = vec_splat((bp_real)1 / 3) * (d[3] + d[1]) - middle;
	y[3] = odd;
	y[4] = d[4] - (r * odd + half * d[2]);
}

VEC_INLINE void input_line(const vec *d, const int n, const int reads, vec *y)
{
	(void)n;
	if (reads == IN)
		six_inputs(d, y);
	else
		five_inputs(d, y);
}

/* The polynomial of n coefficients g at all points: rows (1 0 0 ..), f (1 p p^2 ..) for p = h and -h, f2 (1 q q^2 ..)
 * for q = r and, where there are six, -r, (.. 0 0 1). */
VEC_INLINE void evaluate(const vec *g, const int n, const int reads, const bp_real f, const bp_real f2, vec *y)
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
	if (reads == IN)
		y[4] = even2 - vec_splat(f2 * ROOT) * odd2;
	y[reads - 1] = g[n - 1];
}

/* The transposed of evaluate: n sums of what the points hold. */
VEC_INLINE void gather(const vec *m, const int n, const int reads, const bp_real f, const bp_real f2, vec *y)
{
	static const bp_real h[TAPS] = {1, HALF_ROOT, (bp_real)0.5, HALF_ROOT / 2, (bp_real)0.25},
			     r[TAPS] = {1, ROOT, 2, 2 * ROOT, 4};
	const vec s = m[1] + m[2], d = m[1] - m[2];
	const vec s2 = reads == IN ? m[3] + m[4] : m[3], d2 = reads == IN ? m[3] - m[4] : m[3];
#pragma GCC unroll 5
	for (int k = 0; k < n; k++) {
		const bool even = k % 2 == 0;
		vec near = vec_splat(f * h[k]) * (even ? s : d), far = vec_splat(f2 * r[k]) * (even ? s2 : d2);
		y[k] = k == 0 ? m[0] + near + far : k == n - 1 ? near + (far + m[reads - 1]) : near + far;
	}
}

/* y = A g, and y = A^T m. */
VEC_INLINE void gradient_line(const vec *g, const int n, const int reads, vec *y)
{
	evaluate(g, n, reads, 1, 1, y);
}
VEC_INLINE void output_line(const vec *m, const int n, const int reads, vec *y)
{
	gather(m, n, reads, 1, 1, y);
}

/* y = G w, and y = G^T u: the factors are 1 over the products of the differences of the points. */
VEC_INLINE bp_real near_factor(const int reads)
{
	return reads == IN ? (bp_real)-2 / 3 : -ROOT;
}
VEC_INLINE bp_real far_factor(const int reads)
{
	return reads == IN ? (bp_real)1 / 6 : ROOT / 3;
}
VEC_INLINE void weight_line(const vec *w, const int n, const int reads, vec *y)
{
	evaluate(w, n, reads, near_factor(reads), far_factor(reads), y);
}
VEC_INLINE void weight_gradient_line(const vec *u, const int n, const int reads, vec *y)
{
	gather(u, n, reads, near_factor(reads), far_factor(reads), y);
}

/* A one-dimensional transform, to or from n numbers, by `reads` places; where it is a parameter, it is known when
 * compiled. Along an axis of one tap it is the identity. */
typedef void line(const vec *from, int n, int reads, vec *to);

VEC_INLINE void along(line *f, const int reads, const vec *from, const int n, vec *to)
{
	if (reads == 1)
		to[0] = from[0];
	else
		f(from, n, reads, to);
}

/* f(axis, ...) with the axis known when it is compiled. */
#define CASE(t, r, f, ...)                                                                                             \
	case (t)*8 + (r):                                                                                              \
		f((struct bp_winograd_axis){t, r}, __VA_ARGS__);                                                       \
		break;
#define BY_AXIS(axis, f, ...)                                                                                          \
	do {                                                                                                           \
		switch ((axis).taps * 8 + (axis).reads) {                                                              \
			CASE(1, 1, f, __VA_ARGS__)                                                                     \
			CASE(2, 5, f, __VA_ARGS__)                                                                     \
			CASE(3, 5, f, __VA_ARGS__)                                                                     \
			CASE(4, 5, f, __VA_ARGS__)                                                                     \
			CASE(2, 6, f, __VA_ARGS__)                                                                     \
			CASE(3, 6, f, __VA_ARGS__)                                                                     \
			CASE(4, 6, f, __VA_ARGS__)                                                                     \
			CASE(5, 6, f, __VA_ARGS__)                                                                     \
		}                                                                                                      \
	} while (0)

/* Where one transform leaves a tile for the other: row by row. */
struct between {
	vec at[IN][IN];
};

/* The columns of a tile of n rows. */
VEC_INLINE void columns_in(const int n, const int reads, const struct bp_winograd_in *p, size_t c, const int left,
	int cols, line *f, struct between *t)
{
	vec d[IN], y[IN];
	for (int j = 0; j < cols; j++) {
		const bool inside = j >= p->lo && j < p->hi;
		const size_t at = (size_t)j * p->col_step + c;
#pragma GCC unroll 6
		for (int i = 0; i < n; i++)
			d[i] = inside ? vec_load_part(p->rows[i] + at, left) : vec_zero();
		along(f, reads, d, n, y);
#pragma GCC unroll 6
		for (int i = 0; i < reads; i++)
			t->at[i][j] = y[i];
	}
}

/* Rows of a tile, n numbers each, to places. */
VEC_INLINE void rows_to_places(
	const int n, const int reads, int rows, line *f, const struct between *t, bp_real *dst, size_t step)
{
	vec y[IN];
	for (int i = 0; i < rows; i++, dst += (size_t)reads * step) {
		along(f, reads, t->at[i], n, y);
#pragma GCC unroll 6
		for (int j = 0; j < reads; j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

/* B is the same for all taps. */
#define BY_READS(n, f, ...)                                                                                            \
	do {                                                                                                           \
		if ((n) == 1)                                                                                          \
			f(1, 1, __VA_ARGS__);                                                                          \
		else if ((n) == IN)                                                                                    \
			f(IN, IN, __VA_ARGS__);                                                                        \
		else                                                                                                   \
			f(IN - 1, IN - 1, __VA_ARGS__);                                                                \
	} while (0)

VEC_INLINE void tile_in(const struct bp_winograd_in *p, size_t c, const int left, bp_real *dst)
{
	struct between t;
	BY_READS(p->y.reads, columns_in, p, c, left, p->x.reads, input_line, &t);
	BY_READS(p->x.reads, rows_to_places, p->y.reads, input_line, &t, dst, p->step);
}

VEC_INLINE void gradient_columns(const struct bp_winograd_axis y, const struct bp_winograd_in *p, size_t c,
	const int left, int cols, struct between *t)
{
	columns_in(bp_winograd_makes(y), y.reads, p, c, left, cols, gradient_line, t);
}

VEC_INLINE void gradient_rows(
	const struct bp_winograd_axis x, int rows, const struct between *t, bp_real *dst, size_t step)
{
	rows_to_places(bp_winograd_makes(x), x.reads, rows, gradient_line, t, dst, step);
}

VEC_INLINE void gradient_in(const struct bp_winograd_in *p, size_t c, const int left, bp_real *dst)
{
	struct between t;
	BY_AXIS(p->y, gradient_columns, p, c, left, bp_winograd_makes(p->x), &t);
	BY_AXIS(p->x, gradient_rows, p->y.reads, &t, dst, p->step);
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
	const int n, const int reads, int cols, line *f, const bp_real *src, size_t step, struct between *t)
{
	vec m[IN], y[IN];
	for (int j = 0; j < cols; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < reads; i++)
			m[i] = vec_load(src + (size_t)(i * cols) * step);
		along(f, reads, m, n, y);
#pragma GCC unroll 5
		for (int i = 0; i < n; i++)
			t->at[i][j] = y[i];
	}
}

VEC_INLINE void output_columns(
	const struct bp_winograd_axis y, int cols, const bp_real *src, size_t step, struct between *t)
{
	columns_of_places(bp_winograd_makes(y), y.reads, cols, output_line, src, step, t);
}

/* What stays the same is read before anything is stored, so that it need not be read again. */
VEC_INLINE void output_rows(const struct bp_winograd_axis x, const struct bp_winograd_out *p, size_t c, const int left,
	const bool through, const struct between *t)
{
	const size_t row_step = p->row_step, col_step = p->col_step;
	const vec bias = p->bias ? vec_load_part(p->bias + c, left) : vec_zero();
	const int rows = p->rows, cols = p->cols;
	const bool acc = p->acc, relu = p->relu;
	vec y[OUT];
	for (int i = 0; i < rows; i++) {
		size_t at = (size_t)i * row_step + c;
		along(output_line, x.reads, t->at[i], bp_winograd_makes(x), y);
#pragma GCC unroll 5
		for (int j = 0; j < bp_winograd_makes(x); j++, at += col_step) {
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
	BY_AXIS(p->y, output_columns, p->x.reads, p->src + c, p->step, &t);
	BY_AXIS(p->x, output_rows, p, c, left, through, &t);
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
VEC_INLINE void weight_columns(const struct bp_winograd_axis y, const struct bp_winograd_weights *p, const bp_real *src,
	const int left, struct between *t)
{
	vec w[TAPS], u[IN];
	for (int b = 0; b < p->x.taps; b++) {
#pragma GCC unroll 5
		for (int a = 0; a < y.taps; a++)
			w[a] = vec_load_part(src + (size_t)a * p->line_step + (size_t)b * p->tap_step, left);
		along(weight_line, y.reads, w, y.taps, u);
#pragma GCC unroll 6
		for (int i = 0; i < y.reads; i++)
			t->at[i][b] = u[i];
	}
}

VEC_INLINE void weight_rows(
	const struct bp_winograd_axis x, int rows, const struct between *t, bp_real *dst, size_t step)
{
	rows_to_places(x.taps, x.reads, rows, weight_line, t, dst, step);
}

VEC_INLINE void weights_in(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	struct between t;
	BY_AXIS(p->y, weight_columns, p, p->w + row * p->ld + col, left, &t);
	BY_AXIS(p->x, weight_rows, p->y.reads, &t, p->u + row * p->u_ld + col, p->step);
}

VEC_INLINE void weight_gradient_columns(
	const struct bp_winograd_axis y, int cols, const bp_real *src, size_t step, struct between *t)
{
	columns_of_places(y.taps, y.reads, cols, weight_gradient_line, src, step, t);
}

VEC_INLINE void weight_gradient_rows(const struct bp_winograd_axis x, const struct bp_winograd_weights *p, bp_real *dst,
	const int left, const struct between *t)
{
	const size_t line_step = p->line_step, tap_step = p->tap_step;
	const int rows = p->y.taps;
	vec w[TAPS];
	for (int a = 0; a < rows; a++) {
		along(weight_gradient_line, x.reads, t->at[a], x.taps, w);
#pragma GCC unroll 5
		for (int b = 0; b < x.taps; b++)
			vec_store_part(dst + (size_t)a * line_step + (size_t)b * tap_step, w[b], left);
	}
}

VEC_INLINE void weights_out(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	struct between t;
	BY_AXIS(p->y, weight_gradient_columns, p->x.reads, p->u + row * p->u_ld + col, p->step, &t);
	BY_AXIS(p->x, weight_gradient_rows, p, p->w + row * p->ld + col, left, &t);
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
