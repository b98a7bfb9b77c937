/*
 * winograd.c - the transforms of Winograd's convolution F(4x4, 3x3) (winograd.h), vectors along channels. Called by the
 * drivers in core/conv, on any thread.
 *
 * The points at which its polynomials are evaluated are 0, +-h, +-r and infinity with r the root of 2 and h = 1/r, not
 * the usual 0, +-1, +-2: reciprocal points keep the powers near 1 (largest factor 2.8 instead of 8), so the largest
 * error is a fifth (64 channels: 1.4e-6 of the largest output instead of 6.8e-6) at the same number of operations.
 *
 * Each transform is a one-dimensional one on the columns, then on the rows, of a tile that lies in L1 in between. They
 * are bound by loads and stores: about 70 stores for 8 channels of a tile at 32-byte vectors.
 */
#include "kernels/winograd.h"
#include "kernels/vec.h"

enum { OUT = BP_WINOGRAD_OUT, IN = BP_WINOGRAD_IN, TAPS = 3 };

#define ROOT ((bp_real)1.41421356237309504880)
#define HALF_ROOT ((bp_real)0.70710678118654752440)

/* y = B^T d: rows (1 0 -5/2 0 1 0), (0 -2p -2 p 1 0) for p = h and -h, (0 -q/2 -1/2 q 1 0) for q = r and -r,
 * (0 1 0 -5/2 0 1). */
VEC_INLINE void input_line(const vec d[IN], vec y[IN])
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

/* y = A^T m: rows (1 1 1 1 1 0), (0 h -h r -r 0), (0 1/2 1/2 2 2 0), (0 h/2 -h/2 2r -2r 1). */
VEC_INLINE void output_line(const vec m[IN], vec y[OUT])
{
	const vec h = vec_splat(HALF_ROOT), h_half = vec_splat(HALF_ROOT / 2), two_r = vec_splat(2 * ROOT);
	const vec two = vec_splat(2), half = vec_splat((bp_real)0.5);
	vec s = m[1] + m[2], d = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
	y[0] = m[0] + s + s2;
	y[1] = h * (d + two * d2);
	y[2] = half * s + two * s2;
	y[3] = h_half * d + (two_r * d2 + m[5]);
}

/* y = A g: the transposed of output_line. */
VEC_INLINE void gradient_line(const vec g[OUT], vec y[IN])
{
	const vec h = vec_splat(HALF_ROOT), r = vec_splat(ROOT), two = vec_splat(2), half = vec_splat((bp_real)0.5);
	vec even = g[0] + half * g[2], odd = g[1] + half * g[3], even2 = g[0] + two * g[2], odd2 = g[1] + two * g[3];
	y[0] = g[0];
	y[1] = even + h * odd;
	y[2] = even - h * odd;
	y[3] = even2 + r * odd2;
	y[4] = even2 - r * odd2;
	y[5] = g[3];
}

/* y = G w: rows (1 0 0), -(2 2p 1) / 3 for p = h and -h, (1 q 2) / 6 for q = r and -r, (0 0 1). */
VEC_INLINE void weight_line(const vec w[TAPS], vec y[IN])
{
	const vec third = vec_splat((bp_real)1 / 3), sixth = vec_splat((bp_real)1 / 6);
	const vec two_thirds = vec_splat((bp_real)2 / 3), r3 = vec_splat(ROOT / 3), r6 = vec_splat(ROOT / 6);
	vec even = two_thirds * w[0] + third * w[2], odd = r3 * w[1];
	vec even2 = sixth * w[0] + third * w[2], odd2 = r6 * w[1];
	y[0] = w[0];
	y[1] = -even - odd;
	y[2] = odd - even;
	y[3] = even2 + odd2;
	y[4] = even2 - odd2;
	y[5] = w[2];
}

/* y = G^T u: the transposed of weight_line. */
VEC_INLINE void weight_gradient_line(const vec u[IN], vec y[TAPS])
{
	const vec third = vec_splat((bp_real)1 / 3), sixth = vec_splat((bp_real)1 / 6);
	const vec two_thirds = vec_splat((bp_real)2 / 3), r3 = vec_splat(ROOT / 3), r6 = vec_splat(ROOT / 6);
	vec s = u[1] + u[2], d = u[2] - u[1], s2 = u[3] + u[4], d2 = u[3] - u[4];
	y[0] = u[0] - two_thirds * s + sixth * s2;
	y[1] = r3 * d + r6 * d2;
	y[2] = third * (s2 - s) + u[5];
}

/* A one-dimensional transform; where it is a parameter, it is known when compiled. */
typedef void line(const vec *from, vec *to);

/* One vector of channels of a tile of `side` x `side` pixels. What stays the same is read before anything is stored,
 * so that it need not be read again. */
