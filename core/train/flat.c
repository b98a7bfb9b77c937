/* flat.c - see flat.h. */
#include "train/flat.h"

#include <string.h>

#include "base/parallel.h"

enum {
	PIECE = 4096,      /* elements */
	PARALLEL = 1 << 16 /* elements; below, starting threads costs more than they save */
};

struct sweep {
	const struct bp_vectors *v;
	bp_real factor, total;
	bool first, last;
};

static void run(int threads, const struct sweep *s, bp_piece_fn fn)
{
	int64_t n = s->v->n;
	bp_parallel_for(n < PARALLEL ? 1 : threads, (n + PIECE - 1) / PIECE, fn, s);
}

static int64_t length(const struct sweep *s, int64_t piece)
{
	int64_t left = s->v->n - piece * PIECE;
	return left < PIECE ? left : PIECE;
}

static void accumulate_piece(const void *arg, int64_t piece)
{
	const struct sweep *s = arg;
	bp_real *restrict sum = s->v->sum + piece * PIECE, *restrict g = s->v->grads + piece * PIECE;
	int64_t n = length(s, piece);
	for (int64_t i = 0; i < n && s->first; i++)
		sum[i] = s->factor * g[i];
	for (int64_t i = 0; i < n && !s->first && !s->last; i++)
		sum[i] += s->factor * g[i];
	for (int64_t i = 0; i < n && s->last; i++)
		g[i] = (sum[i] + s->factor * g[i]) / s->total;
}

void bp_flat_accumulate(int threads, const struct bp_vectors *v, const struct bp_share *share)
{
	const struct sweep s = {v, (bp_real)share->weight, (bp_real)share->total, share->first, share->last};
	if (!share->first || !share->last)
		run(threads, &s, accumulate_piece);
}

/* torch.lerp: from the nearer end, so that a factor of 1 gives the weight itself. */
static void average_piece(const void *arg, int64_t piece)
{
	const struct sweep *s = arg;
	const bp_real *restrict w = s->v->weights + piece * PIECE;
	bp_real *restrict a = s->v->average + piece * PIECE, rest = 1 - s->factor;
	int64_t n = length(s, piece);
	if (s->first) {
		memcpy(a, w, (size_t)n * sizeof(*a));
		return;
	}
	for (int64_t i = 0; i < n && s->factor < (bp_real)0.5; i++)
		a[i] += s->factor * (w[i] - a[i]);
	for (int64_t i = 0; i < n && s->factor >= (bp_real)0.5; i++)
		a[i] = w[i] - (w[i] - a[i]) * rest;
}

void bp_flat_average(int threads, const struct bp_vectors *v, double decay, bool first)
{
	const struct sweep s = {.v = v, .factor = (bp_real)(1 - decay), .first = first};
	run(threads, &s, average_piece);
}

static void swap_piece(const void *arg, int64_t piece)
{
	const struct sweep *s = arg;
	bp_real *restrict w = s->v->weights + piece * PIECE, *restrict a = s->v->average + piece * PIECE;
	int64_t n = length(s, piece);
	for (int64_t i = 0; i < n; i++) {
		bp_real t = w[i];
		w[i] = a[i];
		a[i] = t;
	}
}

void bp_flat_swap(int threads, const struct bp_vectors *v)
{
	const struct sweep s = {.v = v};
	run(threads, &s, swap_piece);
}
