/*
 * orthogonal.c - rows (or columns, when there are more rows) that are orthogonal and of one length, as
 * torch.nn.init.orthogonal_ (Saxe, McClelland and Ganguli, "Exact solutions to the nonlinear dynamics of learning in
 * deep linear neural networks", 2013). Called by net/start.c.
 */
#include "inits/init.h"

#include <math.h>

#include "base/mem.h"
#include "base/status.h"

static const double most_work = 4294967296.0; /* multiplications of a pass: some seconds */

static const struct bp_arg args[] = {
	{"gain", BP_ARG_REAL, false, {1}, 0, 1e6, NULL, "Length of a row."},
};

/* The tensor as vectors that become orthogonal: rows of its matrix (dim[0] x the rest), or its columns. */
struct vectors {
	int64_t n, length; /* n <= length */
	bool columns;
};

static struct vectors vectors_of(const struct bp_param *p)
{
	int64_t rows = p->dim[0], rest = p->size / p->dim[0];
	return rows > rest ? (struct vectors){rest, rows, true} : (struct vectors){rows, rest, false};
}

static enum bp_status check(const struct bp_item *item, const struct bp_param *p, struct bp_error *err)
{
	(void)item;
	struct vectors v = vectors_of(p);
	if ((double)v.n * (double)v.n * (double)v.length > most_work)
		return bp_fail(err, BP_ELIMIT, -1, "type",
			"a weight of %lld by %lld is too large to be made orthogonal: %lld x %lld x %lld is more than "
			"%g",
			(long long)v.n, (long long)v.length, (long long)v.n, (long long)v.n, (long long)v.length,
			most_work);
	return BP_OK;
}

/* In four sums, so that they need not wait for each other. */
static double dot(const double *a, const double *b, int64_t n)
{
	double sum[4] = {0};
	int64_t i = 0;
	for (; i + 4 <= n; i += 4)
		for (int j = 0; j < 4; j++)
			sum[j] += a[i + j] * b[i + j];
	for (; i < n; i++)
		sum[0] += a[i] * b[i];
	return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/* Gram and Schmidt's method, each vector twice: "twice is enough" (Kahan, Parlett) for orthogonality to rounding. It is
 * the Q of a QR decomposition whose R has a positive diagonal, which is what PyTorch's change of signs makes. */
static void orthonormalise(double *all, const struct vectors *v)
{
	for (int64_t i = 0; i < v->n; i++) {
		double *a = all + i * v->length;
		for (int64_t j = 0; j < 2 * i; j++) {
			const double *b = all + j % i * v->length;
			double along = dot(a, b, v->length);
			for (int64_t k = 0; k < v->length; k++)
				a[k] -= along * b[k];
		}
		double norm = sqrt(dot(a, a, v->length));
		for (int64_t k = 0; k < v->length && norm > 0; k++)
			a[k] /= norm;
	}
}

static enum bp_status fill(const struct bp_item *item, const struct bp_init_target *t)
{
	struct vectors v = vectors_of(t->param);
	int64_t size = t->param->size, rest = size / t->param->dim[0];
	size_t bytes;
	double z[4], *all = bp_size_mul((size_t)size, sizeof(*all), &bytes) ? bp_mem_new(bytes) : NULL;
	if (!all)
		return BP_ENOMEM;
	for (int64_t i = 0; i < size; i++) {
		if (i % 4 == 0)
			bp_init_normals(t, i / 4, z);
		all[v.columns ? i % rest * v.length + i / rest : i] = z[i % 4];
	}
	orthonormalise(all, &v);
	for (int64_t i = 0; i < size; i++)
		bp_init_put(t, i, bp_item_real(item, 0) * all[v.columns ? i % rest * v.length + i / rest : i]);
	bp_mem_free(all);
	return BP_OK;
}

const struct bp_init_ops bp_init_orthogonal = {
	.info = {.name = "orthogonal",
		.help = "Rows, or columns when there are more rows, that are orthogonal to each other.",
		.args = args,
		.nargs = BP_ARG_COUNT(args)},
	.check = check,
	.fill = fill,
};
