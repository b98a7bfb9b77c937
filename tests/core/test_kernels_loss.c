/* test_kernels_loss.c - cases of the kernels that a loss and its accuracy are made of (kernel_cases.h). */
#include "kernel_cases.h"

#include "kernels/cross_entropy.h"

#include <math.h>
#include <string.h>

struct labelled {
	size_t rows, n;
	bp_real *x;
	int32_t labels[40];
};

/* Rows of few outputs, which are worked on side by side, and of many. Now and then equal and infinite outputs or a NaN.
 */
static void labelled_init(struct labelled *t, struct draw *d)
{
	const bp_real spread = (bp_real)(draw_bool(d) ? 1 : 60);
	*t = (struct labelled){.rows = (size_t)draw_int(d, 1, 40), .n = (size_t)draw_int(d, 1, 12)};
	if (draw_int(d, 0, 3) == 0)
		t->n = (size_t)draw_int(d, 13, 300);
	t->x = guard_new(t->rows * t->n);
	draw_reals(d, t->x, t->rows * t->n);
	for (size_t i = 0; i < t->rows; i++)
		t->labels[i] = (int32_t)draw_int(d, 0, (int)t->n - 1);
	for (size_t i = 0; i < t->rows * t->n; i++)
		t->x[i] *= spread;
	for (int i = draw_int(d, 0, 3); i > 0; i--) {
		bp_real *row = t->x + (size_t)draw_int(d, 0, (int)t->rows - 1) * t->n;
		size_t to = (size_t)draw_int(d, 0, (int)t->n - 1);
		const bp_real odd[] = {(bp_real)NAN, (bp_real)-INFINITY, row[draw_int(d, 0, (int)t->n - 1)]};
		row[to] = odd[draw_int(d, 0, 2)];
	}
	guard_freeze(t->x, t->rows * t->n);
}

/* The largest of a row, the first of equals as PyTorch's argmax on numbers; a NaN in front is never passed. */
static size_t largest_at(const bp_real *x, size_t n)
{
	size_t best = 0;
	for (size_t j = 1; j < n; j++)
		if (x[j] > x[best])
			best = j;
	return best;
}

static void check_row(const struct bp_kernels *k, const struct bp_cross_entropy *p, size_t i)
{
	const bp_real *x = p->x + i * p->n, *grad = p->ret_gradient ? p->ret_gradient + i * p->n : NULL;
	double max = (double)x[largest_at(x, p->n)], sum = 0;
	for (size_t j = 0; j < p->n; j++)
		sum += exp((double)x[j] - max);
	check_near(k, "loss", i, (bp_real)p->ret_loss[i], log(sum) - ((double)x[p->labels[i]] - max), rounding(p->n));
	for (size_t j = 0; j < p->n && grad; j++) {
		double want = exp((double)x[j] - max) / sum - (j == (size_t)p->labels[i]);
		check_near(k, "gradient", i * p->n + j, grad[j], (double)p->scale * want, rounding(p->n));
	}
}

void check_cross_entropy(const struct bp_kernels *k, struct draw *d)
{
	struct labelled t;
	double loss[41];
	labelled_init(&t, d);
	bp_real *grad = guard_new(t.rows * t.n);
	loss[t.rows] = -1;
	struct bp_cross_entropy p = {.rows = t.rows,
		.n = t.n,
		.x = t.x,
		.labels = t.labels,
		.scale = (bp_real)1 / (bp_real)t.rows,
		.ret_loss = loss,
		.ret_gradient = draw_bool(d) ? grad : NULL};
	k->cross_entropy(&p);
	for (size_t i = 0; i < t.rows; i++)
		check_row(k, &p, i);
	check_near(k, "past the losses", t.rows, (bp_real)loss[t.rows], -1, 0);
	guard_free(grad, t.rows * t.n);
	guard_free(t.x, t.rows * t.n);
}

void check_hits(const struct bp_kernels *k, struct draw *d)
{
	struct labelled t;
	labelled_init(&t, d);
	size_t want = 0;
	for (size_t i = 0; i < t.rows; i++) {
		size_t best = largest_at(t.x + i * t.n, t.n);
		if (draw_bool(d))
			t.labels[i] = (int32_t)best;
		want += best == (size_t)t.labels[i] && !isnan(t.x[i * t.n + best]);
	}
	check_near(k, "hits", t.rows, (bp_real)k->hits(t.rows, t.n, t.x, t.labels), (double)want, 0);
	guard_free(t.x, t.rows * t.n);
}
