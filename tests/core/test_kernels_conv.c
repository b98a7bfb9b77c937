/* test_kernels_conv.c - cases of the kernels under the convolution drivers (kernel_cases.h says how cases are found).
 */
#include "kernel_cases.h"

#include "kernels/igemm.h"

#include <check.h>
#include <stdlib.h>

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

static double igemm_element(const struct bp_igemm *p, int i, int j, double before)
{
	double sum = p->acc ? before : 0;
	for (size_t t = 0; t < p->taps; t++)
		for (size_t k = 0; k < p->kc; k++)
			sum += (double)p->a[t * p->a_stride + i][p->k0 + k] * p->b[(t * p->kc + k) * p->ldb + j];
	sum += p->bias ? p->bias[j] : 0;
	return p->relu && sum < 0 ? 0 : sum;
}

void check_igemm(const struct bp_kernels *k, struct draw *d)
{
	struct bp_igemm p = {
		.rows = draw_int(d, 1, k->mr),
		.cols = draw_int(d, 1, k->nr),
		.taps = draw_int(d, 0, 5),
		.kc = draw_int(d, 0, 40),
		.k0 = draw_int(d, 0, 5),
		.col = draw_int(d, 0, 5),
		.acc = draw_bool(d),
		.relu = draw_bool(d),
	};
	p.a_stride = p.rows + draw_int(d, 0, 3);
	size_t nb = (p.cols + k->vlen - 1) / k->vlen * k->vlen, na = p.taps * p.a_stride;
	p.ldb = nb + (draw_bool(d) ? draw_int(d, 0, 9) : 0);
	size_t b_size = p.taps > 0 && p.kc > 0 ? (p.taps * p.kc - 1) * p.ldb + nb : 0;
	size_t wa = p.k0 + p.kc, wc = p.col + p.cols, a_size = rows_size(na, wa), c_size = rows_size(p.rows, wc);
	bp_real *a = guard_new(a_size), *b = guard_new(b_size), *c = guard_new(c_size), *bias = guard_new(p.cols);
	bp_real **rows_a = rows_new(a, na, wa), **rows_c = rows_new(c, p.rows, wc), before[1024];
	draw_reals(d, a, a_size);
	draw_reals(d, b, b_size);
	draw_reals(d, bias, p.cols);
	draw_reals(d, before, (size_t)p.rows * p.cols);
	for (int i = 0; p.acc && i < p.rows; i++)
		for (int j = 0; j < p.cols; j++)
			rows_c[i][p.col + j] = before[i * p.cols + j];
	guard_freeze(a, a_size);
	guard_freeze(b, b_size);
	p.a = (const bp_real *const *)rows_a;
	p.b = b;
	p.c = rows_c;
	p.bias = draw_bool(d) ? bias : NULL;
	k->igemm(&p);
	for (size_t i = 0; i < c_size; i++) {
		size_t row = i / (wc + GAP), j = i % (wc + GAP);
		if (j < p.col || j >= wc)
			ck_assert_msg(c[i] == GUARD_POISON, "%s: igemm wrote beside its columns", k->name);
		else
			check_near(k, "igemm", i, c[i],
				igemm_element(&p, row, j - p.col, before[row * p.cols + j - p.col]),
				rounding(p.taps * p.kc));
	}
	free(rows_a);
	free(rows_c);
	guard_free(a, a_size);
	guard_free(b, b_size);
	guard_free(c, c_size);
	guard_free(bias, p.cols);
}
