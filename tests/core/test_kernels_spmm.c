/* test_kernels_spmm.c - cases of the kernels for rows that are mostly zeros (kernel_cases.h says how cases are found).
 */
#include "kernel_cases.h"

#include "kernels/spmm.h"

#include <check.h>
#include <math.h>
#include <string.h>

enum { ROWS = 5, INNER = 60, GAP = 3 };

/* In ascending order, some of the numbers below inner. */
static size_t draw_places(struct draw *d, size_t inner, uint16_t *ret)
{
	const int percent = draw_int(d, 0, 100);
	size_t n = 0;
	for (size_t i = 0; i < inner; i++)
		if (draw_int(d, 1, 100) <= percent)
			ret[n++] = (uint16_t)i;
	return n;
}

static double spmm_element(const struct bp_spmm *p, size_t i, size_t j, double before)
{
	const uint16_t *places = p->places + i * p->place_step;
	double sum = p->acc ? before : 0;
	for (size_t at = 0; at < p->counts[i * p->count_step]; at++)
		sum += (double)p->a[i * p->lda + places[at]] * p->b[places[at] * p->ldb + j];
	sum += p->bias ? p->bias[j] : 0;
	return p->relu && sum < 0 ? 0 : sum;
}

void check_spmm(const struct bp_kernels *k, struct draw *d)
{
	uint16_t places[ROWS * INNER], counts[2 * ROWS];
	struct bp_spmm p = {.rows = (size_t)draw_int(d, 0, ROWS),
		.cols = (size_t)draw_int(d, 1, BP_SPMM_COLS),
		.counts = counts,
		.places = places,
		.count_step = (size_t)draw_int(d, 1, 2),
		.acc = draw_bool(d),
		.relu = draw_bool(d)};
	const size_t inner = (size_t)draw_int(d, 1, INNER), vlen = (size_t)k->vlen;
	const size_t nb = (p.cols + vlen - 1) / vlen * vlen;
	p.lda = inner + (size_t)draw_int(d, 0, 3);
	p.place_step = (size_t)draw_int(d, (int)inner, INNER);
	p.ldb = nb + (size_t)draw_int(d, 0, 9);
	p.ldc = p.cols + GAP;
	const size_t a_size = ROWS * p.lda, b_size = (inner - 1) * p.ldb + nb, c_size = ROWS * p.ldc;
	bp_real *a = guard_new(a_size), *b = guard_new(b_size), *c = guard_new(c_size), *bias = guard_new(p.cols);
	bp_real before[ROWS * (BP_SPMM_COLS + GAP)];
	draw_reals(d, a, a_size);
	draw_reals(d, b, b_size);
	draw_reals(d, bias, p.cols);
	draw_reals(d, before, c_size);
	for (size_t i = 0; i < ROWS; i++) {
		counts[i * p.count_step] = draw_int(d, 0, 4)
						   ? (uint16_t)draw_places(d, inner, places + i * p.place_step)
						   : BP_SPMM_SKIPPED;
		for (size_t j = 0; p.acc && j < p.cols; j++)
			c[i * p.ldc + j] = before[i * p.ldc + j];
	}
	guard_freeze(a, a_size);
	guard_freeze(b, b_size);
	guard_freeze(bias, p.cols);
	p.a = a;
	p.b = b;
	p.c = c;
	p.bias = draw_bool(d) ? bias : NULL;
	k->spmm(&p);
	for (size_t i = 0; i < c_size; i++) {
		const size_t row = i / p.ldc, j = i % p.ldc;
		const double untouched = p.acc && j < p.cols ? before[i] : GUARD_POISON;
		if (row >= p.rows || j >= p.cols || counts[row * p.count_step] == BP_SPMM_SKIPPED)
			check_near(k, "beside a product of listed rows", i, c[i], untouched, 0);
		else
			check_near(k, "product of listed rows", i, c[i], spmm_element(&p, row, j, before[i]),
				rounding(inner));
	}
	guard_free(a, a_size);
	guard_free(b, b_size);
	guard_free(c, c_size);
	guard_free(bias, p.cols);
}

void check_nonzeros(const struct bp_kernels *k, struct draw *d)
{
	static uint16_t places[2000 + BP_NONZEROS_SPILL + 1];
	const size_t n = (size_t)draw_int(d, 0, draw_bool(d) ? 2000 : 70), end = n + BP_NONZEROS_SPILL;
	const int percent = draw_int(d, 0, 100);
	bp_real *x = guard_new(n);
	for (size_t i = 0; i < n; i++) {
		const bp_real some = draw_int(d, 0, 9) ? draw_real(d) : draw_bool(d) ? NAN : (bp_real)1e-42;
		x[i] = draw_int(d, 1, 100) <= percent ? some : draw_bool(d) ? 0 : (bp_real)-0.0;
	}
	guard_freeze(x, n);
	memset(places, 0x5a, sizeof places);
	const size_t found = k->nonzeros(n, x, places);
	size_t want = 0;
	for (size_t i = 0; i < n; i++)
		if (x[i] != 0 && (want >= found || places[want++] != i))
			ck_abort_msg("%s: element %zu of %zu is not listed", k->name, i, n);
	ck_assert_uint_eq(found, want);
	ck_assert_uint_eq(places[end], 0x5a5a);
	guard_free(x, n);
}