VEC_INLINE void tile_in(const struct bp_winograd_in *p, size_t c, bp_real *dst, const int left, const int side, line *f)
{
	vec t[IN][IN], d[IN], y[IN];
	const size_t step = p->step;
	for (int j = 0; j < side; j++) {
		const bool inside = j >= p->lo && j < p->hi;
		const size_t at = (size_t)j * p->col_step + c;
#pragma GCC unroll 6
		for (int i = 0; i < side; i++)
			d[i] = inside ? vec_load_part(p->rows[i] + at, left) : vec_zero();
		f(d, y);
#pragma GCC unroll 6
		for (int i = 0; i < IN; i++)
			t[i][j] = y[i];
	}
	for (int i = 0; i < IN; i++, dst += IN * step) {
		f(t[i], y);
#pragma GCC unroll 6
		for (int j = 0; j < IN; j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

VEC_INLINE void all_channels(const struct bp_winograd_in *p, const int side, line *f)
{
	bp_real *group = p->dst;
	for (size_t first = 0; first < p->channels; first += p->panel, group += p->panel_step) {
		const size_t end = p->channels - first < p->panel ? p->channels : first + p->panel;
		bp_real *dst = group;
		size_t c = first;
		for (; c + VLEN <= end; c += VLEN, dst += VLEN)
			tile_in(p, c, dst, VLEN, side, f);
		if (c < end)
			tile_in(p, c, dst, (int)(end - c), side, f);
	}
}

void KERNEL_NAME(winograd_input)(const struct bp_winograd_in *p)
{
	all_channels(p, IN, input_line);
}

void KERNEL_NAME(winograd_gradient)(const struct bp_winograd_in *p)
{
	all_channels(p, OUT, gradient_line);
}

VEC_INLINE void tile_out(const struct bp_winograd_out *p, size_t c, const int left, const bool through)
{
	vec t[OUT][IN], m[IN], y[OUT];
	const bp_real *src = p->src + c;
	const size_t step = p->step, row_step = p->row_step, col_step = p->col_step;
	for (int j = 0; j < IN; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < IN; i++)
			m[i] = vec_load(src + (size_t)(i * IN) * step);
		output_line(m, y);
#pragma GCC unroll 4
		for (int i = 0; i < OUT; i++)
			t[i][j] = y[i];
	}
	const vec bias = p->bias ? vec_load_part(p->bias + c, left) : vec_zero();
	const int rows = p->rows, cols = p->cols;
	const bool acc = p->acc, relu = p->relu;
	for (int i = 0; i < rows; i++) {
		size_t at = (size_t)i * row_step + c;
		output_line(t[i], y);
#pragma GCC unroll 4
		for (int j = 0; j < OUT; j++, at += col_step) {
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

VEC_INLINE void weights_in(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	vec t[IN][TAPS], w[TAPS], y[IN];
	const bp_real *src = p->w + row * p->ld + col;
#pragma GCC unroll 3
	for (int b = 0; b < TAPS; b++) {
#pragma GCC unroll 3
		for (int a = 0; a < TAPS; a++)
			w[a] = vec_load_part(src + (size_t)(a * TAPS + b) * p->tap_step, left);
		weight_line(w, y);
#pragma GCC unroll 6
		for (int i = 0; i < IN; i++)
			t[i][b] = y[i];
	}
	bp_real *dst = p->u + row * p->u_ld + col;
	const size_t step = p->step;
	for (int i = 0; i < IN; i++, dst += IN * step) {
		weight_line(t[i], y);
#pragma GCC unroll 6
		for (int j = 0; j < IN; j++)
			vec_store(dst + (size_t)j * step, y[j]);
	}
}

void KERNEL_NAME(winograd_weights)(const struct bp_winograd_weights *p)
{
	for (size_t row = 0; row < p->n; row++) {
		int c = 0;
		for (; c + VLEN <= p->cols; c += VLEN)
			weights_in(p, row, c, VLEN);
		if (c < p->cols)
			weights_in(p, row, c, p->cols - c);
	}
}

VEC_INLINE void weights_out(const struct bp_winograd_weights *p, size_t row, int col, const int left)
{
	vec t[TAPS][IN], u[IN], y[TAPS];
	const bp_real *src = p->u + row * p->u_ld + col;
	const size_t step = p->step, tap_step = p->tap_step;
	for (int j = 0; j < IN; j++, src += step) {
#pragma GCC unroll 6
		for (int i = 0; i < IN; i++)
			u[i] = vec_load(src + (size_t)(i * IN) * step);
		weight_gradient_line(u, y);
#pragma GCC unroll 3
		for (int a = 0; a < TAPS; a++)
			t[a][j] = y[a];
	}
	bp_real *dst = p->w + row * p->ld + col;
#pragma GCC unroll 3
	for (int a = 0; a < TAPS; a++) {
		weight_gradient_line(t[a], y);
#pragma GCC unroll 3
		for (int b = 0; b < TAPS; b++)
			vec_store_part(dst + (size_t)(a * TAPS + b) * tap_step, y[b], left);
	}
}

void KERNEL_NAME(winograd_weights_gradient)(const struct bp_winograd_weights *p)
{
	for (size_t row = 0; row < p->n; row++) {
		int c = 0;
		for (; c + VLEN <= p->cols; c += VLEN)
			weights_out(p, row, c, VLEN);
		if (c < p->cols)
			weights_out(p, row, c, p->cols - c);
	}
}
