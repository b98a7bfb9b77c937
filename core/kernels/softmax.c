/* softmax.c - the exponentials of a row and their sum. Called by losses/cross_entropy.c inside its parallel loop. */
#include "kernels/exp.h"

enum { STRIP = 16 }; /* vectors summed in bp_real before they go into the double */

bp_real KERNEL_NAME(softmax_sum)(const bp_real *x, int64_t n, bp_real *ret_exp, double *ret_sum)
{
	bp_real max = x[0];
	for (int64_t i = 1; i < n; i++)
		max = max < x[i] ? x[i] : max;
	double sum = 0;
	for (int64_t i = 0; i < n;) {
		vec strip = vec_zero();
		for (int j = 0; j < STRIP && i < n; j++, i += VLEN) {
			int count = n - i < VLEN ? (int)(n - i) : VLEN;
			vec e = vec_exp(vec_load_n(x + i, count) - max);
			if (ret_exp)
				vec_store_n(ret_exp + i, e, count);
			strip += vec_keep(vec_first(count), e);
		}
		sum += (double)vec_sum(strip);
	}
	*ret_sum = sum;
	return max;
}
