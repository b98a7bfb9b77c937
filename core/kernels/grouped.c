/*
 * grouped.c - convolutions in groups narrower than a vector (grouped.h), a line of outputs at a time, vectors along the
 * channels of several groups. Called by the driver in core/conv, on any thread.
 *
 * A product with the group's own few weights would leave most lanes empty. Here every lane of a source has its own
 * weight for each of the `per` targets that it adds to, and the targets' sums lie side by side until the taps are done:
 * sum r of lane j belongs to lane j ^ r, and log2(per) rounds of swaps bring them together. So 9 per multiply-adds of a
 * 3x3 kernel cost per - 1 shuffles. Channels go outside and points inside: a vector's weights stay in L1. Against an
 * indirect GEMM of `per` columns (AVX-512, one thread, 3x3): 128 channels in 32 groups on 56x56 maps went from 9 to 88,
 * 89 and 77 GFLOP/s (forward, dx, dW), 256 in 32 on 28x28 from 55, 57 and 49 to 86, 88 and 83; with groups as wide as a
 * vector the GEMM is as fast.
 */
#include "kernels/grouped.h"
#include "kernels/lanes.h"
#include "kernels/lines.h"

/* Sums that are kept in registers, of several points. */
#if VBYTES == 64 || defined __aarch64__
enum { SUMS = 24, MOST = 8 };
#else
enum { SUMS = 8, MOST = 4 };
#endif

/* How many points are done together. */
#define TOGETHER(per) ((per) > SUMS ? 1 : SUMS / (per) > MOST ? MOST : SUMS / (per))

/* One round: the upper half of the sums, each on its lanes' partners, to the lower. */
VEC_INLINE void gather(vec *s, const int half)
{
#pragma GCC unroll 8
	for (int r = 0; r < half; r++)
		s[r] += vec_swap(s[r + half], half);
}

/* Its reverse: x[r + half] is x[r] with its lanes swapped. */
VEC_INLINE void scatter(vec *x, const int half)
{
#pragma GCC unroll 8
	for (int r = 0; r < half; r++)
		x[r + half] = vec_swap(x[r], half);
}

/* The sums of n points, a vector of channels from j. */
VEC_INLINE void strip(const struct bp_grouped *d, size_t p, const int n, size_t j, const int left, const int per)
{
	vec s[MOST][BP_GROUPED_LARGEST];
#pragma GCC unroll 8
	for (int i = 0; i < n; i++)
#pragma GCC unroll 8
		for (int r = 0; r < per; r++)
			s[i][r] = vec_zero();
	for (int a = 0; a < d->kh; a++) {
		const bp_real *x = d->x + a * d->x_line + (ptrdiff_t)p * d->x_step + (ptrdiff_t)j;
		const bp_real *w = d->w + j / VLEN * d->panel + a * d->w_line;
		for (int b = 0; b < d->kw; b++, x += d->x_tap, w += d->w_tap) {
			vec v[MOST];
#pragma GCC unroll 8
			for (int i = 0; i < n; i++)
				v[i] = vec_load_part(x + i * d->x_step, left);
#pragma GCC unroll 8
			for (int r = 0; r < per; r++) {
				vec wv = vec_load(w + r * VLEN);
#pragma GCC unroll 8
				for (int i = 0; i < n; i++)
					s[i][r] += v[i] * wv;
			}
		}
	}
#pragma GCC unroll 8
	for (int i = 0; i < n; i++) {
		bp_real *y = d->y + (p + (size_t)i) * d->y_step + j;
		if (per == 8)
			gather(s[i], 4);
		if (per >= 4)
			gather(s[i], 2);
		gather(s[i], 1);
		vec sum = s[i][0];
		if (d->acc)
			sum += vec_load_part(y, left);
		if (d->bias)
			sum += vec_load_part(d->bias + j, left);
		if (d->relu)
			sum = vec_relu(sum);
		vec_store_part(y, sum, left);
	}
	ask_lines(d->ahead, p, n, d->channels, j);
}

