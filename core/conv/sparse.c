/*
 * sparse.c - see sparse.h. Called by the ways that multiply by places, on any thread.
 *
 * Lists are of 16 bits an element, half of what the rows take; each row has room for all of it, so that rows are listed
 * by any task without knowing of the others.
 */
#include "conv/sparse.h"

#include "base/mem.h"

enum {
	LIMIT_PERCENT = 66, /* of a row: an element by places takes 1.3 times what it takes in a tile */
	SAMPLE = 16,        /* rows that tell how dense all are */
	PROBES = 8          /* elements that tell of most dense rows that they are */
};

static size_t place_step(size_t k)
{
	return round_up(k + BP_NONZEROS_SPILL, BP_ALIGN / sizeof(uint16_t));
}

static size_t counts_bytes(size_t rows, size_t k)
{
	return round_up(rows * divide_up(k, SPARSE_DEPTH) * sizeof(uint16_t), BP_ALIGN);
}

size_t bp_sparse_bytes(size_t rows, size_t k)
{
	return counts_bytes(rows, k) + rows * place_step(k) * sizeof(uint16_t);
}

struct sparse bp_sparse_at(void *memory, size_t rows, size_t k)
{
	return (struct sparse){.k = k,
		.pieces = divide_up(k, SPARSE_DEPTH),
		.counts = memory,
		.places = (uint16_t *)((char *)memory + counts_bytes(rows, k)),
		.place_step = place_step(k)};
}

/* One in 250 of half zeros is taken for dense; of a row that is, nothing else is read. */
static bool is_dense(size_t k, const bp_real *x)
{
	size_t some = 0;
	for (size_t i = 0; i < PROBES; i++)
		some += x[i * k / PROBES] != 0;
	return some == PROBES;
}

static bool skip(const struct sparse *s, size_t i)
{
	for (size_t p = 0; p < s->pieces; p++)
		s->counts[i * s->pieces + p] = BP_SPMM_SKIPPED;
	return false;
}

bool bp_sparse_list(const struct bp_kernels *k, const struct sparse *s, size_t i, const bp_real *x, bool dense_too)
{
	uint16_t *counts = s->counts + i * s->pieces, *places = s->places + i * s->place_step;
	size_t sum = 0;
	if (!dense_too && is_dense(s->k, x))
		return skip(s, i);
	for (size_t p = 0; p < s->pieces; p++) {
		const struct part part = part_of(s->k, SPARSE_DEPTH, p);
		const size_t n = k->nonzeros(part.length, x + part.at, places + part.at);
		sum += n;
		counts[p] = (uint16_t)n;
		if (!dense_too && sum * 100 > (part.at + part.length) * LIMIT_PERCENT)
			return skip(s, i);
	}
	return true;
}

bool bp_sparse_listed(const struct sparse *s, size_t i)
{
	return s->counts[i * s->pieces] != BP_SPMM_SKIPPED;
}

/* Shares are counted from `done` on, of n. */
static void multiply_piece(const struct bp_kernels *k, const struct sparse_product *p, size_t piece, const bp_real *b,
	size_t done, size_t n)
{
	const struct sparse *s = p->lists;
	const size_t at = part_of(s->k, SPARSE_DEPTH, piece).at;
	const bool last = piece + 1 == s->pieces;
	struct bp_spmm m = p->all;
	m.b = b;
	m.count_step = s->pieces;
	m.place_step = s->place_step;
	m.acc = m.acc || piece > 0;
	m.bias = last ? m.bias : NULL;
	m.relu = last && m.relu;
	for (size_t row = 0; row < p->all.rows; row += m.rows) {
		const size_t left = p->all.rows - row, list = p->first + row;
		m.rows = left < p->share ? left : p->share;
		m.a = p->all.a + row * m.lda + at;
		m.c = p->all.c + row * m.ldc;
		m.counts = s->counts + list * s->pieces + piece;
		m.places = s->places + list * s->place_step + at;
		if (p->ask)
			p->ask(p->arg, done++, n);
		k->spmm(&m);
	}
}

void bp_sparse_multiply_piece(
	const struct bp_kernels *k, const struct sparse_product *p, size_t piece, const bp_real *b)
{
	multiply_piece(k, p, piece, b, 0, divide_up(p->all.rows, p->share));
}

void bp_sparse_multiply(const struct bp_kernels *k, const struct sparse_product *p)
{
	const size_t shares = divide_up(p->all.rows, p->share), pieces = p->lists->pieces;
	for (size_t i = 0; i < pieces; i++) {
		const bp_real *b = p->all.b + part_of(p->lists->k, SPARSE_DEPTH, i).at * p->all.ldb;
		multiply_piece(k, p, i, b, i * shares, pieces * shares);
	}
}

bool bp_sparse_pays(const struct bp_kernels *k, size_t rows, size_t elements, const bp_real *x, double *ret_share)
{
	uint16_t places[SPARSE_DEPTH + BP_NONZEROS_SPILL];
	const size_t sample = rows < SAMPLE ? rows : SAMPLE;
	size_t sum = 0;
	for (size_t i = 0; i < sample; i++) {
		const bp_real *row = x + i * rows / sample * elements;
		for (size_t at = 0; at < elements; at += SPARSE_DEPTH)
			sum += k->nonzeros(
				elements - at < SPARSE_DEPTH ? elements - at : SPARSE_DEPTH, row + at, places);
	}
	*ret_share = (double)sum / (double)(sample * elements);
	return *ret_share * 100 <= LIMIT_PERCENT;
}
