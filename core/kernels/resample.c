/* resample.c - one row of a map as weighted sums of another map's pixels (resample.h). Called by core/layers, on any
 * thread. */
#include "kernels/resample.h"

#include "kernels/vec.h"

/* y = the sum of n vectors of c channels, each at from[i] times weight[i]; acc: y += it. */
VEC_INLINE void blend(int c, int n, const bp_real *const *from, const bp_real *weight, bool acc, bp_real *y)
{
	for (int j = 0; j < c; j += VLEN) {
		const int left = c - j < VLEN ? c - j : VLEN;
		vec s = !acc ? vec_zero() : left == VLEN ? vec_load(y + j) : vec_load_n(y + j, left);
		for (int i = 0; i < n; i++)
			s += (left == VLEN ? vec_load(from[i] + j) : vec_load_n(from[i] + j, left)) *
			     vec_splat(weight[i]);
		if (left == VLEN)
			vec_store(y + j, s);
		else
			vec_store_n(y + j, s, left);
	}
}

/* Pixels are blended some at a time; a place with more of them is added up in several goes. */
void KERNEL_NAME(resample)(const struct bp_resample *p, int row, const bp_real *x, bool acc, bp_real *y)
{
	enum { PIXELS = 16 };
	const struct bp_resample_axis *v = &p->v, *h = &p->h;
	const bp_real *from[PIXELS];
	bp_real weight[PIXELS];
	for (int ox = 0; ox < h->out; ox++, y += p->c) {
		bool more = acc;
		int n = 0;
		for (int a = v->begin[row]; a < v->begin[row + 1]; a++) {
			for (int b = h->begin[ox]; b < h->begin[ox + 1]; b++) {
				if (n == PIXELS) {
					blend(p->c, n, from, weight, more, y);
					more = true;
					n = 0;
				}
				from[n] = x + ((size_t)v->from[a] * (size_t)h->in + (size_t)h->from[b]) * (size_t)p->c;
				weight[n++] = v->weight[a] * h->weight[b];
			}
		}
		if (n || !more)
			blend(p->c, n, from, weight, more, y);
	}
}