VEC_INLINE void line(const struct bp_grouped *d, size_t j, const int left, const int per)
{
	size_t p = 0;
	for (; p + TOGETHER(per) <= d->points; p += TOGETHER(per))
		strip(d, p, TOGETHER(per), j, left, per);
	if (TOGETHER(per) > 2)
		for (; p + 2 <= d->points; p += 2)
			strip(d, p, 2, j, left, per);
	for (; p < d->points; p++)
		strip(d, p, 1, j, left, per);
}

/* Each share of a tap's weights: dW += G X of n points, whose inputs have their lanes swapped in all ways once. */
VEC_INLINE void share(
	const struct bp_grouped_weights *d, size_t p, const int n, size_t j, const int left, const int per)
{
	vec x[MOST][BP_GROUPED_LARGEST];
#pragma GCC unroll 8
	for (int i = 0; i < n; i++) {
		x[i][0] = vec_load_part(d->x + (p + (size_t)i) * d->x_step + j, left);
		scatter(x[i], 1);
		if (per >= 4)
			scatter(x[i], 2);
		if (per == 8)
			scatter(x[i], 4);
	}
	for (int a = 0; a < d->kh; a++) {
		const bp_real *g = d->g + a * d->g_line + (ptrdiff_t)(p * d->channels + j);
		bp_real *dw = d->dw + j / VLEN * d->panel + a * d->w_line;
		for (int b = 0; b < d->kw; b++, g += d->g_tap, dw += d->w_tap) {
			vec v[MOST];
#pragma GCC unroll 8
			for (int i = 0; i < n; i++)
				v[i] = vec_load_part(g + (size_t)i * d->channels, left);
#pragma GCC unroll 8
			for (int r = 0; r < per; r++) {
				vec t = vec_load(dw + r * VLEN);
#pragma GCC unroll 8
				for (int i = 0; i < n; i++)
					t += v[i] * x[i][r];
				vec_store(dw + r * VLEN, t);
			}
		}
	}
}

VEC_INLINE void shares(const struct bp_grouped_weights *d, size_t j, const int left, const int per)
{
	size_t p = 0;
	for (; p + TOGETHER(per) <= d->points; p += TOGETHER(per))
		share(d, p, TOGETHER(per), j, left, per);
	if (TOGETHER(per) > 2)
		for (; p + 2 <= d->points; p += 2)
			share(d, p, 2, j, left, per);
	for (; p < d->points; p++)
		share(d, p, 1, j, left, per);
}

/* fn on every vector of channels; groups are not cut, for per divides VLEN. */
#define EACH_VECTOR(fn, d, per)                                                                                        \
	do {                                                                                                           \
		size_t j = 0;                                                                                          \
		for (; j + VLEN <= (d)->channels; j += VLEN)                                                           \
			fn(d, j, VLEN, per);                                                                           \
		if (j < (d)->channels)                                                                                 \
			fn(d, j, (int)((d)->channels - j), per);                                                       \
	} while (0)

/* Each width of a group is code of its own; those wider than a vector are never asked for. */
#define EACH_WIDTH(fn, d)                                                                                              \
	do {                                                                                                           \
		if ((d)->per == 2)                                                                                     \
			EACH_VECTOR(fn, d, 2);                                                                         \
		else if (LANES >= 4 && (d)->per == 4)                                                                  \
			EACH_VECTOR(fn, d, (LANES < 4 ? 2 : 4));                                                       \
		else if (LANES >= 8 && (d)->per == 8)                                                                  \
			EACH_VECTOR(fn, d, (LANES < 8 ? 2 : 8));                                                       \
	} while (0)

void KERNEL_NAME(grouped)(const struct bp_grouped *args)
{
	const struct bp_grouped copy = *args, *d = &copy; /* ours: stores cannot change it */
	EACH_WIDTH(line, d);
}

void KERNEL_NAME(grouped_weights)(const struct bp_grouped_weights *args)
{
	const struct bp_grouped_weights copy = *args, *d = &copy;
	EACH_WIDTH(shares, d);
}
