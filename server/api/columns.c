/*
 * columns.c - see columns.h.
 *
 * Thinning cuts the epochs into equal buckets and keeps, of each bucket, the rows where some column has its smallest or
 * largest value, beside the first and the last row of all. So a spike of one epoch is still seen among a million.
 */
#include "api/columns.h"

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { SLACK = 8 }; /* rows are thinned when there are this many times max_rows */

void columns_init(struct columns *c, int ncolumns, int max_rows)
{
	*c = (struct columns){.ncolumns = ncolumns, .max_rows = max_rows};
}

void columns_done(struct columns *c)
{
	free(c->epochs);
	free(c->values);
	*c = (struct columns){0};
}

static bool grow(struct columns *c)
{
	int capacity = c->capacity ? 2 * c->capacity : 64;
	int *epochs = realloc(c->epochs, (size_t)capacity * sizeof *epochs);
	if (epochs)
		c->epochs = epochs;
	double *values = realloc(c->values, (size_t)capacity * (size_t)c->ncolumns * sizeof *values);
	if (values)
		c->values = values;
	if (!epochs || !values)
		return false;
	c->capacity = capacity;
	return true;
}

static double *row_at(const struct columns *c, int row)
{
	return c->values + (size_t)row * (size_t)c->ncolumns;
}

/* Marks the rows [first, end) where a column is smallest or largest. */
static void mark_extremes(const struct columns *c, int first, int end, bool *keep)
{
	for (int k = 0; k < c->ncolumns; k++) {
		int low = -1, high = -1;
		for (int i = first; i < end; i++) {
			double v = row_at(c, i)[k];
			if (isnan(v))
				continue;
			if (low < 0 || v < row_at(c, low)[k])
				low = i;
			if (high < 0 || v > row_at(c, high)[k])
				high = i;
		}
		if (low >= 0)
			keep[low] = keep[high] = true;
	}
}

static bool thin(struct columns *c)
{
	if (c->rows <= c->max_rows)
		return true;
	bool *keep = calloc((size_t)c->rows, sizeof *keep);
	if (!keep)
		return false;
	int per_bucket = 2 * c->ncolumns, buckets = (c->max_rows - 2) / per_bucket;
	if (buckets < 1)
		buckets = 1;
	int64_t start = c->epochs[0], span = (int64_t)c->epochs[c->rows - 1] - start + 1;
	for (int i = 0; i < c->rows;) {
		int64_t bucket = (c->epochs[i] - start) * buckets / span;
		int end = i;
		while (end < c->rows && (c->epochs[end] - start) * buckets / span == bucket)
			end++;
		mark_extremes(c, i, end, keep);
		i = end;
	}
	keep[0] = keep[c->rows - 1] = true;
	int kept = 0;
	for (int i = 0; i < c->rows; i++) {
		if (!keep[i])
			continue;
		c->epochs[kept] = c->epochs[i];
		memmove(row_at(c, kept++), row_at(c, i), (size_t)c->ncolumns * sizeof(double));
	}
	c->rows = kept;
	free(keep);
	return true;
}

double *columns_add(struct columns *c, int epoch)
{
	while (c->rows > 0 && c->epochs[c->rows - 1] >= epoch)
		c->rows--;
	if (c->rows / SLACK >= c->max_rows && !thin(c))
		return NULL;
	if (c->rows == c->capacity && !grow(c))
		return NULL;
	double *row = row_at(c, c->rows);
	c->epochs[c->rows++] = epoch;
	for (int k = 0; k < c->ncolumns; k++)
		row[k] = NAN;
	return row;
}

bool columns_finish(struct columns *c)
{
	return thin(c);
}
